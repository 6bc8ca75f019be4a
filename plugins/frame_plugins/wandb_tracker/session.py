"""Starting a W&B run that never prompts, never waits for ever, and keeps its files in the run's folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import wandb


@contextmanager
def environment(folder: Path) -> Iterator[None]:
    """Set what wandb takes from the environment alone, and put the environment back."""
    variables = {
        # Tables are staged there until they are uploaded: an offline run is incomplete without them.
        "WANDB_DATA_DIR": str(folder / "wandb" / "data"),
        "WANDB_ERROR_REPORTING": "false",  # without a network it delays the exit by 15 s
        "WANDB_SILENT": "true",
    }
    before = {name: os.environ[name] for name in variables if name in os.environ}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(before)


def start(mode: str, settings: wandb.Settings, config: dict[str, Any], warn: Callable[[str], None]) -> wandb.Run:
    """Start the run, offline where online is not possible: then with one warning, unless `auto` lacks credentials."""
    import wandb

    base = wandb.setup().settings
    if mode == "auto" and base.mode in ("offline", "disabled"):
        mode = base.mode
    if mode in ("auto", "online"):
        try:
            if _has_credentials(base.base_url):
                return wandb.init(mode="online", settings=settings, config=config)
            if mode == "online":
                warn("W&B has no credentials: logging offline; set WANDB_API_KEY or run `wandb login`")
        except Exception as error:  # whatever it is, offline does not need the server
            warn(f"W&B could not start online: logging offline, `wandb sync` uploads it later ({error})")
        mode = "offline"
    return wandb.init(mode=mode, settings=settings, config=config)  # type: ignore[arg-type]


def _has_credentials(base_url: str) -> bool:
    """Whether wandb will find a key for the server: without one it asks on the terminal, and waits."""
    from wandb.sdk.lib.wbauth import read_netrc_auth

    variables = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
    return any(os.environ.get(name) for name in variables) or read_netrc_auth(host=base_url) is not None
