"""The contracts of callbacks and trackers: what is built for a run in training."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import torch
from torch.nn.functional import cross_entropy

from ..api.components import CallbackComponent, Component, TrackerComponent
from ..api.contracts import TrainingRun
from ..compute.randomness import rng_state, rng_untouched, seed_everything
from .contract import ComponentContract
from .examples import analyzer_result, model_inputs, training_run
from .guards import difference, doing, drawn_since, modes, no_network, require, saved_and_loaded, weights

EPOCHS = 4
BATCH = 8
ROWS: tuple[tuple[Mapping[str, float], float, int], ...] = (
    ({"train/loss_step": 2.5, "lr": 0.1}, 0.5, 1),
    ({"train/loss_step": 1.5, "lr": 0.1}, 1.0, 2),
    ({"train/loss": 2.0, "test/acc": 0.5, "lr": 0.1}, 1.0, 2),
    ({"train/loss_step": 0.5, "lr": 0.1}, 2.0, 4),
    ({"train/loss": 1.0, "test/acc": 0.75, "lr": 0.1}, 2.0, 4),
)
"""What a tracker is logged: metrics, epoch and step of each call."""


class CallbackContract(ComponentContract):
    """What a callback promises: it gets through a run, and a resumed run ends like an uninterrupted one."""

    kind: ClassVar[type[Component]] = CallbackComponent

    def metrics(self, epoch: int) -> Mapping[str, float]:
        """Return what an epoch measured: better until the third, then worse. Override it for other metrics."""
        loss, acc = 1 + abs(epoch - 2) / 4, 0.9 - abs(epoch - 2) / 10
        return {f"{split}/{name}": value for split in ("train", "val", "test") for name, value in
                (("loss", loss), ("acc", acc))}  # fmt: skip

    @contextmanager
    def run(self) -> Iterator[TrainingRun]:
        """Give out a run of a small network in a folder of its own."""
        with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield training_run(Path(folder), EPOCHS)

    def build(self, run: TrainingRun) -> Any:
        callback = self.ready().build(run)
        lacks = [name for name in ("state_dict", "load_state_dict") if not hasattr(callback, name)]
        message = f"returned {type(callback).__name__}, which lacks {', '.join(lacks)}()"
        require(not lacks, f"{self.name}.build {message}: derive it from frame.Callback")
        return callback

    def outcome(self) -> Any:
        with self.run() as run:
            callback = self.build(run)
            train(run, callback, self.metrics, EPOCHS)
            return ending(run, callback)

    def test_leaves_the_models_mode_alone(self) -> None:
        with self.run() as run, doing(self.name):
            callback = self.build(run)
            train(run, callback, self.metrics, EPOCHS, checked=True)

    def test_its_state_comes_back(self) -> None:
        with self.run() as run, doing(self.name):
            callback = self.build(run)
            train(run, callback, self.metrics, 2)
            states = [saved_and_loaded(part.state_dict(), self.name) for part in (callback, *state_of(run))]
            middle = (run.epoch, run.step, run.stop_reason)
            train(run, callback, self.metrics, EPOCHS, started=True)
            uninterrupted = ending(run, callback)
        with self.run() as run, doing(f"resuming {self.name}", "load_state_dict() takes what state_dict() returned"):
            run.resumed = True
            callback = self.build(run)
            for part, state in zip(state_of(run), states[1:], strict=True):
                part.load_state_dict(state)
            run.epoch, run.step, run.stop_reason = middle
            call(callback, "on_run_start")
            callback.load_state_dict(states[0])
            train(run, callback, self.metrics, EPOCHS, started=True)
            resumed = ending(run, callback)
        where = difference(uninterrupted, resumed)
        message = "return all that it remembers from state_dict(), and take it back in load_state_dict()"
        require(where is None, f"a resumed run ends otherwise with {self.name}: {where} differs; {message}")


def train(
    run: TrainingRun, callback: Any, metrics: Any, until: int, *, started: bool = False, checked: bool = False
) -> None:
    """Train up to epoch `until` and tell the callback as the host does. checked: it must leave the model's mode."""
    owner = type(callback).__name__

    def tell(event: str, *arguments: Any) -> None:
        before = modes(run.model)
        call(callback, event, *arguments)
        message = f"{owner}.{event} changes the train or eval mode of the run's model: put it back"
        require(not checked or modes(run.model) == before, message)

    if not started:
        tell("on_run_start")
    while run.epoch < until and not run.stop_reason:
        tell("on_epoch_start")
        run.model.train()
        for _ in range(run.steps.per_epoch):
            images = model_inputs(BATCH, run.data.shape, seed=run.step)
            torch.autograd.backward(cross_entropy(run.model(images), torch.arange(BATCH)))
            for part in (*run.optimizers, *run.schedulers):
                part.step()
            run.model.zero_grad(set_to_none=True)
            run.step += 1
            tell("on_step_end")
        run.eval_model.eval()
        run.epoch += 1
        tell("on_epoch_end", metrics(run.epoch - 1))
    if until == EPOCHS:
        tell("on_run_end")


