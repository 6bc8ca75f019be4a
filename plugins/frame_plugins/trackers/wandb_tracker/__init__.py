"""Weights & Biases as a tracker. The module is not called `wandb`, which would shadow the library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from frame import (
    Component,
    Tracker,
    TrackerComponent,
    TrainingRun,
    UserError,
    hide_secrets,
    hide_settings,
    hookimpl,
    known_secrets,
)

if TYPE_CHECKING:
    import wandb


class Wandb(TrackerComponent):
    """Sends metrics, figures and tables to Weights & Biases, or keeps them until `frame sync` sends them.

    It never asks for a key and never stops the training. Everything it writes lies in the run's folder, under `wandb/`;
    move or delete the folder after `frame sync` only, which uploads from there. Texts under names such as `api_key`,
    `token` or `password`, and values of environment variables with such names, are not sent.
    Source: the wandb package, https://docs.wandb.ai.
    """

    project: str | None = Field(None, min_length=1)
    """W&B project that the run belongs to; without it WANDB_PROJECT, else `frame`."""
    entity: str | None = None
    """W&B user or team; without it WANDB_ENTITY, else the key's default entity."""
    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    """`auto`: online with credentials (WANDB_API_KEY, WANDB_IDENTITY_TOKEN_FILE or `wandb login`), else offline, and
    WANDB_MODE=offline or disabled is obeyed. `online` without credentials or network warns and goes offline."""
    name: str | None = None
    """The run's name at W&B; without it WANDB_NAME, else the recipe's name and the end of the run's id."""
    group: str | None = None
    """W&B group, to gather runs that belong together; without it WANDB_RUN_GROUP, else the name of the sweep, or what
    the runs of one `--repeat` have in common."""
    job_type: str | None = None
    """W&B job type, to tell the runs of a group apart; without it WANDB_JOB_TYPE, else `train`."""
    tags: tuple[str, ...] | None = None
    """W&B tags; without them WANDB_TAGS, else dataset, model and the recipe's plugins."""
    notes: str | None = None
    """Notes, shown with the run; without them WANDB_NOTES."""
    table_images: int = Field(500, ge=0)
    """Images in the table of predictions at most, in the order that the analyzers show them; 0 leaves it out."""
    alert: bool = True
    """Whether W&B is to send an alert, as its user's settings have it, where a run that is online fails."""
    patience_s: float = Field(60, gt=0, allow_inf_nan=False)
    """Seconds that W&B may hold the run: at its start, then tracking goes on offline; at one row or one analyzer's
    results, then it is off; and at the end, all of it together. Where the server is gone by then, the end is kept in an
    offline session, which waits for nobody. `frame sync` and `frame report --wandb` wait as long for an answer."""
    time_limit_s: float = Field(900, gt=0, allow_inf_nan=False)
    """Seconds that one call, its start and its end too, may hold the run; then it is off. Raise it with
    `patience_s`."""

    def build(self, run: TrainingRun) -> Tracker:
        _need_wandb()
        from .artifacts import read
        from .naming import names, note_place
        from .session import Patience, environment, session_settings, set_up, start
        from .tracker import Content, WandbTracker

        about = read(run.folder / "environment.json")
        code = {"version": about.get("versions", {}).get("frame-train"), **(about.get("git") or {})}
        secrets = set(known_secrets())
        config = hide_settings({**run.recipe, "frame": code}, secrets)
        told = {
            "project": self.project,
            "entity": self.entity,
            "run_name": self.name,
            "run_group": self.group,
            "run_job_type": self.job_type,
            "run_tags": self.tags,
            "run_notes": self.notes,
        }
        given = {
            "git_commit": code.get("commit"),
            "root_dir": str(run.folder.absolute()),
            "init_timeout": self.patience_s,
            "finish_timeout": self.patience_s,
        }

        def offline() -> wandb.Run:
            return start("offline", base, session_settings(given, resumed=True), config, run.warn)

        with environment(run.folder):
            base = set_up(self.patience_s)
            given |= hide_secrets(names(told, run, base))
            session = start(self.mode, base, session_settings(given, resumed=run.resumed), config, run.warn)
            if not session.disabled:
                note_place(run.folder, session)
        content = Content(config, secrets, self.table_images, self.alert)
        return WandbTracker(session, run, offline, content, Patience(self.patience_s))

    def sync(self, folder: Path) -> str:
        """Run `wandb sync` on what is not uploaded yet, and ask W&B for every row, media file and artifact.

        Checked are the number of rows, the name and size of each media file, and the digest and state of each artifact
        that was logged offline; not that rows hold the right values. An artifact logged online is checked by wandb.
        """
        _need_wandb()
        from .sync import sync

        return sync(folder, self.patience_s)

    def publish(
        self, folders: Sequence[Path], *, sweep: Path | None = None, update: bool = False, view: bool = False
    ) -> str:
        try:
            from .report import Wanted, save
        except ImportError as error:
            need = "a W&B report needs the package wandb-workspaces: pip install 'frame-train[wandb-reports]'"
            raise UserError(f"{need} ({error})") from error

        from .session import environment

        with environment(folders[0]):
            return save(folders, Wanted(sweep, update, view), self.patience_s)


def _need_wandb() -> None:
    try:
        from wandb import Settings  # noqa: F401
    except ImportError as error:  # also where a local folder `wandb/` imports as an empty package
        raise UserError(f"the tracker 'wandb' needs the package wandb: pip install wandb ({error})") from error


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Return the tracker."""
    return {"wandb": Wandb}
