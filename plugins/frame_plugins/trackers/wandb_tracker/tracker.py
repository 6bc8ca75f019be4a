"""Sends a run to W&B: rows and pictures as they come, tables and artifacts at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import wandb

from frame import AnalyzerResult, Matrix, Table, TrainingRun, hide_secrets

from . import artifacts, charts, files, media, predictions, settle
from .best import models_of, noted
from .naming import note
from .session import Patience, arrived_marker, environment, segments, tear_down

EXIT_CODES = {"finished": 0, "interrupted": 255}  # 255: what wandb itself reports after Ctrl-C
LOCAL_S = 120.0
"""Seconds that a call of an offline session may take, which waits for no server."""
ASK_S = 1.0
"""Seconds that must be left to ask the server once more."""
GRACE_S = 5.0
"""Seconds that the ends of sessions may take over what they were given."""
PANEL_BYTES = 16 * 2**20
"""A larger report is an artifact only: as a panel it would be slow to open."""
PREDICTIONS = "predictions"


@dataclass(frozen=True)
class Content:
    """What is sent: the config, none of these secrets, so many images in the table, and what the settings ask for."""

    config: Mapping[str, Any]
    secrets: set[str]
    table_images: int
    alert: bool
    last_checkpoint: bool
    registry: str | None


class WandbTracker:
    """Logs to one W&B run, and to another session of it, offline, from where the server does not answer any more.

    offline(): starts that session.
    """

    def __init__(
        self, session: wandb.Run, run: TrainingRun, offline: Callable[[], wandb.Run], content: Content,
        patience: Patience,
    ) -> None:  # fmt: skip
        self._session, self._run, self._offline = session, run, offline
        online = session.settings.mode == "online"
        self._content, self._patience = content, patience if online else Patience(LOCAL_S)
        self._own_curves = charts.own_curves(run.recipe)
        self._late: dict[str, Table | Matrix] = {}
        self._selection = predictions.Selection(content.table_images)
        self._dataset_used = False
        self._api: wandb.Api | None = None
        with environment(run.folder):
            self._patience.call("name its metrics", lambda: define_metrics(session))
            if online:
                self._use_dataset()

    def log(self, metrics: Mapping[str, float], epoch: float, step: int) -> None:
        # Not `log(step=...)`: W&B drops a row whose step is lower than the last one.
        row = {**metrics, "epoch": epoch, "trainer/step": step}
        self._patience.call("take a row", lambda: self._session.log(row))

    def log_result(self, name: str, result: AnalyzerResult) -> None:
        """Log pictures as `<name>/<figure>` at once; tables, W&B's own charts and images wait for the end.

        Curves of the metrics are W&B's own anyway. A table, a chart's too, is an artifact, and one that the server does
        not take is in no log of wandb's, unless the session is offline: they are logged when it is known which it is.
        """
        self._late |= {f"{name}/{table.name}_table": table for table in result.tables}
        self._late |= {f"{name}/{one.name}": one for one in result.figures if charts.is_native(one)}
        self._selection.add(name, result.images)
        folder = self._run.folder / "analysis" / name
        pictures = {
            f"{name}/{figure.name}": media.image(figure, folder / f"{figure.name}.png")
            for figure in result.figures
            if charts.is_picture(figure, of_curves=name in self._own_curves)
        }
        facts: dict[str, float | str] = {f"{name}/{key.replace(' ', '_')}": one for key, one in result.scalars.items()}
        if result.notes:  # what could not be shown, and why
            facts[f"{name}/notes"] = " ".join(result.notes)

        def send() -> None:
            shown = dict(self._session.summary)
            self._session.summary.update(facts)
            if new := {key: item for key, item in pictures.items() if not media.is_shown(item, shown.get(key))}:
                self._session.log(new)

        with environment(self._run.folder):
            self._patience.call(f"take the results of {name}", send)

    def finish(self, status: str) -> None:
        """Log what waits, end the run, and see that the server has all rows; else keep the end offline."""
        code = EXIT_CODES.get(status, 1)
        online = self._session.settings.mode == "online"
        self._patience.begin_the_end()
        with environment(self._run.folder):
            try:
                if online:
                    self._patience.call("say what it has", self._rows_there)
                self._patience.call("take the results", lambda: self._log_end(self._session, status))
                rows = self._patience.call("count its rows", lambda: self._session.step)
                self._end(self._session, code)
                if online:
                    self._see_arrived(rows)
            except Exception as error:
                if not online:
                    raise
                self._go_on_offline(status, code)
                text = (
                    f"W&B stopped answering ({error}); nothing is lost, upload it with: frame sync {self._run.folder}"
                )
                raise RuntimeError(text) from error
            if online and self._content.registry and status == "finished":
                self._link(self._content.registry)

    def _link(self, registry: str) -> None:
        """Link the model, which W&B has by now. What fails here is left to `frame sync`."""
        api, path = self._asked(), f"{self._session.entity}/{self._session.project}"
        try:
            self._patience.call("link the model", lambda: settle.link(api, path, self._run.folder, registry))
        except Exception as error:
            self._run.warn(f"{error}; try it again with: frame sync {self._run.folder}")

    def _end(self, session: wandb.Run, code: int) -> None:
        # wandb keeps to the bound itself, unless its process is gone.
        self._patience.call("finish", lambda: session.finish(exit_code=code), GRACE_S)

    def _go_on_offline(self, status: str, code: int) -> None:
        """Log the end of the run, artifacts included, in a session of its own that `frame sync` appends."""
        with suppress(Exception):
            self._end(self._session, code)
        tear_down()
        self._patience = Patience(LOCAL_S)
        session = self._offline()
        self._patience.call("keep the results", lambda: self._log_end(session, status))
        self._end(session, code)

    def _log_end(self, session: wandb.Run, status: str) -> None:
        if session.disabled:
            return
        run, record = self._run, artifacts.read(self._run.folder / "run.json")
        for key in ("best", "test_accuracy", "kept"):
            if record.get(key) is not None:
                session.summary[key] = record[key]
        session.summary["last_step"] = run.step
        if error := record.get("error"):
            session.summary["error"] = error = hide_secrets(str(error))
            if self._content.alert and status == "failed" and session.settings.mode == "online":
                session.alert(f"{run.name} failed", f"{error}\n{run.folder}", level="ERROR")
        if kept_back := files.send(session, run.folder, self._content.secrets):
            run.warn(f"{', '.join(kept_back)}: not sent to W&B, for a secret in it")
            note(run.folder, kept_back=kept_back)
        if not self._dataset_used:
            session.log_artifact(self._dataset())
        if late := dict(self._kept_for_the_end(session)):
            session.log(late)
        if status == "finished":
            self._log_models(session, record)
        elif self._content.last_checkpoint and (checkpoint := artifacts.checkpoint(run)):
            session.log_artifact(checkpoint, aliases=[session.id])
        self._log_report(session)

    def _log_models(self, session: wandb.Run, record: Mapping[str, Any]) -> None:
        run, best = self._run, record.get("best") or {}
        mode = run.recipe.get("checkpoint", {}).get("mode")
        models = models_of(self._data["use"], run.data.checksum, best.get("metric"), mode)
        note(run.folder, models=asdict(models))
        for model, aliases in artifacts.models(models.collection, session.id, run, record):
            session.log_artifact(model, aliases=aliases)

    def _kept_for_the_end(self, session: wandb.Run) -> Iterator[tuple[str, Any]]:
        """Yield tables and charts with their keys; made anew for each session that they are logged to."""
        for key, one in self._late.items():
            yield key, charts.matrix(one) if isinstance(one, Matrix) else media.table(one)
        file, classes = self._run.folder / "predictions.safetensors", self._run.data.classes
        if rows := self._selection.chosen():
            shares = predictions.probabilities(file)
            yield PREDICTIONS, predictions.table(self._selection, rows, shares, classes)
            about = self._selection.about(rows, None if shares is None else len(shares))
            session.summary[f"{PREDICTIONS}/notes"] = about
            yield f"{PREDICTIONS}/about", predictions.panel(about)
        for name, chart in charts.curves(file, classes):
            yield f"{PREDICTIONS}/{name}", chart

    def _log_report(self, session: wandb.Run) -> None:
        page = self._run.folder / "report.html"
        if not page.is_file():
            return
        text = page.read_text()
        if any(secret in text for secret in self._content.secrets):
            self._run.warn("report.html holds a secret, through the recipe: it is not sent to W&B")
            return
        about = {"run": session.id, "dataset": artifacts.dataset_name(self._data["use"])}
        if models := noted(self._run.folder):
            about["model"] = f"{models.collection}:{session.id}"
        session.log_artifact(artifacts.report(self._run.name, page, about), aliases=[session.id])
        if page.stat().st_size <= PANEL_BYTES:
            session.log({"report": wandb.Html(str(page), inject=False)})

    @property
    def _data(self) -> dict[str, Any]:
        """The recipe's section, without its secrets."""
        return {"use": "dataset", **self._content.config.get("data", {})}

    def _dataset(self) -> wandb.Artifact:
        return artifacts.dataset(self._data["use"], self._data.get("root"), self._run.data)

    def _use_dataset(self) -> None:
        """Make the dataset this run's input. What fails here fails alone: it is tried again at the end."""

        def use() -> None:
            artifact = self._session.log_artifact(self._dataset())
            artifact.wait(timeout=max(1, int(self._patience.left)))
            self._session.use_artifact(artifact)

        with suppress(Exception):
            self._patience.call("take the dataset", use)
            self._dataset_used = True

    def _asked(self) -> wandb.Api:
        """Return W&B's public API."""
        self._api = self._api or wandb.Api(timeout=max(1, int(self._patience.seconds / 6)))
        return self._api

    def _rows_there(self) -> int:
        """Ask the server how many rows of the run it has. Raises where it does not answer."""
        run = self._asked().run(f"{self._session.entity}/{self._session.project}/{self._session.id}")
        return int(run.load(force=True)["historyLineCount"])

    def _see_arrived(self, rows: int) -> None:
        """Mark the session as uploaded once the server has all rows. Raises where it has not in time."""
        while (there := self._patience.call("say what it has", self._rows_there)) < rows:
            if self._patience.left < ASK_S:
                raise TimeoutError(f"it has {there} of {rows} rows")
            time.sleep(0.2)
        arrived_marker(segments(self._run.folder)[-1]).touch()


def define_metrics(session: wandb.Run) -> None:
    """Give the metrics their own x axes, and best and last to the summary."""
    for name in ("train/loss_step", "train/acc_step", "train/grad_norm", "perf/*", "lr", "momentum"):
        session.define_metric(name, step_metric="trainer/step")
    for split in ("train", "val", "test"):
        session.define_metric(f"{split}/*", step_metric="epoch")
        session.define_metric(f"{split}/acc", step_metric="epoch", summary="max,last")
        session.define_metric(f"{split}/loss", step_metric="epoch", summary="min,last")
