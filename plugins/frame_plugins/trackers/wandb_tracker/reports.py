"""A W&B Report about one run or several, made from their folders: W&B fills in the curves, pictures and tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
import yaml
from wandb_workspaces.reports.v2 import interface as wr  # `v2` itself hides its names from type checkers

from frame import RunFailed, UserError, hide_settings, known_secrets, shorten

from .best import mark_best
from .charts import CLASSES, own_curves
from .naming import PROJECT, place
from .session import has_credentials, within

SEGMENT = re.compile(r"(?:offline-)?run-\d{8}_\d{6}-(.+)")
"""A folder that wandb makes for each session of a run, and the run's id in its name."""
CURVES = (
    ("Loss", "epoch", ("train/loss", "val/loss", "test/loss")),
    ("Accuracy", "epoch", ("train/acc", "val/acc", "test/acc")),
    ("Learning rate", "trainer/step", ("lr",)),
    ("Momentum", "trainer/step", ("momentum",)),
    ("Gradient norm", "trainer/step", ("train/grad_norm",)),
    ("Throughput, images/s", "trainer/step", ("perf/images_per_s",)),
)
"""Title, x axis and metrics of each plot; those that no run logged are left out."""
WIDTH = 24
"""Columns of a panel grid."""
PREDICTIONS = "predictions"
"""The key of the table of predictions."""
FIGURES = ("run", "state", "test accuracy", "best", "kept", "epochs", "training")
SETUP = ("run", "device", "Python", "PyTorch", "frame", "commit", "data")


def uploaded_id(folder: Path) -> str:
    """Return a run's id at W&B. Raises UserError where W&B has not all of it, as far as its folder knows."""
    segments = {path: match[1] for path in folder.glob("wandb/*run-*") if (match := SEGMENT.fullmatch(path.name))}
    if not segments:
        raise UserError(f"{folder} was never logged to W&B: nothing is there to report on")
    if any(path.name.startswith("offline-") and not any(path.glob("*.wandb.synced")) for path in segments):
        raise UserError(f"{folder} is not at W&B yet: upload it first with: frame sync {folder}")
    return segments[max(segments)]


def one_project(folders: Sequence[Path]) -> tuple[str, str | None]:
    """Return the project and entity that the runs were logged to. Raises UserError if there are several of them."""
    places: dict[tuple[str, str | None], Path] = {}
    for folder in folders:
        there = place(folder)
        places[there.get("project", PROJECT), there.get("entity")] = folder
    if len(places) > 1:
        named = {"/".join(filter(None, (entity, project))): folder for (project, entity), folder in places.items()}
        where = ", ".join(f"{folder} in '{name}'" for name, folder in named.items())
        raise UserError(f"the runs are in several W&B projects, and a report is in one: {where}")
    return next(iter(places))


def save(folders: Sequence[Path], timeout_s: float) -> str:
    """Save a report as a draft and return its URL.

    Raises UserError for runs that cannot be reported on and without credentials, RunFailed if W&B has not taken the
    report after `timeout_s` seconds: it takes a dozen requests, each of which may be tried again, hence the thread.
    """
    ids = [uploaded_id(folder) for folder in folders]
    project, entity = one_project(folders)
    if not has_credentials(wandb.setup().settings.base_url):
        raise UserError("W&B has no credentials: set WANDB_API_KEY or run `wandb login`")

    def send() -> str:
        api = wandb.Api()
        owner = entity or api.settings["entity"] or api.default_entity
        if not owner:
            raise UserError("W&B knows no default entity for this key: name one, WANDB_ENTITY=...")
        mark_best(api, f"{owner}/{project}", folders)
        # With its project named, a runset makes sure that the project is there: `save` would make a new one.
        runset = wr.Runset(entity=owner, project=project, name="runs", filters=f"Metric('ID') in {ids}")
        return str(report(folders, project, owner, runset).save(draft=True).url)

    try:
        return within(timeout_s, "take the report", send)
    except TimeoutError:
        raise RunFailed(f"W&B did not take the report within {timeout_s:g} s; try again later") from None
    except UserError:
        raise
    except Exception as error:  # whatever the server, the network or the client's parsing comes to
        reason = shorten(" ".join(f"{type(error).__name__}: {error}".split()), 300)
        raise RunFailed(f"W&B did not take the report ({reason})") from error


def report(folders: Sequence[Path], project: str, entity: str, runset: wr.Runset) -> wr.Report:
    """Return the report, not sent yet: headline, setup, curves, comparison, pictures, predictions."""
    records = [_read(folder / "run.json") for folder in folders]
    names = ", ".join(dict.fromkeys(str(record["name"]) for record in records))
    title = f"{names}: {len(folders)} runs" if len(folders) > 1 else f"{names} {folders[0].name}"
    blocks = [
        wr.H1(_headline(records)),
        wr.MarkdownBlock(_table(FIGURES, map(_figures, folders, records))),
        wr.H2("Setup"),
        *_setup(folders),
        wr.H2("Curves"),
        _grid(runset, _curves(folders)),
        wr.H2("Comparison" if len(folders) > 1 else "Settings and summary"),
        _grid(runset, [wr.RunComparer(diff_only=True if len(folders) > 1 else None, layout=wr.Layout(w=WIDTH, h=10))]),
    ]
    if media := _media(folders):
        blocks += [wr.H2("What the analyzers found"), _grid(runset, media)]
    if any((folder / "predictions.safetensors").is_file() for folder in folders):
        table = wr.WeavePanelSummaryTable(table_name=PREDICTIONS, layout=wr.Layout(w=WIDTH, h=14))
        blocks += [wr.H2("Predictions on the test set"), _grid(runset, [table])]
    title = shorten(re.sub(r"[^\w .,:-]+", "-", title), 120)  # it becomes a part of the URL
    description = f"Made by frame from {len(folders)} run{'s' * (len(folders) > 1)}."
    return wr.Report(project=project, entity=entity, title=title, description=description, blocks=blocks, width="fluid")


