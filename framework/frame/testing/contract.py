"""What every component promises, whatever its kind."""

from __future__ import annotations

import inspect
import json
import pickle
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import entry_points
from typing import Any, ClassVar
from unittest import SkipTest

from pydantic import ValidationError
from pydantic_core import to_json

from ..api.components import Component
from ..api.data import DataInfo
from ..api.hookspecs import ENTRY_POINT_GROUP
from ..compute.randomness import rng_state, rng_untouched, seed_everything
from ..errors import Problem, suggest
from ..recipe.field_docs import field_docs
from .examples import Shape, data_info
from .guards import Advice, difference, doing, drawn_since, fail, heavy_imports, in_a_package, require

LR = 0.01
"""Stands for what the LR finder would find, where a setting is `auto`."""
UNKNOWN = "no_such_setting"


class ComponentContract:
    """Base of the contracts: derive from that of the component's kind, and let pytest collect the class.

        class TestTiny(ModelContract):
            component = Tiny

    Each `test_` method is one check; what fails says what is wrong and what to do. A contract for other settings is a
    class of its own.
    """

    kind: ClassVar[type[Component]] = Component
    component: ClassVar[type[Any]]
    """The component's class."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """Settings as a recipe has them, for what has no default. Without them, a field's first `examples` is taken."""
    image_shape: ClassVar[Shape] = (32, 32, 3)
    """(H, W, C) of the images that the component is tried with."""
    classes: ClassVar[int] = 10
    """Number of classes that it is tried with."""
    may_draw: ClassVar[bool] = False
    """Whether it may draw from the global generators of python, numpy and torch, which the host has seeded."""
    _builds: ClassVar[bool] = True
    """Whether `builds` has not failed yet."""

    # What a kind adds

    def outcome(self) -> Any:
        """Build the component, use it, and return what must come out again when this is repeated.

        Without a contract of the kind's own, these are its settings.
        """
        return self.ready().model_dump(mode="json")

    # What the checks share

    @property
    def name(self) -> str:
        return self._class().__name__

    def make(self, **changes: Any) -> Any:
        """Return the component: its settings checked as those of a recipe are."""
        component = self._class()
        values = {**examples(component), **self.settings, **changes}
        try:
            return component.model_validate_json(to_json(values), strict=True)
        except ValidationError as error:
            if not changes:
                self._skip_what_follows()
            if missing := missing_settings(component, self.settings):
                fail(f"{self.name} {needs(missing)}")
            fail(f"{self.name} refuses the settings {values}: {details(error)}; correct the test's `settings`")

    def ready(self, **changes: Any) -> Any:
        """Return the component as the host builds it: a learning rate in place of every `auto`."""
        self._skip_what_follows()
        component = self.make(**changes)
        return component.model_copy(update=dict.fromkeys(component.auto_fields(), LR))

    def info(self, channels: int | None = None) -> DataInfo:
        height, width, own = self.image_shape
        return data_info((height, width, channels or own), self.classes)

    def channels(self) -> tuple[int, ...]:
        """Return the numbers of channels to try: that of `image_shape`, which must do, then the other."""
        return tuple(dict.fromkeys((self.image_shape[2], 3, 1)))

    def first_seed(self, repetition: int) -> int:
        """Return the seed of the global generators: what may not draw from them must not notice another."""
        return 0 if self.may_draw else repetition

    def _class(self) -> type[Any]:
        component = getattr(self, "component", None)
        require(component is not None, f"{type(self).__name__} names no component: write `component = MyComponent`")
        fits = isinstance(component, type) and issubclass(component, self.kind)
        require(
            fits,
            f"{type(self).__name__} checks a {self.kind.__name__}, which {component!r} does not derive from; "
            "take the contract of its kind",
        )
        return component  # type: ignore[return-value]

    def _skip_what_follows(self) -> None:
        """Raise SkipTest where `builds` has failed: the checks that build the component could only say it again."""
        if not vars(type(self)).get("_builds", True):  # of this contract alone, not of one that it derives from
            raise SkipTest(f"follows from `builds`, which failed for {self.name}")

    # The checks

    def test_builds(self) -> None:
        type(self)._builds = True
        try:
            with rng_untouched(), doing(f"{self.name}, built from its settings,"):
                self.outcome()
        except AssertionError:
            type(self)._builds = False
            raise

    def test_schema_is_json(self) -> None:
        advice = "give its fields types that JSON knows (numbers, texts, lists, literals, other models)"
        with doing(f"the schema of {self.name}", advice):
            json.dumps(self._class().model_json_schema(), allow_nan=False)

    def test_settings_come_back(self) -> None:
        """From pickle, which workers use, and from JSON, which is how recipe.resolved.yaml keeps them."""
        component = self.make()
        with doing(f"pickling the settings of {self.name}", "make them plain values, and the class one of a module"):
            copy = pickle.loads(pickle.dumps(component))  # noqa: S301
        require(copy == component, f"{self.name} is another after pickling: keep nothing but its fields in it")
        try:
            again = self._class().model_validate_json(component.model_dump_json(), strict=True)
        except ValidationError as error:
            advice = "a default must keep to the field's bounds, and its type be one that JSON can hold"
            fail(f"{self.name} does not come back from recipe.resolved.yaml: {details(error)}; {advice}")
        changed = [name for name in self._class().model_fields if getattr(again, name) != getattr(component, name)]
        require(
            not changed,
            f"{', '.join(changed)} of {self.name} comes back from JSON as something else: a run could not be resumed; "
            "take a type that JSON can hold (str, int, float, bool, tuple, dict, Literal, Path)",
        )

    def test_unknown_settings_are_refused(self) -> None:
        self.make()
        try:
            self.make(**{UNKNOWN: 1})
        except AssertionError:
            return
        fail(f"{self.name} takes a setting that it does not know: leave `extra` out of its model_config")

    def test_settings_are_frozen(self) -> None:
        component = self.make()
        for name in self._class().model_fields:
            try:
                setattr(component, name, getattr(component, name))
            except (ValidationError, AttributeError, TypeError):
                continue
            fail(f"{self.name}.{name} can be changed: leave `frozen` out of its model_config")

    def test_documented(self) -> None:
        component = self._class()
        text = inspect.cleandoc(vars(component).get("__doc__") or "")
        require(text, f"{self.name} has no docstring of its own: say in a line what it does; `frame show` prints it")
        docs = field_docs(component)
        bare = [name for name in component.model_fields if name not in docs]
        require(
            not bare,
            f"{', '.join(bare)} of {self.name} has no description: write a docstring below the field, "
            "which says what it does and in which unit; `frame show` prints it",
        )

    def test_reviews_name_its_settings(self) -> None:
        """`check_settings` and `review` say what is wrong or odd about the settings, the latter in so many epochs."""
        component = self.make()
        given = {**examples(self._class()), **self.settings}
        calls: dict[str, Callable[[], Iterable[Any]]] = {
            "check_settings(settings)": lambda: component.check_settings(given)
        }
        calls |= {f"review({epochs})": partial(component.review, epochs) for epochs in (1, 100)}
        for call, found in calls.items():
            with doing(f"{self.name}.{call}", "yield frame.Problem(message, setting)"):
                problems = list(found())
            what = f"{self.name}.{call.partition('(')[0]}"
            odd = [problem for problem in problems if not isinstance(problem, Problem)]
            require(not odd, f"{what} yields {type(odd[0]).__name__ if odd else ''}: yield frame.Problem")
            fields = self._class().model_fields
            keys = [problem.key for problem in problems if problem.key.partition(".")[0] not in fields]
            hint = suggest(keys[0], fields) if keys else ""
            require(not keys, f"{what} names no setting with the key {keys}{hint}")

    def test_listing_it_imports_nothing_slow(self) -> None:
        """A rule for installed packages, advice for a file that a recipe names."""
        module = self._class().__module__
        slow = heavy_imports(module)
        if not slow:
            return
        message = f"importing {module} imports {', '.join(slow)}, which slows every command down: import it in build()"
        if _is_installed(module):
            fail(message + ", and for annotations under `if TYPE_CHECKING:`")
        warnings.warn(message, Advice, stacklevel=2)

    def test_same_seed_same_outcome(self) -> None:
        outcomes = []
        for repetition in range(2):
            with rng_untouched(), doing(f"{self.name}, tried twice,"):
                seed_everything(self.first_seed(repetition))
                outcomes.append(self.outcome())
        where = difference(*outcomes)
        source = (
            "draw from the global generators, which are seeded"
            if self.may_draw
            else "take random numbers from what `build` is given, and none from the global generators"
        )
        require(where is None, f"{self.name} does not repeat itself: {where} differs the second time; {source}")

    def test_leaves_the_global_generators_alone(self) -> None:
        states = []
        for seed in range(2 if self.may_draw else 1):
            with rng_untouched(), doing(self.name):
                seed_everything(seed)
                before = rng_state()
                self.outcome()
                moved = drawn_since(before)
                states.append(rng_state())
            if not self.may_draw:
                advice = "draw from a generator of its own, or put the state back"
                require(not moved, f"{self.name} draws from the global generator of {', '.join(moved)}: {advice}")
        if self.may_draw:
            kinds = ("python", "numpy", "torch")
            seeded = [kind for kind in kinds if difference(states[0][kind], states[1][kind]) is None]
            message = f"{self.name} seeds the global generator of {', '.join(seeded)}: the recipe's seed does that"
            require(not seeded, message)


def examples(component: type[Component]) -> dict[str, Any]:
    """Return the first of the `examples` of each required field that has some."""
    fields = component.model_fields.items()
    return {name: field.examples[0] for name, field in fields if field.is_required() and field.examples}


def missing_settings(component: type[Component], settings: Mapping[str, Any]) -> list[str]:
    """Return the required fields that neither `settings` nor an example of theirs has a value for."""
    required = [name for name, field in component.model_fields.items() if field.is_required()]
    return [name for name in required if name not in settings and name not in examples(component)]


def details(error: ValidationError) -> str:
    """Return what pydantic found, in one line."""
    return "; ".join(": ".join([*map(str, one["loc"]), one["msg"]]) for one in error.errors())


def needs(missing: list[str]) -> str:
    """Say what to do about required settings."""
    verb = "has no default" if len(missing) == 1 else "have no defaults"
    return (
        f"cannot be built: {', '.join(missing)} {verb}; give each an example, Field(examples=[...]), "
        "or the test of the plugin `settings = {...}`"
    )


def _is_installed(module: str) -> bool:
    own = {entry.module for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return module in own or in_a_package(module)
