"""The loops: train, evaluate, predict. Each reads from top to bottom."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..api.contracts import TrainingRun
from ..api.data import Predictions
from ..compute.device import Backend
from ..compute.distributed import no_sync
from ..input.fetch import Unread
from ..input.pipeline import Pipeline
from .culprit import EVALUATION, Culprit, at_work
from .meter import Meter, means

Loss = Callable[[Tensor, Tensor], Tensor]
Forward = Callable[[nn.Module, Tensor], Tensor]  # (model, images) -> logits

NAMED_IMAGES = 5
"""Images left out that are named; of more there is a count."""


class Events(Protocol):
    """What the loop tells the rest of the run, in the order in which it happens."""

    def run_start(self, job: Job) -> None:
        """Training begins, or goes on after an interruption."""

    def epoch_start(self, job: Job) -> None:
        """An epoch begins, or goes on."""

    def step_end(self, job: Job) -> None:
        """An optimizer step is done. Saves and raises `Interrupted` when the user asked to stop."""

    def epoch_end(self, job: Job, metrics: Mapping[str, float]) -> None:
        """An epoch is done and evaluated: callbacks, then files, then the checkpoint."""

    def run_end(self) -> None:
        """The last epoch is done."""


@dataclass
class Job:
    """A training, ready to go or in the middle: `batch` counts the batches of the current epoch that are done.

    culprits: who is to blame for what model, optimizer and scheduler raise.
    """

    run: TrainingRun
    loss: Loss
    forward: Forward
    training: Pipeline
    watched: Pipeline
    watched_name: str
    backend: Backend
    scaler: torch.amp.GradScaler
    clip_grad_norm: float | None
    log_every: int
    culprits: Mapping[str, Culprit]
    batch: int = 0
    meter: Meter = field(default_factory=Meter)
    _network: tuple[list[bool], nn.Module] | None = field(default=None, init=False)

    def network(self) -> nn.Module:
        """Return the model as it trains in the world; made anew where a callback froze parameters or thawed them."""
        trained = [parameter.requires_grad for parameter in self.run.model.parameters()]
        if not self._network or self._network[0] != trained:
            if self._network:
                self._network = None
                gc.collect()  # what averaged the gradients before lets go of the parameters only now
            self._network = trained, self.backend.world.replicate(self.run.model)
        return self._network[1]


def train(job: Job, events: Events) -> None:
    """Train from where the job stands to its last epoch, or until a callback stops the run."""
    run = job.run
    events.run_start(job)
    while run.epoch < run.steps.passes and not run.stop_reason:
        events.epoch_start(job)
        train_epoch(job, events)
        metrics = {f"train/{name}": value for name, value in job.meter.take_epoch().items()}
        metrics |= evaluate(run.eval_model, job.watched, job.loss, job.forward, job.backend, job.watched_name)
        run.epoch, job.batch = run.epoch + 1, 0
        events.epoch_end(job, metrics)
    events.run_end()


def train_epoch(job: Job, events: Events) -> None:
    """Train on the epoch's remaining batches. Nothing in here waits for the device but the meter, every N steps."""
    run, steps, world = job.run, job.run.steps, job.backend.world
    run.model.train()
    network = job.network()
    for batch in job.training.training(run.epoch, steps.batches_in(run.epoch), job.batch, world):
        if batch.unread:
            note_skipped(job, batch.unread)
        number, job.batch = job.batch, job.batch + 1
        with job.backend.autocast(), no_sync(network, not steps.ends_group(number)):
            with job.culprits["model"]:
                logits = network(batch.images)  # (N, classes)
            loss = job.loss(logits, batch.targets)
        share = steps.batch_samples(number) / steps.group_samples(number)  # of the batches accumulated to this step
        share *= world.weight(steps.batch_samples(number))
        part = loss if share == 1 else loss * share
        job.scaler.scale(part).backward()  # type: ignore[no-untyped-call]
        job.meter.add(loss, logits, batch.targets, run.step + 1, (run.lr, run.momentum), counts=batch.counts)
        if steps.ends_group(number):
            logged = (run.step + 1) % job.log_every == 0
            optimizer_step(job, measure=logged)
            run.step += 1
            if logged:
                job.meter.read()
            events.step_end(job)
        if run.stop_reason:
            break
    job.meter.read()
    job.meter.skipped = set().union(*world.gather(job.meter.skipped))


