"""A component is its settings plus `build()`: one base class per kind, which is also what tells the kind.

The settings are a frozen pydantic model that refuses unknown keys; docstring and the text below each field are the
component's documentation. This module and every plugin's component module import neither torch nor torchvision:
listing and checking a recipe stays fast. Import them inside `build`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from ..errors import Problem, UserError
from .results import PLAIN_NAME

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from .contracts import AnalysisRun, BatchDraws, Callback, LRProblem, RunHistory, Scheduler, Tracker, TrainingRun
    from .data import DataInfo, DataSplits
    from .results import AnalyzerResult, LRFinding
    from .steps import Steps

AUTO: Literal["auto"] = "auto"
LearningRate = Annotated[float, Field(gt=0)] | Literal["auto"]
"""A learning rate, or `auto`: what the recipe's LR finder suggests. Any field of this type can be `auto`."""
METRIC: Final = "the name of a metric"
MetricName = Annotated[str, METRIC]
"""A metric that each epoch measures, such as `val/acc`. The host checks every field of this type before the run."""


class Component(BaseModel):
    """Base of every component's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    def auto_fields(self) -> list[str]:
        """Names of the learning rates that are to be found by the LR finder."""
        fields = type(self).model_fields
        return [name for name in fields if fields[name].annotation == LearningRate and getattr(self, name) == AUTO]

    @classmethod
    def metric_fields(cls) -> list[str]:
        """Names of the settings that name a metric, or several."""
        return [
            name for name, field in cls.model_fields.items() if METRIC in (*field.metadata, *parts(field.annotation))
        ]

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> Iterable[Problem]:  # noqa: ARG003
        """Say what is wrong with settings in themselves that their types cannot tell, or odd (level "warning").

        Such as a name that an installed library does not have. settings: as the recipe has them, of whatever types:
        what these refuse is reported already, and passed over here. `key` leads from the setting's name to the place,
        as in `pipeline.2.use`; the host adds the section and the line. Nothing slow may be imported.
        """
        return ()

    def review(self, epochs: float) -> Iterable[Problem]:  # noqa: ARG002
        """Say what is wrong with these settings in a run of `epochs` epochs, or odd (a Problem of level "warning").

        `key` leads from the setting's name to the place; the host adds the section and the line.
        """
        return ()


def parts(annotation: Any) -> Iterator[Any]:
    """Yield a type and everything that it is made of: `str` and METRIC in `MetricName | None`."""
    yield annotation
    for part in get_args(annotation):
        yield from parts(part)


class DatasetComponent(Component, ABC):
    """Brings images and targets."""

    @abstractmethod
    def build(self, root: Path) -> DataSplits:
        """Read (or download) the data. `root`: the folder of the recipe's `data.root` or of FRAME_DATA_DIR."""


class TransformComponent(Component, ABC):
    """Base of the two kinds of transforms; derive from one of them. Pixels are 0..255 until the host normalises."""


class SampleTransform(TransformComponent):
    """Changes one image at a time, in the loader's workers, before the batch is made."""

    takes_source: ClassVar[bool] = False
    """Whether it is given a `Source`, the whole image at its own size, and not an image that is fitted to `data.size`:
    it decodes what it needs. Only the first transform of a list can be one."""

    @abstractmethod
    def build(self, data: DataInfo) -> Callable[[Any, np.random.Generator], np.ndarray]:
        """Return `(image (H, W, C) uint8, rng) -> image (H, W, C) uint8`, pixels 0..255: the host normalises last.

        The last of the list leaves the size that `data.size` says. All its randomness comes from `rng`, which depends
        on (seed, epoch, sample) only.
        """


class BatchTransform(TransformComponent):
    """Changes a whole batch at once, on the device."""

    @abstractmethod
    def build(self, data: DataInfo) -> Callable[[Tensor, Tensor, BatchDraws], tuple[Tensor, Tensor]]:
        """Return `(images (N, C, H, W), targets, draws) -> images, targets`, the images 0..255 in any dtype."""


class ModelComponent(Component, ABC):
    """Brings the network."""

    @abstractmethod
    def build(self, data: DataInfo) -> nn.Module:
        """Return a module that maps (N, C, H, W) float images to (N, classes) logits: no softmax at its end.

        If the module has a method `init_from_data(images)`, a new run calls it once, before anything else.
        """

    def cam_layers(self) -> Sequence[str]:
        """Names of the built module's layers whose activations are worth a class activation map, shallow to deep."""
        return ()


class LossComponent(Component, ABC):
    """Brings the training loss."""

    @abstractmethod
    def build(self, data: DataInfo) -> Callable[[Tensor, Tensor], Tensor]:
        """Return `(logits (N, classes), targets) -> loss`, the mean over the batch, a scalar tensor."""


