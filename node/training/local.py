"""Training the global model on local data: what a provider does in a round.

The clock is passed in; everything else that varies follows from `seed`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ledger.errors import BadInput
from node.data.schema import Examples
from node.errors import TrainingFailed
from node.manifest_sections import TrainingSection
from node.model import Layout, flatten, unflatten
from node.package.program import Program
from node.training.losses import LOSSES

Clock = Callable[[], float]
"""Seconds from any origin, never going back."""


@dataclass(frozen=True)
class Progress:
    """Where training stands after a batch. `fraction` is the part of its epochs or time that is done, 0 .. 1."""

    epoch: int
    step: int
    loss: float
    fraction: float


@dataclass(frozen=True)
class Epoch:
    """One pass over the examples. number: from 0; loss: its mean; fraction: as in `Progress`, at its end."""

    number: int
    loss: float
    fraction: float


@dataclass(frozen=True)
class Trained:
    """What local training gave.

    Shapes: weights (chunks * CHUNK,) float32, padding 0; losses: one mean an epoch, in order.
    """

    weights: NDArray[np.float32]
    losses: tuple[float, ...]
    examples: int
    steps: int
    seconds: float


@dataclass(frozen=True)
class Job:
    """What to train and how. `weights` are the global weights, (chunks * CHUNK,) float32; they are not changed."""

    program: Program
    where: Layout
    settings: TrainingSection
    loss: str
    weights: NDArray[np.float32]
    seed: int
    device: str = "cpu"


def checked_device(name: str) -> str:
    """The device of that name.

    Raises: BadInput if it is none on which we train, or is not here.
    """
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or not (index.isdecimal() or name == kind):
        raise BadInput(f"We can't train on {name!r}: the device is cpu, cuda, or one of several GPUs, such as cuda:1.")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise BadInput(f"torch finds no device {name} here ({torch.cuda.device_count()} GPUs). Train on the cpu.")
    return name


def train(
    job: Job,
    examples: Examples,
    progress: Callable[[Progress], None] | None = None,
    clock: Clock = time.monotonic,
    epoch_over: Callable[[Epoch], None] = lambda epoch: None,
) -> Trained:
    """Train from the global weights on the examples, for the manifest's epochs or seconds.

    Holds:  the same job and examples give the same weights on the same machine (for a budget of epochs);
            at least one batch is trained; integer counters stay local.
    Raises: TrainingFailed if a loss or a weight stops being a finite number; BadPackage if the program can't run.
    """
    started = clock()
    devices = [torch.device(job.device)] if job.device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices), torch.enable_grad():
        torch.manual_seed(job.seed)
        run = _Run(job, examples, lambda: clock() - started)
        losses: list[float] = []
        while not losses or not run.finished(len(losses)):
            losses.append(run.epoch(len(losses), progress))
            epoch_over(Epoch(len(losses) - 1, losses[-1], run.fraction(len(losses))))
    return Trained(run.weights(), tuple(losses), len(examples), run.steps, clock() - started)


class _Run:
    """One training run: its tensors, its optimizer and its count of batches."""

    def __init__(self, job: Job, examples: Examples, elapsed: Clock) -> None:
        self.job, self.examples, self.elapsed, self.steps = job, examples, elapsed, 0
        self.loss = LOSSES[job.loss]
        self.tensors = placed_tensors(job)
        self.trained = [self.tensors[name] for name in job.program.initial if name in job.program.parameters]
        self.start = [tensor.detach().clone() for tensor in self.trained] if job.settings.proximal_mu else []
        self.optimizer = open_optimizer(job.settings, self.trained)
        self.twin_rows = any("batch_norm" in name for name in job.program.operators)

    def finished(self, epochs: int) -> bool:
        settings = self.job.settings
        if settings.seconds is not None:
            return self.elapsed() >= settings.seconds
        return epochs >= (settings.local_epochs or 1)

    def epoch(self, number: int, progress: Callable[[Progress], None] | None) -> float:
        """Train on every example once, or until the time is over; give the mean loss."""
        total = seen = 0.0
        for rows in _batches(len(self.examples), self.job.settings.batch_size):
            loss = self.step(rows)
            total, seen = total + loss * len(rows), seen + len(rows)
            if progress is not None:
                progress(Progress(number, self.steps, loss, self.fraction(number + seen / len(self.examples))))
            if self.job.settings.seconds is not None and self.finished(number):
                break
        return total / seen

    def fraction(self, epochs: float) -> float:
        """The part of the training that is done after so many epochs, 0 .. 1."""
        settings = self.job.settings
        done = self.elapsed() / settings.seconds if settings.seconds else epochs / (settings.local_epochs or 1)
        return min(1.0, done)

    def step(self, rows: Tensor) -> float:
        """Train on one batch; give its loss, without the proximal term."""
        if len(rows) == 1 and self.twin_rows:
            rows = rows.repeat(2)  # a variance over one value is not a number
        settings, device = self.job.settings, self.job.device
        self.optimizer.zero_grad(set_to_none=True)
        outputs = self.job.program.run(self.tensors, self.examples.features[rows].to(device))
        loss = self.loss(outputs, self.examples.labels[rows].to(device))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingFailed(self.steps, f"the loss is {value}")
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]
        for tensor, start in zip(self.trained, self.start, strict=False):
            if tensor.grad is not None:
                tensor.grad.add_(tensor.detach() - start, alpha=settings.proximal_mu)
        if settings.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.trained, settings.clip_norm)
        self.optimizer.step()
        self.steps += 1
        return value

    def weights(self) -> NDArray[np.float32]:
        weights_D = flatten({name: t.detach().cpu().numpy() for name, t in self.tensors.items()}, self.job.where)
        if not np.isfinite(weights_D).all():
            raise TrainingFailed(self.steps - 1, "a weight is infinite or not a number")
        return weights_D


def placed_tensors(job: Job) -> dict[str, Tensor]:
    """Every tensor of the program on the device: the global weights, fresh counters, constants."""
    program = job.program
    tensors = {name: torch.tensor(part, device=job.device) for name, part in unflatten(job.weights, job.where).items()}
    for name in program.parameters:
        tensors[name].requires_grad_(True)
    kept = {**program.local, **program.constants}
    return tensors | {name: tensor.to(job.device, copy=True) for name, tensor in kept.items()}


def open_optimizer(settings: TrainingSection, trained: list[Tensor]) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            trained, lr=settings.learning_rate, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
    return torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay)


def _batches(examples: int, size: int) -> Iterator[Tensor]:
    """Rows in a random order, in batches; a single row left over joins the batch before it."""
    rows = torch.randperm(examples)
    ends = list(range(size, examples, size))
    if ends and size > 1 and examples - ends[-1] == 1:
        ends.pop()
    return iter(torch.tensor_split(rows, ends))
