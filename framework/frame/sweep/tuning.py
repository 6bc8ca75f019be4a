"""The sweep itself: Ray Tune runs the trials side by side, on this machine or on a cluster."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..compute.interrupts import StopRequest
from ..console import Console
from ..console.events import SweepBegin, TrialBegin, TrialEnd
from ..errors import UserError
from ..rundir.folder import RunDir
from ..rundir.new import new_path
from .record import ENDED, SweepDir, Trial
from .search import Search
from .spec import overrides

if TYPE_CHECKING:
    from .spec import Sweep

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else Ray packs the folder of a `uv run` and makes its environment anew
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
}
LOCAL = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listens on the loopback interface only
    "RAY_enable_pipe_based_agent_to_parent_health_check": "1",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",  # else Ray's agents outlive a sweep that is killed by a minute
}
"""For a Ray of our own, on this machine."""
CONNECT_TIMEOUT_S = 10
"""Seconds that a cluster may take to answer."""
MISSING = "frame sweep needs Ray Tune and Optuna: pip install 'frame-train[ray]'"


def require_ray(address: str | None) -> None:
    """Raise UserError where the extra is not installed. address: of the cluster that will be joined."""
    os.environ.update(QUIET if address else QUIET | LOCAL)  # before Ray is imported, which reads them then
    try:
        import optuna  # noqa: F401
        import ray.tune  # noqa: F401
    except ImportError as error:
        raise UserError(MISSING, "missing-package") from error


def run_sweep(folder: SweepDir, out: Path, address: str | None, console: Console) -> bool:
    """Run all trials that have not ended. Returns False where it was asked to stop before the last."""
    search, stop, sweep = Search(folder), StopRequest(), folder.sweep
    told = SweepBegin(
        event="sweep_begin", sweep=str(folder.path), trials=sweep.trials, metric=sweep.metric, mode=sweep.mode
    )
    console.tell(told)
    if not search.waiting and len(folder.trials) >= folder.sweep.trials:
        return True
    with stop.listening(), _cluster(address) as storage, stop.patience():
        _tune(Controller(folder, search, out, console, stop), storage)
    folder.settle()
    return all(trial.state in ENDED for trial in folder.trials) and len(folder.trials) == folder.sweep.trials


@contextmanager
def _cluster(address: str | None) -> Iterator[str]:
    """Start Ray on this machine for as long as the block takes, or join the cluster at `address`."""
    import ray

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    with tempfile.TemporaryDirectory(prefix="frame-", ignore_cleanup_errors=True) as folder:
        if address is None:
            options |= {"num_cpus": len(os.sched_getaffinity(0)), "include_dashboard": False, "_temp_dir": folder}
        try:
            if address:
                _check_reachable(address)
            ray.init(address or "local", **options)
        except (OSError, ValueError) as error:
            where = f"the cluster at {address} cannot be reached" if address else "Ray does not start"
            raise UserError(f"{where}: {str(error).partition(chr(10))[0]}", "unreachable") from error
        try:
            yield folder
        finally:
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.removeprefix("ray://"), int(port)), CONNECT_TIMEOUT_S).close()


class Controller:
    """What Tune asks for trials and tells of them."""

    def __init__(self, folder: SweepDir, search: Search, out: Path, console: Console, stop: StopRequest) -> None:
        self.folder, self.search, self.out, self.console, self.stop = folder, search, out, console, stop
        self.trials: dict[str, Trial] = {}
        self.threads = ""

    def __getstate__(self) -> dict[str, Any]:
        """Nothing goes into the files in which Tune saves itself: sweep.json holds all that is needed to go on."""
        return {}

    def start(self, name: str) -> dict[str, Any] | None:
        """Return the next trial as Tune's config, None when there is none. name: Tune's for the trial."""
        sweep, trial = self.folder.sweep, self.search.next()
        if trial is None:
            return None
        run = RunDir(Path(trial.run) if trial.run else new_path(self.out.resolve(), sweep.recipe.name))
        trial.state, trial.run = "running", str(run.path)
        self.trials[name] = trial
        self.folder.save()
        command = ["run", *sweep.base, *overrides(trial.point), "--folder", str(run.path)]
        command += ["--group", self.folder.path.resolve().name]
        if run.recipe.is_file():
            command = ["resume", str(run.path)]
        told = TrialBegin(event="trial_begin", trial=trial.number, point=trial.point, run=trial.run)
        self.console.tell(told)
        self.console.say_fields([f"trial {trial.number}/{sweep.trials}", *overrides(trial.point)])
        return {
            "run": str(run.path),
            "command": command,
            "cwd": str(Path.cwd()),
            "threads": self.threads,
            "metric": sweep.metric,
            "mode": sweep.mode,
        }

    def end(self, name: str, *, ended: bool = False, error: str | None = None) -> None:
        """Note how a trial ended: by itself, with an error, or stopped."""
        trial = self.trials[name]
        trial.state = "failed" if error else "finished" if ended else "stopped"
        if trial.state == "stopped" and self.stop.requested:
            trial.state = "interrupted"
        trial.error = error
        if error and trial.run and not Path(trial.run).exists():  # it never began
            trial.run = None
        trial.read(self.folder.sweep)
        self.folder.save()
        self.search.tell(trial)
        self.console.tell(
            TrialEnd(
                event="trial_end",
                trial=trial.number,
                state=trial.state,
                value=trial.value,
                epochs=trial.epochs,
                run=trial.run,
                error=trial.error,
            )
        )
        value = "" if trial.value is None else f"  {self.folder.sweep.metric} {trial.value:.4f}"
        reason = f"  {trial.error}" if trial.error else ""
        self.console.say(f"trial {trial.number}/{self.folder.sweep.trials}  {trial.state}{value}{reason}")


def _tune(controller: Controller, storage: str) -> None:
    """Give the trials to Ray Tune, and wait."""
    from ray import tune
    from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler

    from .hooks import Results, StopSweep, Suggestions
    from .trial import RunProcess

    sweep = controller.folder.sweep
    concurrency, cores, gpus = trial_resources(sweep)
    controller.threads, said = threads(sweep, cores)
    controller.console.say(f"sweep     up to {concurrency} trial{'s' * (concurrency > 1)} at a time, {said}")
    scheduler: Any = FIFOScheduler()  # type: ignore[no-untyped-call]
    if asha := sweep.settings.scheduler:
        scheduler = AsyncHyperBandScheduler(
            time_attr="epoch",
            max_t=ceil(sweep.epochs) + 1,
            grace_period=asha.min_epochs,
            reduction_factor=asha.reduction,
        )
    config = tune.TuneConfig(
        metric="value", mode=sweep.mode, search_alg=Suggestions(controller), scheduler=scheduler, num_samples=-1,
        max_concurrent_trials=concurrency, reuse_actors=True,
    )  # fmt: skip
    run = tune.RunConfig(
        storage_path=storage, verbose=0, callbacks=[Results(controller)], stop=StopSweep(controller),
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
    )  # fmt: skip
    tune.Tuner(tune.with_resources(RunProcess, {"cpu": cores, "gpu": gpus}), tune_config=config, run_config=run).fit()


def trial_resources(sweep: Sweep) -> tuple[int, int, float]:
    """Return how many trials run at a time, and the cores and GPUs of each. Raises UserError for more than fit."""
    import ray

    there = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cores, gpus = int(there.get("CPU", 1)), 0 if sweep.recipe.train.device == "cpu" else int(there.get("GPU", 0))
    wanted = sweep.settings.concurrency
    concurrency = (gpus or max(cores // 2, 1)) if wanted == "auto" else wanted
    if concurrency > cores:
        text = f"concurrency: {concurrency} trials at a time need as many cores, and there are {cores}"
        raise UserError(text, "bad-value")
    concurrency = min(concurrency, sweep.trials)
    return concurrency, cores // concurrency, min(1.0, gpus / concurrency)


def threads(sweep: Sweep, cores: int) -> tuple[str, str]:
    """Return OMP_NUM_THREADS of each trial, and what is said of its CPU threads.

    The user's own value stays; without one each trial takes its share of the cores. The recipe's train.threads goes
    before both.
    """
    given = os.environ.get("OMP_NUM_THREADS", "").strip()
    count, why = (given, "OMP_NUM_THREADS") if given else (str(cores), "its share of the cores")
    if "train.threads" in sweep.space:
        return count, "each with the CPU threads that the sweep gives it (train.threads)"
    if of_recipe := sweep.recipe.train.threads:
        return count, f"each with {of_recipe} CPU thread{'s' * (of_recipe > 1)} (train.threads)"
    return count, f"each with {count} CPU thread{'s' * (count != '1')} ({why})"
