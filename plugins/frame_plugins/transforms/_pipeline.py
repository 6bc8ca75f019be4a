"""Image pipelines as recipes write them: `- {use: RandomCrop, height: 32}`, a library's class and its arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from frame import DataInfo, Image, Problem, UserError, suggest

from .._catalogue import Catalogue, Entry, Library, Unread

if TYPE_CHECKING:
    import numpy as np


Step = dict[str, Any]
"""One step of a pipeline: `use` names the library's class, the other keys are its arguments."""
ADVICE = "leave it out; every transform gives uint8, 0..255, and the host normalises last (data.normalize)"
LISTS, ONES = ("transforms",), ("first", "second")
"""Arguments of a transform that are steps themselves: several (OneOf, RandomApply), or one (OneOrOther)."""


def check_pipeline(library: Library, steps: Any) -> Iterator[Problem]:
    """Yield what is wrong with the names and arguments in a component's `pipeline`, without importing the library.

    steps: as the recipe has them; what is no list, and in it no section, the component's own schema refuses.
    """
    if not isinstance(steps, list):
        return
    try:
        catalogue = library.catalogue()
    except Unread as reason:
        yield library.unchecked("pipeline", reason)
        catalogue = None
    yield from mistakes(catalogue, [(f"pipeline.{index}", step) for index, step in enumerate(steps) if _is_step(step)])


def mistakes(catalogue: Catalogue | None, steps: Iterable[tuple[str, Any]]) -> Iterator[Problem]:
    """Yield what is wrong with the names and arguments of steps, each with its key, and of the steps inside them.

    catalogue: without one, only whether each names something.
    """
    for key, step in steps:
        name = step.get("use") if _is_step(step) else None
        if not isinstance(name, str):
            yield Problem("each step needs `use`, the name of a transform, as in {use: HorizontalFlip, p: 0.5}", key)
            continue
        if catalogue and (lacking := catalogue.lacks(name)):
            yield Problem(lacking, f"{key}.use")
        elif catalogue:
            yield from _in_arguments(name, catalogue.entries[name], [one for one in step if one != "use"], key)
        yield from mistakes(catalogue, [(f"{key}.{place}", one) for place, one in _inside(step)])
        for inner in LISTS:
            if not isinstance(step.get(inner), list | tuple | None):
                yield Problem("must be a list of steps; begin each with `- `, a dash and a space", f"{key}.{inner}")


def _is_step(value: Any) -> bool:
    return isinstance(value, Mapping)


def _inside(step: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the steps inside a step, each with its place in it."""
    for inner in LISTS:
        if isinstance(steps := step.get(inner), list | tuple):
            yield from ((f"{inner}.{index}", one) for index, one in enumerate(steps))
    yield from ((inner, step[inner]) for inner in ONES if step.get(inner) is not None)


def _in_arguments(name: str, entry: Entry, given: Sequence[str], key: str) -> Iterator[Problem]:
    unknown = [] if entry.takes_any else [argument for argument in given if argument not in entry.arguments]
    free = [argument for argument in entry.arguments if argument not in given]
    hints = {argument: suggest(argument, free or entry.arguments) for argument in unknown}
    for argument, hint in hints.items():
        yield Problem(f"{name} has no argument '{argument}'{hint}", f"{key}.{argument}")
    for argument in entry.required:
        if argument in free and not any(f"'{argument}'" in hint for hint in hints.values()):  # written wrongly
            yield Problem(f"is required by {name}", f"{key}.{argument}")


def build_steps(
    library: Library, create: Callable[[type, dict[str, Any]], Any], steps: Sequence[Step], data: DataInfo
) -> list[Any]:
    """Create the transforms of a pipeline. create: from a class and its arguments.

    Raises UserError with every mistake in names and arguments, or else with every one that the library finds.
    """
    keyed = [(f"pipeline.{index}", step) for index, step in enumerate(steps)]
    if wrong := list(mistakes(library.imported(), keyed)):
        raise UserError(wrong)
    return _Builder(library.distribution, library.find(), create, data).all(steps)


@dataclass(frozen=True)
class _Builder:
    """Creates the transforms of steps whose names and arguments are right."""

    library: str
    classes: Mapping[str, Callable[..., Any]]
    create: Callable[[Any, dict[str, Any]], Any]
    data: DataInfo

    def all(self, steps: Sequence[Step]) -> list[Any]:
        built, problems = [], []
        for step in steps:
            try:
                built.append(self.one(step))
            except UserError as error:
                problems += error.problems
        if problems:
            raise UserError(problems)
        return built

    def one(self, step: Step) -> Any:
        arguments = {key: value for key, value in step.items() if key != "use"}
        if arguments.get("fill") == "mean":
            arguments["fill"] = self.data.mean_pixel
        arguments |= {inner: self.all(step[inner]) for inner in LISTS if step.get(inner) is not None}
        arguments |= {inner: self.one(step[inner]) for inner in ONES if step.get(inner) is not None}
        try:
            return self.create(self.classes[step["use"]], arguments)
        except (TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{self.library}: {step['use']}: {_reason(error)}") from error


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


def _reason(error: Exception) -> str:
    """Say in one line what was wrong, without the address of pydantic's documentation."""
    if isinstance(error.__cause__, ValidationError):
        details = error.__cause__.errors()
        return "; ".join(": ".join([*map(str, detail["loc"]), detail["msg"]]) for detail in details)
    return str(error)
