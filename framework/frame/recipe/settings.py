"""The settings of a recipe that are frame's own, beside those of the components it names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, create_model

from ..api.data import Channels, FitName, Interpolation
from ..api.kinds import Section, sections
from ..api.ranking import Mode

S = TypeVar("S", bound="Settings")


def _section(value: Any) -> Any:
    if not isinstance(value, dict):
        none = isinstance(value, str) and value.lower() in ("none", "off", "no")
        use = value if isinstance(value, str) and not none else "NAME"
        raise ValueError(f"must be a section that names its component: {{use: {use}}}{', or null' * none}")
    return value


Node = Annotated[dict[str, Any], BeforeValidator(_section)]
"""A section that names a component: `{use: NAME, ...its settings}`."""


def _whole(number: float) -> int | float:
    """Return a whole number as an integer: `epochs: 8` stays 8 wherever it is shown. (The type tells pydantic.)"""
    return int(number) if number == int(number) else number


def _written(pattern: str, wants: str) -> tuple[AfterValidator, Any]:
    """Return a validator of text, with a message that says in words what it wants, and its pattern for the schema."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {wants}")
        return text

    return AfterValidator(check), Field(json_schema_extra={"pattern": f"^({pattern})$"})


NAME = "up to 100 letters, digits, dots, dashes and underscores, beginning with a letter or digit"
RunName = Annotated[str, *_written("[A-Za-z0-9][A-Za-z0-9._-]{0,99}", NAME)]
Device = Annotated[str, *_written(r"auto|cpu|mps|cuda(:[0-9]+)?", "auto, cpu, mps, cuda or cuda:N")]


class Settings(BaseModel):
    """Base of the host's own settings: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Normalization(Settings):
    """Mean and standard deviation per channel, of pixels scaled to [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]


Side = Annotated[int, Field(ge=1, le=8192)]
ImageSize = Side | tuple[Side, Side]
"""Height and width of an image in pixels: one number where they are the same, or both, `[H, W]`."""


class DataSettings(Settings):
    """`data`: what is loaded and how it becomes batches. The dataset's own settings stand beside these."""

    root: str | None = None
    """Folder of the data (`~` is the home folder); FRAME_DATA_DIR or `data` when not given."""
    batch_size: int = Field(default=128, gt=0)
    """Images of a training batch; where several processes train, of all of them together."""
    eval_batch_size: int = Field(default=500, gt=0)
    """Images of an evaluation batch, of each process where there are several."""
    drop_last: bool = False
    """Leave an epoch's last batch out if it is not full."""
    validation: float | None = Field(default=None, gt=0, lt=1)
    """Share of the training set to split off for validation, stratified; without it the test set is watched."""
    size: ImageSize | None = None
    """Pixels of an image as the model is trained on: a number, or [height, width]. When not given, that of the dataset,
    where all its images have one."""
    eval_size: ImageSize | None = None
    """The same for validation and test images, `frame predict` and exports; `size` when not given."""
    fit: FitName = "crop"
    """How an image of another shape becomes one of that size. crop: the largest centred part of that shape. pad: the
    whole image in the middle, on the background. stretch: the whole image, its sides scaled each by itself."""
    crop_ratio: float = Field(default=1, gt=0, le=1)
    """Of `crop`: the share of that part's sides that is kept. 0.875 is customary at evaluation with ImageNet."""
    interpolation: Interpolation = "bilinear"
    """How images are scaled: nearest, bilinear, bicubic or lanczos; smaller, all but nearest average the area."""
    background: tuple[Annotated[int, Field(ge=0, le=255)], ...] | None = None
    """Colour under transparency and around `pad`, a value a channel; the training images' mean when not given."""
    channels: Channels | None = None
    """rgb, grey, or as_is: as the images have them. When not given, rgb for image files, as_is for others."""
    normalize: bool | Normalization = True
    """Normalise pixels by the dataset's mean and std (true), by these, or only scale them to [0, 1] (false)."""
    workers: int = Field(default=0, ge=0)
    """Processes that run per-sample transforms; 0 runs them in the training process."""
    unreadable: Literal["stop", "skip"] = "stop"
    """What to do where a training image cannot be read: stop the run, or leave the image out of its batch, with a
    warning and their number in run.json. Images of the test or validation set always stop it: results over fewer images
    do not compare."""
    pipeline: Literal["auto", "device", "workers"] = "auto"
    """Where batches are made. device: gathered from one array, which stays on an accelerator; there are batched
    transforms only. workers: read by processes (`data.workers`), image by image. auto: the first where images,
    transforms and memory allow it, else the second."""

    @property
    def watched(self) -> str:
        """The split that is evaluated after each epoch: `val`, or `test` where there is no validation set."""
        return "val" if self.validation else "test"