def note_skipped(job: Job, unread: Sequence[Unread]) -> None:
    """Count the images that are left out, each once a run, and name the first few."""
    skipped = job.meter.skipped
    for one in unread:
        if one.index in skipped:
            continue
        skipped.add(one.index)
        if len(skipped) <= NAMED_IMAGES:
            job.run.warn(f"{one.text}; it is left out")
        if len(skipped) == NAMED_IMAGES:
            job.run.warn("further images that cannot be read are counted only; the number is said at the end")


def optimizer_step(job: Job, *, measure: bool) -> None:
    """Apply the gradients and move the schedules on. measure: leave the unclipped gradient's norm to the meter."""
    run, limit = job.run, job.clip_grad_norm
    norms, scaled = [], False
    for optimizer in run.optimizers:
        if measure or limit is not None:
            job.scaler.unscale_(optimizer)
            parameters = list(parameters_of(optimizer))
            norm = nn.utils.get_total_norm(one.grad for one in parameters if one.grad is not None)
            if limit is not None:
                nn.utils.clip_grads_with_norm_(parameters, limit, norm)
            norms.append(norm)
        with job.culprits["optimizer"]:
            if any(parameter.grad is not None for parameter in parameters_of(optimizer)):
                job.scaler.step(optimizer)
                scaled = True
            else:  # all of its parameters are frozen: the scaler would refuse it
                optimizer.step()
    if measure:
        job.meter.grad_norm = torch.stack(norms).norm()
    if scaled:
        job.scaler.update()
    for optimizer in run.optimizers:
        optimizer.zero_grad(set_to_none=True)
    for scheduler in run.schedulers:
        with job.culprits["scheduler"]:
            scheduler.step()


def parameters_of(optimizer: torch.optim.Optimizer) -> Iterator[nn.Parameter]:
    """Yield the parameters of all groups."""
    return (parameter for group in optimizer.param_groups for parameter in group["params"])


@at_work(EVALUATION)
@torch.inference_mode()
def evaluate(
    model: nn.Module, pipeline: Pipeline, loss: Loss, forward: Forward, backend: Backend, name: str
) -> dict[str, float]:
    """Return the mean `name/loss` and `name/acc` over a split; the model is left in eval mode."""
    model.eval()
    backend.world.sync_buffers(model)
    sums = torch.zeros(3, device=backend.device)  # summed loss, correct, samples
    for batch in pipeline.evaluation(backend.world):
        with backend.autocast():
            logits = forward(model, batch.images)
            mean = loss(logits, batch.targets)
        correct = (logits.argmax(1) == batch.targets).sum()
        sums += torch.stack([mean.float() * len(batch), correct, torch.full_like(correct, len(batch))])
    return {f"{name}/{metric}": value for metric, value in means(backend.world.sum(sums).tolist()).items()}


@at_work(EVALUATION)
@torch.inference_mode()
def predict(model: nn.Module, pipeline: Pipeline, forward: Forward, backend: Backend) -> Predictions:
    """Run the model over a split once and keep every logit, in the split's order."""
    model.eval()
    parts = []
    for batch in pipeline.evaluation():
        with backend.autocast():
            logits = forward(model, batch.images)
        parts.append(logits.float().cpu())
    logits, targets = torch.cat(parts), torch.from_numpy(pipeline.split.targets)
    losses = cross_entropy(logits, targets, reduction="none")
    return Predictions(logits.numpy(), pipeline.split.targets, np.asarray(losses))
