"""What a dataset hands over, and what the rest of a run may know of it. Imports neither torch nor
numpy by itself: plugins are listed with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from ..errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

T = TypeVar("T")

Image: TypeAlias = "npt.NDArray[np.uint8]"
"""One image, (H, W, C)."""
Targets: TypeAlias = "npt.NDArray[np.int64]"
"""Class indices, (N,)."""
Size: TypeAlias = tuple[int, int]
"""Height and width in pixels."""
Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom edge of a part of an image, in its pixels; fractions of a pixel count."""
Interpolation: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos"]
"""How pixels between pixels are found; where an image is made smaller, all but `nearest` take the mean of an area."""
FitName: TypeAlias = Literal["crop", "pad", "stretch"]
"""How an image of another shape becomes one of the recipe's size."""
Channels: TypeAlias = Literal["rgb", "grey", "as_is"]
"""What the channels of an image are."""


@runtime_checkable
class Source(Protocol):
    """One image of a size of its own, which is decoded where it is known what of it is needed, and how large."""

    @property
    def height(self) -> int:
        """Rows of the upright image; known without decoding, as the width is."""

    @property
    def width(self) -> int:
        """Columns of the upright image."""

    @property
    def alpha(self) -> bool:
        """Whether its last channel is opacity: 255 where there is something to see, 0 where there is nothing."""

    def decode(
        self, box: Box | None = None, size: Size | None = None, interpolation: Interpolation = "bilinear"
    ) -> Image:
        """Return the part `box` of the upright image, all of it without one, scaled to `size`: (H, W, C) uint8.

        Without a size it keeps its own. Raises UserError, which names the image, where that proves not to be readable.
        """


class Images(Protocol):
    """Indexable images, each (H, W, C) uint8 or a `Source`. A plain array (N, H, W, C) is one, and the fastest."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __getitem__(self, index: int, /) -> Any:
        """Return one, by its number."""


def fixed(values: T) -> T:
    """Return a view of an array that is not to be written into; anything else as it is."""
    import numpy as np

    if not isinstance(values, np.ndarray):
        return values
    view = values.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class Split:
    """One part of a dataset.

    images: N images, each (H, W, C) uint8 or a Source. targets: (N,) int64 class indices. sources: where each image is
    from (a file name), empty where there is none. unread: the images that are known not to be readable, by number, each
    with a line that names it and says why; their pixels are never used. The host stops at them, or leaves them out
    (`data.unreadable`).
    """

    images: Images
    targets: Targets
    sources: Sequence[str] = ()
    unread: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.targets)

    def read_only(self) -> Split:
        """Return the same images and targets, where they are arrays as views that are not to be written into."""
        return replace(self, images=fixed(self.images), targets=fixed(self.targets))

    def source(self, index: int) -> str:
        """The file that image number `index` was read from, or an empty text."""
        return self.sources[index] if self.sources else ""

    def image(self, index: int) -> Any:
        """Image number `index`, as in `images`. Raises UserError for one of `unread`, else what its reader raises."""
        if index in self.unread:
            raise UserError(self.unread[index])
        return self.images[index]


@dataclass(frozen=True)
class Subset:
    """Some of a split's images, in a given order, without a copy."""

    images: Images
    order: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int, /) -> Any:
        return self.images[int(self.order[index])]


def take(split: Split, order: npt.NDArray[np.int64]) -> Split:
    """Return the images of `split` that `order` names, in that order; arrays stay arrays."""
    import numpy as np

    images: Images = split.images[order] if isinstance(split.images, np.ndarray) else Subset(split.images, order)
    sources = [split.sources[i] for i in order] if split.sources else ()
    unread = {new: split.unread[old] for new, old in enumerate(order.tolist()) if old in split.unread}
    return Split(images, split.targets[order], sources, unread)


@dataclass(frozen=True)
class Omission:
    """Files or folders among the data that are not read: their kind, how many there are, and the names of a few."""

    kind: str
    count: int
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.examples) else ""
        return f"{self.kind}: {self.count:,} ({', '.join(self.examples)}{more})"


