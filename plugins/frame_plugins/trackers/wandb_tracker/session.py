"""W&B sessions that never prompt, never wait for ever, and keep their files in the run's folder."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

import wandb
from wandb.sdk.lib.wbauth import read_netrc_auth

from frame import RunFailed, hide_secrets

T = TypeVar("T")
SERVER_FAILS = 500
"""HTTP's statuses from here on say that the server is at fault."""
TEAR_DOWN_S = 30
"""Seconds that wandb's own process has to end."""


@contextmanager
def environment(folder: Path) -> Iterator[None]:
    """Set what wandb takes from the environment and the command line alone, and put both back."""
    variables = {
        # Tables and artifacts are staged there until they are uploaded: an offline run is incomplete without them.
        "WANDB_DATA_DIR": str((folder / "wandb" / "data").absolute()),
        "WANDB_ERROR_REPORTING": "false",  # without a network it delays the exit by 15 s
        "WANDB_SILENT": "true",
    }
    before = {name: os.environ[name] for name in variables if name in os.environ}
    os.environ.update(variables)
    command, sys.argv = sys.argv, hide_secrets(sys.argv)
    try:
        yield
    finally:
        for name in variables:
            os.environ.pop(name, None)
        os.environ.update(before)
        sys.argv = command


class OutOfPatience(TimeoutError):
    """A call of W&B's takes longer than it may."""


def within(seconds: float, what: str, call: Callable[[], T]) -> T:
    """Return what a call comes to. Raises TimeoutError; a call that hangs does not keep the process alive."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # handed over, SystemExit too: wandb raises it where its process crashed
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return future.result(timeout=seconds)
    except TimeoutError:
        if future.done():
            raise
        raise OutOfPatience(f"W&B took more than {seconds:g} s to {what}") from None


class Patience:
    """The seconds that W&B may take over each call, or, once the end has begun, over all that is left together."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._until = seconds, math.inf

    def begin_the_end(self) -> None:
        """Let the calls from now on share the seconds."""
        self._until = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Seconds that the next call has."""
        return max(0.0, min(self.seconds, self._until - time.monotonic()))

    def call(self, what: str, call: Callable[[], T], grace: float = 0) -> T:
        """Return what a call comes to. Raises TimeoutError where it takes longer than what is left, and `grace`."""
        try:
            return within(self.left + grace, what, call)
        except OutOfPatience:
            together = " with the rest of the end" if self._until < math.inf else ""
            raise TimeoutError(f"W&B took more than {self.seconds:g} s to {what}{together}") from None


def knock(address: str, seconds: float) -> None:
    """Raise RunFailed where W&B's server does not answer; wandb itself tries on for a minute and more.

    Whatever it answers will do, for credentials are checked later, but that it has a failure of its own.
    """
    since = time.monotonic()
    try:
        with urlopen(address, timeout=seconds):  # noqa: S310 - the user's own WANDB_BASE_URL
            return
    except HTTPError as answer:
        reason = f"HTTP {answer.code}" if answer.code >= SERVER_FAILS else ""
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "reason", error))
    if reason:
        took = time.monotonic() - since
        raise RunFailed(f"W&B's server {address} does not answer ({reason}, after {took:.1f} s); try again later")


def set_up(patience_s: float) -> wandb.Settings:
    """Start wandb's own process and return its settings, before any run's.

    Logging a table or an artifact asks the server, by these settings: it answers soon, or wandb does without.
    """
    bounds = wandb.Settings(
        x_graphql_retry_max=1,
        x_graphql_retry_wait_max_seconds=0.1,
        x_graphql_timeout_seconds=patience_s / 12,
    )
    return wandb.setup(settings=bounds).settings


def start(
    mode: str, base: wandb.Settings, settings: wandb.Settings, config: dict[str, Any], warn: Callable[[str], None]
) -> wandb.Run:
    """Start a session, offline where online is not possible: then with one warning, unless `auto` lacks credentials."""
    if mode == "auto" and base.mode in ("offline", "disabled"):
        mode = base.mode
    if mode in ("auto", "online"):
        try:
            unsent = [log for log in segments(Path(settings.root_dir)) if not arrived_marker(log).exists()]
            if not has_credentials(base.base_url):
                if mode == "online":
                    warn("W&B has no credentials: logging offline; set WANDB_API_KEY or run `wandb login`")
            elif unsent:  # to be uploaded in order: an earlier session would overwrite the rows of a later one
                warn("W&B does not have all of this run's earlier part: logging offline, `frame sync` uploads both")
            else:
                return _begin("online", settings, config)
        except Exception as error:  # whatever it is, offline does not need the server
            warn(f"W&B could not start online: logging offline, `frame sync` uploads it later ({error})")
            tear_down()  # until then the run's id counts as taken
        mode = "offline"
    return _begin(mode, settings, config)


def _begin(mode: str, settings: wandb.Settings, config: dict[str, Any]) -> wandb.Run:
    """Begin a session without links in the run's folder: frame refuses folders that have some.

    wandb links the log of its own process, which lies in its cache, whatever its settings say of links.
    """
    wandb.setup().settings.sweep_id = (
        None  # with it `init` would drop id and project; the session's own settings have it
    )
    session = wandb.init(mode=mode, settings=settings, config=config)  # type: ignore[arg-type]
    for log in Path(settings.root_dir).glob("wandb/*run-*/logs/debug-core.log"):
        if log.is_symlink():
            log.unlink(missing_ok=True)
    return session


def tear_down() -> None:
    """End wandb's process; the next session starts another one."""
    with suppress(SystemExit):  # what it raises if that process crashed
        within(TEAR_DOWN_S, "end its process", wandb.teardown)


def has_credentials(base_url: str) -> bool:
    """Whether wandb will find a key for the server: without one it asks on the terminal, and waits."""
    variables = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")
    return any(os.environ.get(name) for name in variables) or read_netrc_auth(host=base_url) is not None


def segments(folder: Path) -> list[Path]:
    """Return the transaction log of each session of the run in `folder`, oldest first; each lies in its own folder."""

    def begun(log: Path) -> tuple[str, bool]:
        name = log.parent.name.removeprefix("offline-")
        return name, name != log.parent.name  # of one second: the online one, which the offline one took over from

    return sorted(folder.glob("wandb/*run-*/run-*.wandb"), key=begun)


def arrived_marker(log: Path) -> Path:
    """The file beside a session's log that says that W&B has all of it; `wandb sync` makes and minds it too."""
    return log.with_name(f"{log.name}.synced")


def session_settings(given: dict[str, Any], *, resumed: bool) -> wandb.Settings:
    """Return a session's settings: those given, and those that keep it quiet and its log whole."""
    return wandb.Settings(
        **given,
        resume="allow" if resumed else None,
        reinit="create_new",  # otherwise a run that is still open is handed out again
        finish_timeout_raises=True,
        x_transaction_log_flush_interval=0.01,  # seconds; with the default, 15, a killed run loses its last rows
        x_graphql_retry_max=20,  # wandb's own, not the short ones of `set_up`
        x_graphql_retry_wait_max_seconds=60,
        x_graphql_timeout_seconds=30,
        silent=True,
        symlink=False,
        console="off",
        disable_git=True,
        disable_code=True,
        save_code=False,
    )
