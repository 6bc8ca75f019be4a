"""What Ray Tune calls: for the next trial, for news of one, and whether to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray.tune import Callback, Stopper
from ray.tune.search import Searcher

if TYPE_CHECKING:
    from .tuning import Host


class Asked(Searcher):
    """Hands the host's trials to Tune."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host

    def suggest(self, trial_id: str) -> Any:
        config = self.host.start(trial_id)
        return Searcher.FINISHED if config is None else config

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing: `Told` says how it ended."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: sweep.json holds all that goes on."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as in `save`."""


class Told(Callback):
    """Tells the host how trials end."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
        result = trial.last_result or {}
        self.host.end(trial.trial_id, ended=result.get("ended", False), error=result.get("error"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
        reason = str(trial.get_error()).strip().splitlines()
        self.host.end(trial.trial_id, error=f"its worker died: {reason[-1] if reason else 'no reason given'}")


class Stop(Stopper):
    """Ends the sweep when it was asked to."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002
        return False

    def stop_all(self) -> bool:
        return self.host.stop.requested
