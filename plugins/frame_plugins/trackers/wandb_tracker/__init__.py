"""Weights & Biases as a tracker. The module is not called `wandb`, which would shadow the library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from frame import (
    Component,
    Tracker,
    TrackerComponent,
    TrainingRun,
    UserError,
    hide_secrets,
    hookimpl,
    known_secrets,
)

if TYPE_CHECKING:
    import wandb

COLLECTION = re.compile(r"[^/:]+(/[^/:]+){1,2}")


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
    """Images in the table of predictions at most, which the analyzers, and in each the classes, right and wrong, share
    in turn; images with activation maps come first. 0 leaves the table out."""
    alert: bool = True
    """Whether W&B is to send an alert, as its user's settings have it, where a run that is online fails."""
    last_checkpoint: bool = False
    """Whether the last checkpoint of a run that fails or is interrupted is sent, as an artifact; a cluster that takes
    the machine away may leave too little time for it."""
    registry: str | None = None
    """Collection of W&B's registry that a finished run's model is linked to, such as `models/digits`, or
    `my_org/models/digits`. `frame sync` links that of a run that was offline."""
    patience_s: float = Field(60, gt=0, allow_inf_nan=False)
    """Seconds that W&B may hold the run: at its start, then tracking goes on offline; at one row or one analyzer's
    results, then it is off; and at the end, all of it together. Where the server is gone by then, the end is kept in an
    offline session, which waits for nobody. `frame sync` and `frame report --wandb` wait as long for an answer."""
    time_limit_s: float = Field(900, gt=0, allow_inf_nan=False)
    """Seconds that one call, its start and its end too, may hold the run; then it is off. Raise it with
    `patience_s`."""

    @field_validator("registry")
    @classmethod
    def _names_a_collection(cls, registry: str | None) -> str | None:
        if registry is not None and not COLLECTION.fullmatch(registry):
            raise ValueError("must be REGISTRY/COLLECTION, or ORGANIZATION/REGISTRY/COLLECTION")
        return registry

    def build(self, run: TrainingRun) -> Tracker:
        _need_wandb()
        from .artifacts import read
        from .config import config
        from .files import split
        from .naming import names, note, note_place
        from .session import Patience, environment, session_settings, set_up, start
        from .tracker import Content, WandbTracker

        code = read(run.folder / "environment.json").get("git") or {}
        secrets = set(known_secrets())
        values = config(run, secrets)
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
            "git_remote_url": code.get("remote"),
            "root_dir": str(run.folder.absolute()),
            "init_timeout": self.patience_s,
            "finish_timeout": self.patience_s,
        }

        def offline() -> wandb.Run:
            return start("offline", base, session_settings(given, resumed=True), values, run.warn)

        with environment(run.folder):
            base = set_up(self.patience_s)
            given |= hide_secrets(names(told, run, base))
            session = start(self.mode, base, session_settings(given, resumed=run.resumed), values, run.warn)
            if not session.disabled:
                note_place(run.folder, session)
                note(run.folder, kept_back=split(run.folder, secrets)[1])
        content = Content(values, secrets, self.table_images, self.alert, self.last_checkpoint, self.registry)
        return WandbTracker(session, run, offline, content, Patience(self.patience_s))

    def sync(self, folder: Path) -> str:
        """Run `wandb sync` on what is not uploaded yet, ask W&B for all of it, and do what only a run at W&B can have.

        Checked are the number of rows, the name and size of each media file, and the digest and state of each artifact
        that was logged offline; not that rows hold the right values. An artifact logged online is checked by wandb.
        Then the dataset becomes the run's input, files are sent as they ended, the model is linked to the registry, and
        `best-<metric>` names the best model of its collection.
        """
        _need_wandb()
        from .sync import sync

        return sync(folder, self.patience_s, self.registry)

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
