"""A sweep as a report tells of it, read from its sweep.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from frame import best_of, hide_settings, known_secrets

from .comparing import percent
from .runs import ReportedRun, read
from .tables import markdown

Trial = Mapping[str, Any]


@dataclass(frozen=True)
class Sweep:
    """A sweep's folder: what was varied, by which metric it was judged, and its trials."""

    folder: Path
    metric: str
    mode: Literal["max", "min"]
    method: str
    space: Mapping[str, Mapping[str, Any]]
    trials: Sequence[Trial]

    @property
    def name(self) -> str:
        return self.folder.resolve().name

    @property
    def ranked(self) -> list[Trial]:
        """The trials, the best first; those without a value last."""
        sign = -1 if self.mode == "max" else 1
        valued = sorted((one for one in self.trials if one["value"] is not None), key=lambda one: sign * one["value"])
        return valued + [one for one in self.trials if one["value"] is None]

    @property
    def best(self) -> Trial | None:
        """The best trial that went to its end, or, if none did, that was not a failure: as `frame sweep` has it."""
        finished = [one for one in self.trials if one["state"] == "finished"]
        sound = [one for one in self.trials if one["state"] != "failed"]
        return best_of(finished, _value, self.mode) or best_of(sound, _value, self.mode)

    def table(self) -> str:
        """Return the trials as a Markdown table."""
        rows = [
            [
                str(trial["number"]),
                *(_short(trial["point"].get(key)) for key in self.space),
                _short(trial["value"]),
                f"{trial['epochs']:g}",
                ": ".join(filter(None, (trial["state"], trial["error"]))),
                Path(trial["run"]).name if trial["run"] else "",
            ]
            for trial in self.ranked
        ]
        return markdown(("trial", *self.space, self.metric, "epochs", "state", "run"), rows)

    def headline(self) -> str:
        """Say what the best trial came to."""
        if (best := self.best) is None:
            return f"Sweep {self.name}: no trial has a result yet"
        value = percent(best["value"]) if self.metric.endswith("/acc") else f"{best['value']:.4f}"
        return f"Sweep {self.name}: {self.metric} {value}, trial {best['number']} of {len(self.trials)}"

    def best_run(self, runs: Sequence[ReportedRun]) -> ReportedRun | None:
        """Return the best trial's run."""
        name = Path(self.best["run"]).name if self.best and self.best["run"] else None
        return next((run for run in runs if run.folder.resolve().name == name), None)


def load(folder: Path) -> Sweep:
    """Read a sweep's folder; the host has checked it."""
    values = hide_settings(read(folder / "sweep.json"), known_secrets())
    given = values["sweep"]
    return Sweep(folder, values["metric"], values["mode"], given["method"], given["space"], values["trials"])


def _value(trial: Trial) -> float | None:
    return trial["value"]


def _short(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
