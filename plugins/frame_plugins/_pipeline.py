"""Image pipelines as recipes write them: `- {use: RandomCrop, height: 32}`, a library's class and its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, ValidationError

from frame import DataInfo, Image, Problem, UserError, suggest

if TYPE_CHECKING:
    import numpy as np


def _names_its_class(step: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(step.get("use"), str):
        raise ValueError("each step needs `use`, the name of a transform, as in {use: HorizontalFlip, p: 0.5}")
    return step


Step = Annotated[dict[str, Any], AfterValidator(_names_its_class)]
"""One step of a pipeline: `use` names the library's class, the other keys are its arguments."""

ADVICE = "leave it out; every transform gives uint8, 0..255, and the host normalises last (data.normalize)"


@dataclass(frozen=True)
class Library:
    """A library's transforms by name, and how one of them is created from its arguments."""

    name: str
    classes: Mapping[str, type]
    create: Callable[[type, dict[str, Any]], Any]

    def build(self, steps: Sequence[Step], data: DataInfo) -> list[Any]:
        """Create the transforms of `steps`. Raises UserError with every mistake in them."""
        built, problems = [], []
        for step in steps:
            try:
                built.append(self._build_step(step, data))
            except UserError as error:
                problems += error.problems
        if problems:
            raise UserError(problems)
        return built

    def _build_step(self, step: Step, data: DataInfo) -> Any:
        name = step["use"]
        if name not in self.classes:
            raise UserError(f"{self.name}: unknown transform '{name}'{suggest(name, self.classes, list_all=False)}")
        known = signature(self.classes[name]).parameters
        arguments = {key: value for key, value in step.items() if key != "use"}
        if wrong := [key for key in arguments if key not in known]:
            raise UserError(
                [Problem(f"{self.name}: {name}: unknown argument '{key}'{suggest(key, known)}") for key in wrong]
            )
        if arguments.get("fill") == "mean":
            arguments["fill"] = mean_pixel(data)
        try:
            if "transforms" in arguments:  # OneOf, RandomApply, ...: a pipeline inside the pipeline
                arguments["transforms"] = self.build([_names_its_class(inner) for inner in step["transforms"]], data)
            return self.create(self.classes[name], arguments)
        except (TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{self.name}: {name}: {_reason(error)}") from error


@dataclass(frozen=True)
class Pipeline:
    """Applies a library's pipeline: `(image (H, W, C) uint8, rng) -> image (H', W', C') uint8`.

    What the library refuses, such as a crop larger than the image, becomes a UserError. So do pixels that are not
    uint8: the host would take them for 0..255 and normalise them, beside images that the step has left alone.

    steps: the library's transforms. alone: applies one of them, whatever its probability, to (H, W, C) uint8.
    """

    library: str
    apply: Callable[[Image, np.random.Generator], Any]
    steps: Sequence[Any]
    alone: Callable[[Any, Image], np.ndarray]

    def __call__(self, image: Image, rng: np.random.Generator) -> np.ndarray:
        import numpy as np

        try:
            changed = self.apply(image, rng)
        except Exception as error:
            raise UserError(f"{self.library}: the pipeline fails on an image of {image.shape}: {error}") from error
        if not isinstance(changed, np.ndarray) or changed.ndim != 3:
            raise UserError(
                f"{self.library}: the pipeline ends with {type(changed).__name__}, not with an image (H, W, C);"
                " leave out steps that convert to other types: the host makes the tensors"
            )
        if changed.dtype != np.uint8:
            raise UserError(self._not_uint8(image, changed.dtype))
        return changed

    def _not_uint8(self, image: Image, found: np.dtype[Any]) -> str:
        """Say which step it was that gave other pixels."""
        import numpy as np

        if image.dtype != np.uint8:
            return f"{self.library}: is given {image.dtype} pixels: the transform before it must return uint8, 0..255"
        for step in _leaves(self.steps):
            try:
                dtype = self.alone(step, image).dtype
            except Exception:  # noqa: S112 - not the first step that another one makes possible
                continue
            if dtype != np.uint8:
                return f"{self.library}: {type(step).__name__} gives {dtype} pixels: {ADVICE}"
        return f"{self.library}: the pipeline gives {found} pixels: {ADVICE}"


def _leaves(steps: Sequence[Any]) -> Iterator[Any]:
    """Yield the steps, those inside others (OneOf, RandomApply) too."""
    for step in steps:
        inner = getattr(step, "transforms", None)
        if inner:
            yield from _leaves(list(inner))
        else:
            yield step


def mean_pixel(data: DataInfo) -> tuple[int, ...]:
    """Return the dataset's mean colour, per channel, as pixel values 0..255."""
    return tuple(round(255 * mean) for mean in data.mean)


def _reason(error: Exception) -> str:
    """Say in one line what was wrong, without the address of pydantic's documentation."""
    if isinstance(error.__cause__, ValidationError):
        details = error.__cause__.errors()
        return "; ".join(": ".join([*map(str, detail["loc"]), detail["msg"]]) for detail in details)
    return str(error)