class TrainSettings(Settings):
    """`train`: how long and on what."""

    epochs: Annotated[float, AfterValidator(_whole), PlainSerializer(_whole)] = Field(gt=0)
    """Passes over the training set. With a fraction, such as 9.9, the last one ends early."""
    device: Device = "auto"
    """auto (cuda, else mps, else cpu), cpu, mps, cuda or cuda:N."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the forward and backward pass; auto takes bf16 where the hardware computes in it, else fp32."""
    channels_last: bool = True
    """Keep images and weights in NHWC memory order, which convolutions prefer."""
    compile: bool | Literal["reduce-overhead", "max-autotune"] = False
    """Compile the model with torch.compile (true), or in one of its modes: `reduce-overhead` uses CUDA graphs. It takes
    a minute or more before the first step, and a C++ compiler on CPUs."""
    sync_batchnorm: bool = False
    """Where several processes train, let BatchNorm take its statistics over all of them; CUDA only."""
    accumulate: int = Field(default=1, gt=0)
    """Batches whose gradients are added up to one optimizer step."""
    clip_grad_norm: float | None = Field(default=None, gt=0)
    """Scale gradients down to this norm where theirs is larger."""
    log_every: int = Field(default=10, gt=0)
    """Optimizer steps between two readings of the loss; in between, nothing waits for the device."""
    threads: int | None = Field(default=None, gt=0)
    """CPU threads of torch; its own default when not given."""


class CheckpointSettings(Settings):
    """`checkpoint`: what is saved when, and what `best` means."""

    monitor: str | None = None
    """Metric that says which epoch is best; val/acc when there is a validation set, else test/acc."""
    mode: Mode | None = None
    """Whether more or less of it is better; min for a loss and max for all else when not given."""
    keep: Literal["best", "last"] | None = None
    """The epoch whose weights are saved as the model, predicted with and analyzed; when not given, the best where there
    is a validation set to choose it by, else the last: choosing by the test set would flatter the result."""
    every_epochs: int = Field(default=1, gt=0)
    """Epochs between two checkpoints. The last epoch and an interruption are always saved."""
    every_steps: int | None = Field(default=None, gt=0)
    """Save within an epoch too: whenever this many optimizer steps have been taken."""
    every_minutes: float | None = Field(default=None, gt=0)
    """Save within an epoch too: after the step at which the last checkpoint is this old."""


def _each_once(nodes: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """Refuse two trackers of one name: the run's folder and id name their files and their run at a server."""
    uses = [node.get("use") for node in nodes]
    if twice := [use for use in uses if isinstance(use, str) and uses.count(use) > 1]:
        raise ValueError(f"has '{twice[0]}' twice, and both would write the same files; leave one out")
    return nodes


def _shape(section: Section) -> tuple[Any, Any]:
    """Return the type of what stands in a section, and its default."""
    if section.many:
        nodes: Any = tuple[Node, ...]
        return Annotated[nodes, AfterValidator(_each_once)] if section.once else nodes, ()
    if section.required:
        return Node, ...
    return (Node, {"use": section.default}) if section.default else (Node | None, None)


def _with_sections(name: str, own: type[S], above: str = "") -> type[S]:
    """Return the host's settings at a place of the recipe with the sections beside them, which are checked in shape."""
    beside: dict[str, Any] = {one.key[-1]: _shape(one) for one in sections() if ".".join(one.key[:-1]) == above}
    return create_model(name, __base__=own, __doc__=own.__doc__, __module__=__name__, **beside)


class _Outer(Settings):
    name: RunName = "run"
    """Names the run's folder under `runs/`."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Seed of everything random: initial weights, order of samples, augmentation."""


if TYPE_CHECKING:
    _Named = _Outer
else:
    _Named = _with_sections("_Named", _Outer)


class RecipeSettings(_Named):
    """The outer shape of a recipe."""

    train: TrainSettings
    checkpoint: CheckpointSettings = Field(default_factory=CheckpointSettings)


DATA = _with_sections("DATA", DataSettings, "data")
"""The shape of `data` without the dataset's own settings."""
HOST: dict[str, type[Settings]] = {"data": DATA, "train": TrainSettings, "checkpoint": CheckpointSettings}
"""The settings of the host's own by section; those of the dataset stand beside them in `data`."""
