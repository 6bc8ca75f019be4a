"""A run's callbacks: each is called with copies of its own, and is to blame for what it raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from ..api.components import CallbackComponent
from ..api.contracts import Callback, TrainingRun
from ..errors import suggest
from ..recipe.recipe import Named, unique_names
from .culprit import Culprit, blame


class Callbacks:
    """The callbacks of a run in the recipe's order, by their unique names."""

    def __init__(self, components: Sequence[Named[CallbackComponent]], run: TrainingRun) -> None:
        self._callbacks: dict[str, Callback] = {}
        self._culprits: dict[str, Culprit] = {}
        for name, named in unique_names(components):
            self._culprits[name] = blame("callback", named)
            with self._culprits[name]:
                self._callbacks[name] = callback = named.component.build(run)
            for text in misspelt(callback):
                run.warn(f"callback '{name}' {text}")
        self._at_step_end = list(self._calls("on_step_end"))

    def call(self, method: str, *arguments: Any) -> None:
        """Call that method of each; what it writes into its arguments is nobody else's."""
        for culprit, call in self._calls(method):
            with culprit:
                call(*deepcopy(arguments))

    def step_end(self) -> None:
        """Call `on_step_end` of those that have it: found once, for this is between two steps."""
        for culprit, call in self._at_step_end:
            with culprit:
                call()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each, by name."""
        states = {}
        for name, callback in self._callbacks.items():
            with self._culprits[name]:
                states[name] = callback.state_dict()
        return states

    def load_state_dict(self, states: Mapping[str, Any]) -> None:
        """Give each its saved state back."""
        for name, state in states.items():
            with self._culprits[name]:
                self._callbacks[name].load_state_dict(state)

    def _calls(self, method: str) -> Iterator[tuple[Culprit, Callable[..., None]]]:
        """Yield that method of each which has one of its own, with who is to blame for it."""
        default = getattr(Callback, method)
        for name, callback in self._callbacks.items():
            if getattr(type(callback), method, default) is not default:
                yield self._culprits[name], getattr(callback, method)


def misspelt(callback: Callback) -> Iterator[str]:
    """Yield what is odd about each method of a callback that is named as if the training called it, and is not."""
    hooks = [name for name in dir(Callback) if name.startswith("on_")]
    for name in dir(callback):
        if name.startswith("on_") and name not in hooks and callable(getattr(type(callback), name, None)):
            yield f"has a method {name}, which nothing calls{suggest(name, hooks)}"