def call(callback: Any, event: str, *arguments: Any) -> None:
    """Call one of a callback's methods where it has it."""
    if method := getattr(callback, event, None):
        method(*arguments)


def state_of(run: TrainingRun) -> list[Any]:
    """Return what has a state beside the callback."""
    return [run.model, *run.optimizers, *run.schedulers]


def ending(run: TrainingRun, callback: Any) -> Any:
    """Return what a callback came to: its own state, and what it may have steered."""
    rates = [group["lr"] for optimizer in run.optimizers for group in optimizer.param_groups]
    return [callback.state_dict(), run.stop_reason, run.epoch, rates, weights(run.model), weights(run.eval_model)]


class TrackerContract(ComponentContract):
    """What a tracker promises: it gets through a run without a network, and stays within the run's folder."""

    kind: ClassVar[type[Component]] = TrackerComponent
    test_same_seed_same_outcome = None  # type: ignore[assignment]  # what it sends has times and ids of its own

    def curves(self, folder: Path) -> Mapping[str, Sequence[float]] | None:  # noqa: ARG002
        """Return the values that a finished tracker keeps under each name, in order; `folder` is the run's.

        Override it where the tracker draws curves: then they are compared with what was logged.
        """
        return None

    @contextmanager
    def session(self, status: str = "finished") -> Iterator[Any]:
        """Give out a tracker, in an empty working folder and without a network; it is finished in the end."""
        with tempfile.TemporaryDirectory() as place, no_network(), rng_untouched(), _offline(place):
            here, folder = Path(place) / "here", Path(place) / "run"
            here.mkdir()
            folder.mkdir()
            with contextlib.chdir(here):
                seed_everything(0)
                run = training_run(folder)
                self.before = rng_state(), dict(os.environ)
                with doing(f"{self.name}.build"):
                    tracker = self.ready().build(run)
                lacks = [name for name in ("log", "log_result", "finish") if not hasattr(tracker, name)]
                message = f"returned {type(tracker).__name__}, which lacks {', '.join(lacks)}()"
                require(not lacks, f"{self.name}.build {message}: see frame.Tracker")
                try:
                    yield tracker
                finally:
                    with doing(f"finish('{status}') of {self.name}"):
                        tracker.finish(status)
                    self.kept = self.curves(folder)
            strays = sorted(path.name for path in here.iterdir())
            message = f"leaves {', '.join(strays)} in the working folder: write into run.folder only"
            require(not strays, f"{self.name} {message}")

    def use(self, tracker: Any) -> None:
        """Log two epochs and a result as the host does; each epoch's last step is a logged one too."""
        for row, epoch, step in ROWS:
            with doing(f"log() of {self.name}"):
                tracker.log(dict(row), epoch, step)
        with doing(f"log_result() of {self.name}"):
            tracker.log_result("everything", analyzer_result())

    def outcome(self) -> None:
        with self.session() as tracker:
            self.use(tracker)

    def test_keeps_one_statistic_under_one_name(self) -> None:
        with self.session() as tracker:
            self.use(tracker)
        if (curves := self.kept) is None:
            return
        for name in ("train/loss", "train/loss_step", "test/acc"):
            logged = [row[name] for row, *_ in ROWS if name in row]
            kept = list(curves.get(name, ()))
            message = f"keeps {kept} under {name}, where {logged} was logged: a name has one statistic"
            require(kept == logged, f"{self.name} {message}")

    def test_leaves_the_global_generators_alone(self) -> None:
        with self.session() as tracker:
            self.use(tracker)
            moved = drawn_since(self.before[0])
            advice = "draw from a generator of its own, or put the state back"
            require(not moved, f"{self.name} draws from the global generator of {', '.join(moved)}: {advice}")

    def test_leaves_the_environment_alone(self) -> None:
        with self.session() as tracker:
            self.use(tracker)
            changed = sorted(name for name, _ in set(os.environ.items()) ^ set(self.before[1].items()))
            message = f"leaves environment variables changed: {', '.join(set(changed))}; put them back"
            require(not changed, f"{self.name} {message}")

    def test_survives_a_run_that_failed_early(self) -> None:
        with self.session("failed"):
            pass


@contextmanager
def _offline(place: str) -> Iterator[None]:
    """Tell trackers by their own variables what `no_network` enforces; MLflow's have a store in the folder `place`."""
    variables = {"WANDB_MODE": "offline", "WANDB__DISABLE_STATS": "true"}
    with mock.patch.dict(os.environ, variables | {"MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db"}):
        yield
