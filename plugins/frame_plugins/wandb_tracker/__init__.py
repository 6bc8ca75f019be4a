"""Weights & Biases as a tracker. The module is not called `wandb`, which would shadow the library."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from frame import Component, Tracker, TrackerComponent, TrainingRun, UserError, hookimpl


class Wandb(TrackerComponent):
    """Sends metrics, figures and tables to Weights & Biases, or keeps them until `wandb sync` sends them.

    It never asks for a key and never stops the training. Everything it writes lies in the run's folder, under `wandb/`.
    Source: the wandb package, https://docs.wandb.ai.
    """

    project: str = Field("frame", min_length=1)
    """W&B project that the run belongs to."""
    entity: str | None = None
    """W&B user or team; the key's default entity without it."""
    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    """`auto`: online with credentials (WANDB_API_KEY, WANDB_IDENTITY_TOKEN_FILE or `wandb login`), else offline, and
    WANDB_MODE=offline or disabled is obeyed. `online` without credentials or network warns and goes offline."""
    name: str | None = None
    """The run's name at W&B; its id in frame without it."""
    group: str | None = None
    """W&B group, to gather runs that belong together."""
    tags: tuple[str, ...] = ()
    """W&B tags."""
    notes: str | None = None
    """Notes, shown with the run."""
    start_timeout_s: float = Field(30, gt=0, allow_inf_nan=False)
    """Seconds that the server has to accept the run; then tracking goes on offline."""
    finish_timeout_s: float = Field(60, gt=0, allow_inf_nan=False)
    """Seconds that the last uploads have at the end; what is left stays in the run's folder."""

    def build(self, run: TrainingRun) -> Tracker:
        try:
            from wandb import Settings
        except ImportError as error:  # also where a local folder `wandb/` imports as an empty package
            raise UserError(f"the tracker 'wandb' needs the package wandb: pip install wandb ({error})") from error

        from .tracker import WandbTracker, environment, start

        with environment(run.folder):
            settings = Settings(
                project=self.project,
                entity=self.entity,
                run_id=re.sub(r"[^A-Za-z0-9_-]+", "-", run.run_id),
                run_name=self.name or run.run_id,
                run_group=self.group,
                run_tags=self.tags,
                run_notes=self.notes,
                resume="allow" if run.resumed else None,
                reinit="create_new",  # otherwise a run that is still open is handed out again
                root_dir=str(run.folder),
                init_timeout=self.start_timeout_s,
                finish_timeout=self.finish_timeout_s,
                finish_timeout_raises=True,
                x_transaction_log_flush_interval=1,  # seconds; with the default, 15, a killed run loses its last rows
                silent=True,
                console="off",
                disable_git=True,
                disable_code=True,
                save_code=False,
            )
            wandb_run = start(self.mode, settings, dict(run.recipe), run.warn)
        return WandbTracker(wandb_run, run.folder)


@hookimpl
def frame_components() -> dict[str, type[Component]]:
    """Return the tracker."""
    return {"wandb": Wandb}