class OptimizerComponent(Component, ABC):
    """Brings the optimizer, or several for several parts of the model."""

    @abstractmethod
    def build(self, model: nn.Module, lr: float | None = None) -> Sequence[Optimizer]:
        """Return the optimizers of `model`'s parameters. `lr` is used where the setting is `auto` and not found yet."""


class SchedulerComponent(Component, ABC):
    """Brings the learning-rate schedule, stepped once per optimizer step."""

    replaces_lr: ClassVar[bool] = False
    """Whether it sets learning rates of its own, whatever the optimizer's `lr` is."""

    @abstractmethod
    def build(self, optimizer: Optimizer, steps: Steps) -> Scheduler:
        """Return the schedule of one optimizer. `steps` says how many optimizer steps an epoch and the run take."""


class LRFinderComponent(Component, ABC):
    """Looks for a learning rate before the training starts."""

    @abstractmethod
    def build(self, problem: LRProblem) -> LRFinding:
        """Try learning rates on `problem`, whose model and optimizer are copies; the host restores the RNGs."""


class CallbackComponent(Component, ABC):
    """Watches or steers the training."""

    @abstractmethod
    def build(self, run: TrainingRun) -> Callback:
        """Return a `Callback` with some of its methods overridden; the others cost nothing."""

    def frozen_from_start(self, names: Iterable[str]) -> Collection[str]:  # noqa: ARG002
        """Return which of the model's parameters, by `names`, it keeps from training from the first step on.

        No callback runs on the LR finder's copy of the model: this is how the finder knows.
        """
        return ()


class TrackerComponent(Component, ABC):
    """Sends what is measured somewhere else. The run's own files are written without it."""

    time_limit_s: float = Field(default=300, gt=0)
    """Seconds that one call of the tracker, its start and its end too, may hold the run; then it is off."""

    @abstractmethod
    def build(self, run: TrainingRun) -> Tracker:
        """Start tracking. An exception here or later turns the tracker off with a warning, never the run.

        This and the tracker's calls run one after the other in one thread of the tracker's own.
        """

    def sync(self, folder: Path) -> str | None:  # noqa: ARG002
        """Upload what the run kept locally, and check that everything arrived; return a sentence that says so.

        None if this kind of tracker has nothing to sync. Raises UserError, or RunFailed where something is missing.
        """
        return None

    def publish(
        self, folders: Sequence[Path], *, sweep: Path | None = None, update: bool = False, view: bool = False  # noqa: ARG002
    ) -> str:  # fmt: skip
        """Make a report about these runs where the tracker keeps them; return its URL.

        folders: the runs' own. sweep: the folder of the sweep whose trials they all are, with its sweep.json. update:
        change the report that was made before; raises UserError where there is none. view: keep a view of the project
        with these runs too, if the tracker's server has such a thing, and link it from the report.
        """
        raise UserError(f"the tracker {type(self).__name__} makes no reports")


class AnalyzerComponent(Component, ABC):
    """Explains a trained model."""

    needs_model: ClassVar[bool] = False
    """Whether it runs the model again; if not, it works from the shared predictions and the run's files."""

    name: str | None = Field(default=None, pattern=f"^{PLAIN_NAME}$", max_length=100)
    """What its results are called, in files and trackers; without it, as the analyzer is. Of two that are one analyzer,
    name one: else the second is numbered, and is another when the order changes."""
    time_limit_s: float = Field(default=3600, gt=0)
    """Seconds after which it counts as failed; the run goes on without it."""

    @abstractmethod
    def build(self, run: AnalysisRun) -> AnalyzerResult:
        """Return figures, tables and images as data. An exception here is reported and does not lose the run."""

    def heat(
        self, model: nn.Module, inputs: Tensor, classes: np.ndarray, cam_layers: Sequence[str]  # noqa: ARG002
    ) -> np.ndarray:  # fmt: skip
        """Return where in each image the model saw a class, (N, H, W) float in [0, 1]: for `frame predict --cam`.

        model: in eval mode, with gradients enabled; what is done to its modes, gradients and hooks is undone. inputs:
        (N, C, H, W) float, as the model gets them. classes: (N,), one an image. cam_layers: those that the model's
        component names. Optional: an analyzer offers it by overriding it.
        """
        raise UserError(f"the analyzer {type(self).__name__} makes no heat maps")


class HistoryAnalyzer(AnalyzerComponent, ABC):
    """An analyzer that reads the run's history only: it runs in training too, for the page of the run so far."""

    @abstractmethod
    def build(self, run: RunHistory) -> AnalyzerResult:
        """Return figures and tables as data; quickly, for it is called in the training's breaks."""


class EvaluatorComponent(Component, ABC):
    """Says how the model answers at evaluation, for instance with test-time augmentation."""

    @abstractmethod
    def build(self, data: DataInfo) -> Callable[[nn.Module, Tensor], Tensor]:
        """Return `(model, images (N, C, H, W)) -> logits (N, classes)`."""