def _headline(records: Sequence[Mapping[str, Any]]) -> str:
    accuracies = [record["test_accuracy"] for record in records if record.get("test_accuracy") is not None]
    if not accuracies:
        return "No run has finished yet" if len(records) > 1 else f"This run is {records[0].get('state', 'unknown')}"
    best = f"{max(accuracies):.2%} test accuracy"
    return f"Best of {len(records)} runs: {best}" if len(records) > 1 else best


def _figures(folder: Path, record: Mapping[str, Any]) -> list[str]:
    accuracy, best, seconds = (record.get(key) for key in ("test_accuracy", "best", "training_seconds"))
    return [
        folder.name,
        str(record.get("state", "")),
        "" if accuracy is None else f"{accuracy:.2%}",
        f"{best['metric']} {best['value']:.4f}, epoch {best['epoch']}" if best and best["value"] is not None else "",
        str(record.get("kept", "")),
        str(record.get("epochs", "")),
        "" if seconds is None else f"{seconds / 60:.1f} min",
    ]


def _setup(folders: Sequence[Path]) -> list[Any]:
    recipe = (folders[0] / "recipe.resolved.yaml").read_text()
    values = yaml.safe_load(recipe)
    if (hidden := hide_settings(values, known_secrets())) != values:
        recipe = yaml.safe_dump(hidden, sort_keys=False, allow_unicode=True)
    text = "The recipe, with every value that was used:"
    if len(folders) > 1:
        text = f"The recipe of {folders[0].name}; where the others differ from it is compared below:"
    environments = [[folder.name, *_environment(_read(folder / "environment.json"))] for folder in folders]
    return [wr.MarkdownBlock(_table(SETUP, environments)), wr.P(text), wr.CodeBlock(recipe, language="yaml")]


def _environment(values: Mapping[str, Any]) -> list[str]:
    versions, git = values.get("versions", {}), values.get("git") or {}
    commit = f"{git['commit'][:12]}{', changed' * bool(git.get('changed'))}" if git.get("commit") else ""
    return [
        str(values.get("device", "")),
        str(values.get("python", "")),
        str(versions.get("torch", "")),
        str(versions.get("frame-train", "")),
        commit,
        str(values.get("data_checksum") or "")[:12],
    ]


def _curves(folders: Sequence[Path]) -> list[Any]:
    logged: set[str] = set()
    for folder in folders:
        for name in ("metrics.jsonl", "timing.jsonl"):
            prefix = "perf/" if name == "timing.jsonl" else ""
            logged |= {f"{prefix}{key}" for line in _lines(folder / name) for key in line}
    plots: list[wr.Panel] = []
    for title, x, keys in CURVES:
        y: list[wr.MetricType] = [key for key in keys if key in logged]
        if y:
            x_title = "epoch" if x == "epoch" else "optimizer step"
            layout = wr.Layout(x=len(plots) % 2 * WIDTH // 2, y=len(plots) // 2 * 8, w=WIDTH // 2, h=8)
            plots.append(wr.LinePlot(title=title, x=x, y=y, title_x=x_title, layout=layout))
    return plots


def _media(folders: Sequence[Path]) -> list[Any]:
    """Return a browser for each analyzer's pictures, in the order of the recipe."""
    keys: dict[str, dict[str, None]] = {}
    titles = {}
    for folder in folders:
        curves = own_curves(yaml.safe_load((folder / "recipe.resolved.yaml").read_text()))
        results = ((path.parent.name, _read(path)) for path in folder.glob("analysis/*/result.json"))
        for name, result in sorted(results, key=lambda found: found[1]["order"]):
            sent = [each for each in result.get("figures", ()) if _is_picture(each, of_curves=name in curves)]
            keys.setdefault(name, {}).update(dict.fromkeys(f"{name}/{Path(each['file']).stem}" for each in sent))
            titles[name] = result["title"]
    shown = [(titles[name], list(of)) for name, of in keys.items() if of]
    return [
        wr.MediaBrowser(title=title, media_keys=of, num_columns=2, layout=wr.Layout(y=12 * i, w=WIDTH, h=12))
        for i, (title, of) in enumerate(shown)
    ]


def _is_picture(figure: Mapping[str, Any], *, of_curves: bool) -> bool:
    """Whether the tracker sent a figure as a picture; `charts.is_picture` says the same of the figure itself."""
    native = figure["kind"] == "matrix" and len(figure["classes"]) <= CLASSES
    return not native and not (of_curves and figure["kind"] == "chart")


def _grid(runset: wr.Runset, panels: list[Any]) -> wr.PanelGrid:
    return wr.PanelGrid(runsets=[runset], panels=panels)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; an empty cell becomes a dash."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') or '–' for cell in line)} |" for line in lines)


def _read(path: Path) -> dict[str, Any]:
    return _parse(path, path.read_text()) if path.is_file() else {}


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    """Yield the values of a JSON-lines file, without a last line cut short."""
    text = path.read_text() if path.is_file() else ""
    return [_parse(path, line) for line in text[: text.rfind("\n") + 1].splitlines()]


def _parse(path: Path, text: str) -> dict[str, Any]:
    """Return the values of JSON read from `path`. Raises UserError where it is damaged."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: damaged: not a set of values")
    return values
