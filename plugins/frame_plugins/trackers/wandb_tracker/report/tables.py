"""A report's tables, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .comparing import Repeats, differences, percent
from .runs import ReportedRun

RUNS = ("run", "recipe", "data", "model", "seed", "state", "test accuracy", "best", "kept", "epochs", "training")
SETUP = ("run", "device", "Python", "PyTorch", "frame", "commit")
SPREAD = ("recipe", "differs in", "runs", "seeds", "test accuracy", "lowest", "highest")


def of_runs(runs: Sequence[ReportedRun], urls: Mapping[str, str]) -> str:
    """Return what each run is and came to. urls: of the runs' pages, by their ids."""
    apart = differences(runs)
    columns = (*RUNS, "differs in") if any(apart) else RUNS
    rows = [[_link(run.folder.name, urls.get(run.id)), *_facts(run), apart[i]] for i, run in enumerate(runs)]
    return markdown(columns, [row[: len(columns)] for row in rows])


def _facts(run: ReportedRun) -> list[str]:
    record, best, seconds = run.record, run.record.get("best"), run.record.get("training_seconds")
    return [
        run.name,
        run.data,
        run.model,
        run.seed,
        str(record.get("state", "")),
        "" if run.accuracy is None else percent(run.accuracy),
        f"{best['metric']} {best['value']:.4f}, epoch {best['epoch']}" if best and best["value"] is not None else "",
        str(record.get("kept", "")),
        str(record.get("epochs", "")),
        "" if seconds is None else f"{seconds / 60:.1f} min",
    ]


def of_repeats(sets: Sequence[Repeats]) -> str:
    """Return what each recipe came to over its seeds."""
    apart = differences([one.runs[0] for one in sets])
    rows = []
    for one, settings in zip(sets, apart, strict=True):
        seeds, known = ", ".join(run.seed for run in one.runs), one.accuracies
        ends = [percent(min(known)), percent(max(known))] if known else ["", ""]
        rows.append([one.runs[0].name, settings, str(len(one.runs)), seeds, one.spread, *ends])
    return markdown(SPREAD, rows)


def of_setup(runs: Sequence[ReportedRun]) -> str:
    """Return what each run ran on."""
    return markdown(SETUP, [[run.folder.name, *_environment(run.environment)] for run in runs])


def _environment(values: Mapping[str, Any]) -> list[str]:
    versions, git = values.get("versions", {}), values.get("git") or {}
    commit = f"{git['commit'][:12]}{', changed' * bool(git.get('changed'))}" if git.get("commit") else ""
    return [
        str(values.get("device", "")),
        str(values.get("python", "")),
        str(versions.get("torch", "")),
        str(versions.get("frame-train", "")),
        commit,
    ]


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; an empty cell becomes a dash."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') or '–' for cell in line)} |" for line in lines)


def _link(text: str, url: str | None) -> str:
    return f"[{text}]({url})" if url else text
