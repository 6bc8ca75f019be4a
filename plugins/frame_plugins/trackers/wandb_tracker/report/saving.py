"""Sends a report, and a saved view, to W&B; changes those that it made before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import wandb
from wandb_workspaces.reports.v2 import interface as wr

from frame import RunFailed, UserError, shorten

from ..best import mark_best
from ..naming import PROJECT, place
from ..session import has_credentials, within
from . import sweeps, views
from .comparing import comparable
from .remembered import Made, find, remember
from .runs import ReportedRun, load
from .shapes import Shape, Site, shape

LINKED = 10
"""Runs whose artifacts are linked at most: each is a question to the server."""
LINKED_TYPES = ("dataset", "model", "report")
TITLE = 120
"""Characters of a title at most: it becomes a part of the URL."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted. sweep: the folder of the sweep that the runs are of. update: change what was made before."""

    sweep: Path | None = None
    update: bool = False
    view: bool = False


def save(folders: Sequence[Path], wanted: Wanted, timeout_s: float) -> str:
    """Save a report, a new one as a draft, and return its URL.

    Raises UserError for runs that cannot be reported on, without credentials, and where there is no report to change;
    RunFailed if W&B has not taken it after `timeout_s` seconds: it takes a dozen requests, each of which may be tried
    again, hence the thread.
    """
    runs = [load(folder) for folder in folders]
    sweep = sweeps.load(wanted.sweep) if wanted.sweep else None
    project, entity = one_project(folders)
    before = find(runs) if wanted.update else None
    if not has_credentials(wandb.setup().settings.base_url):
        raise UserError("W&B has no credentials: set WANDB_API_KEY or run `wandb login`")

    def send() -> Made:
        api = wandb.Api()
        owner = entity or api.settings["entity"] or api.default_entity
        if not owner:
            raise UserError("W&B knows no default entity for this key: name one, WANDB_ENTITY=...")
        mark_best(api, f"{owner}/{project}", folders)
        site = _site(api, owner, project, runs)
        view = before.view if before else None
        if view or wanted.view:
            view = views.save(runs, sweep, site, view)
        url = _send(api, shape(runs, sweep, replace(site, view=view)), site, before)
        return Made(url, view, [run.id for run in runs])

    try:
        made = within(timeout_s, "take the report", send)
    except TimeoutError:
        raise RunFailed(f"W&B did not take the report within {timeout_s:g} s; try again later") from None
    except (UserError, RunFailed):
        raise
    except Exception as error:  # whatever the server, the network or the client's parsing comes to
        reason = shorten(" ".join(f"{type(error).__name__}: {error}".split()), 300)
        raise RunFailed(f"W&B did not take the report ({reason})") from error
    remember(runs, made, instead_of=before)
    return made.url


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


def _send(api: wandb.Api, what: Shape, site: Site, before: Made | None) -> str:
    """Save a report and return its URL. One that was made before keeps its comments, and stays published if it is."""
    title = shorten(re.sub(r"[^\w .,:-]+", "-", what.title), TITLE)
    count = len(site.urls)
    description = f"Made by frame from {count} run{'s' * (count > 1)}."
    if before is None:
        report = wr.Report(project=site.project, entity=site.entity, title=title, description=description)
        published = False
    else:
        report = wr.Report.from_url(before.url)
        report.title, report.description = title, description
        published = any(one.id == report.id for one in api.reports(f"{site.entity}/{site.project}"))
    report.blocks, report.width = list(what.blocks), "fluid"
    return str(report.save(draft=not published).url)


def _site(api: wandb.Api, entity: str, project: str, runs: Sequence[ReportedRun]) -> Site:
    """Ask where the runs' pages and artifacts are. Raises RunFailed where W&B has not all of the runs."""
    ids = [run.id for run in runs]
    try:
        there = {run.id: run for run in api.runs(f"{entity}/{project}", filters={"name": {"$in": ids}})}
    except ValueError as error:
        raise RunFailed(f"W&B did not take the report: project '{entity}/{project}' not found ({error})") from error
    if missing := [run for run in runs if run.id not in there]:
        text = f"its run '{missing[0].id}' is not in W&B's project {entity}/{project}: was it deleted there?"
        raise RunFailed(f"{missing[0].folder}: {text}")
    linked = [best for each in comparable(runs) if (best := each.best)]
    linked += [run for run in runs if run not in linked]
    artifacts = {run.id: _links(there[run.id]) for run in linked[:LINKED]}
    return Site(entity, project, {name: run.url for name, run in there.items()}, artifacts)


def _links(run: Any) -> Mapping[str, str]:
    """Return Markdown links to a run's data, models and report, by their type."""
    found: dict[str, dict[str, None]] = {}  # each once: a run logs the data that it uses
    for artifact in (*run.used_artifacts(), *run.logged_artifacts()):
        if artifact.type in LINKED_TYPES:
            aliases = ", ".join(alias.removeprefix(f"{run.id}-") for alias in artifact.aliases if alias != run.id)
            text = f"{artifact.name} ({aliases})" if aliases else artifact.name
            found.setdefault(artifact.type, {})[f"[{text}]({_address(artifact, run)})"] = None
    return {kind: ", ".join(found[kind]) for kind in LINKED_TYPES if kind in found}


def _address(artifact: Any, run: Any) -> str:
    """Return the address of an artifact's page; `artifact.url` would ask the server for each."""
    server, *_ = str(run.url).rsplit("/", 4)  # before entity, project, `runs` and the id
    collection = quote(artifact.name.partition(":")[0])
    return f"{server}/{artifact.entity}/{artifact.project}/artifacts/{artifact.type}/{collection}/{artifact.version}"