@dataclass(frozen=True)
class DataInfo:
    """What models, losses and transforms may know of the data.

    shape: (H, W, C) of one image as the model sees it at evaluation; a training transform is told the size that it has
    to leave instead. train_sizes: (H, W) of the training images, where those differ from that. mean, std: per channel,
    of pixels scaled to [0, 1]. checksum: names these very images and targets. left_out: what lies among the data and is
    not read.
    """

    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train_size: int
    checksum: str = ""
    left_out: tuple[Omission, ...] = ()
    train_sizes: tuple[Size, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def size(self) -> Size:
        """(H, W) of one image as the model sees it at evaluation."""
        return self.shape[:2]

    @property
    def channels(self) -> int:
        return self.shape[2]

    def at_training_size(self) -> DataInfo:
        """Return it as a training transform is told it, with the size that the images are to have in the end."""
        return replace(self, shape=(*self.train_sizes[0], self.channels)) if self.train_sizes else self

    @property
    def mean_pixel(self) -> tuple[int, ...]:
        """The mean colour, per channel, as pixel values 0..255."""
        return tuple(round(255 * mean) for mean in self.mean)


@dataclass(frozen=True)
class DataSplits:
    """A dataset. `validation` is None unless the dataset brings one or the recipe splits one off.

    shape: (H, W, C) of all images; None where each is a Source: the recipe says then how large they become, and the
    host computes mean and standard deviation, which are left empty. train_sizes is the host's.
    """

    train: Split
    test: Split
    classes: tuple[str, ...]
    shape: tuple[int, int, int] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    checksum: str = ""
    validation: Split | None = None
    left_out: tuple[Omission, ...] = ()
    train_sizes: tuple[Size, ...] = ()

    @cached_property
    def info(self) -> DataInfo:
        """What is known of the data once the host has fitted its images to one shape."""
        assert self.shape is not None
        return DataInfo(
            classes=self.classes,
            shape=self.shape,
            mean=self.mean,
            std=self.std,
            train_size=len(self.train),
            checksum=self.checksum,
            left_out=self.left_out,
            train_sizes=self.train_sizes,
        )

    def read_only(self) -> DataSplits:
        """Return the same data, its arrays not to be written into."""
        parts = {name: getattr(self, name) for name in ("train", "test", "validation")}
        return replace(self, **{name: part and part.read_only() for name, part in parts.items()})

    def with_validation(self, fraction: float, seed: int) -> DataSplits:
        """Split a stratified part of the training set off for validation; the same part for the same seed."""
        import numpy as np
        from sklearn.model_selection import train_test_split

        train, validation = train_test_split(
            np.arange(len(self.train)), test_size=fraction, stratify=self.train.targets, random_state=seed
        )
        return replace(self, train=take(self.train, np.sort(train)), validation=take(self.train, np.sort(validation)))


@dataclass(frozen=True)
class Predictions:
    """The one shared pass of the trained model over the test set. All read the same arrays: none can be written into.

    logits: (N, classes) float32. targets: (N,) int64. losses: (N,) float32, cross-entropy of each image.
    """

    logits: npt.NDArray[np.float32]
    targets: Targets
    losses: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("logits", "targets", "losses"):
            object.__setattr__(self, name, fixed(getattr(self, name)))

    @cached_property
    def probabilities(self) -> npt.NDArray[np.float32]:
        """(N, classes): softmax of the logits."""
        from scipy.special import softmax

        return fixed(softmax(self.logits, axis=1))

    @cached_property
    def predicted(self) -> Targets:
        """(N,): the class with the highest logit."""
        return fixed(self.logits.argmax(axis=1))

    @cached_property
    def confidence(self) -> npt.NDArray[np.float32]:
        """(N,): the probability of the predicted class."""
        return fixed(self.probabilities.max(axis=1))

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """(N,): whether the predicted class is the target."""
        return fixed(self.predicted == self.targets)

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())


def without_images(targets: Targets, classes: Sequence[str]) -> list[str]:
    """Return the classes that a part with these targets has no image of."""
    import numpy as np

    there = set(np.unique(targets).tolist())
    return [name for number, name in enumerate(classes) if number not in there]
