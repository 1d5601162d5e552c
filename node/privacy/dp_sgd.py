"""DP-SGD: local training that tells little of any one example (Abadi et al. 2016, arXiv:1607.00133).

Each step takes a Poisson sample of the examples, bounds each one's gradient, adds them up, adds Gaussian noise, and
divides by a declared number: nothing depends on how many examples there are, or were sampled.

Per-example gradients are those of the program run on one example alone, mapped over the sample. So what one example
adds to a step is a function of it and of the weights, whatever the program computes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad_and_value, vmap

from node.data.schema import Examples
from node.errors import TrainingFailed
from node.model import flatten
from node.package.program import Program
from node.privacy.randomness import SecureStream
from node.training.local import Clock, Epoch, Job, Trained, open_optimizer, placed_tensors
from node.training.losses import LOSSES

MICRO_BATCH_BYTES = 256 << 20
MOST_AT_ONCE = 256

_MARGIN = 1.0 - 2.0**-12
"""Gradients are clipped to a little less than the bound, so that rounding in float32 does not take a sum beyond it."""

_LEAST_FACTOR = torch.finfo(torch.float32).tiny
"""A smaller one would be rounded, as a float32, by up to its double: so long a gradient counts as 0."""

Gradients = dict[str, Tensor]


@dataclass(frozen=True)
class PrivateJob:
    """What to train, and how much noise; see `PrivacySection` for the units."""

    job: Job
    noise_multiplier: float
    sample_rate: float
    steps: int
    clip_norm: float
    at_once: int
    """Examples whose gradients are in memory together."""


def train_privately(
    made: PrivateJob,
    examples: Examples,
    epoch_over: Callable[[Epoch], None] = lambda epoch: None,
    stream: SecureStream | None = None,
    clock: Clock = time.monotonic,
) -> Trained:
    """Train from the global weights for the given steps. `epoch_over` hears of every `1 / sample_rate` steps.

    stream: the source of noise and samples; the operating system's by default.
    Holds:  a step without examples is a step too, of noise alone; an example whose gradient is not finite counts 0;
            buffers stay as they are.
    Raises: TrainingFailed if a weight stops being a finite number; BadPackage if the program can't run.
    """
    started, job = clock(), made.job
    devices = [torch.device(job.device)] if job.device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(job.seed)  # of dropout alone
        run = _Run(made, examples, stream or SecureStream())
        losses = run.all(epoch_over)
    return Trained(run.weights(), tuple(losses), len(examples), made.steps, clock() - started)


def at_once(parameters: int, activation_bytes: int) -> int:
    """How many examples' gradients fit the memory that they may take.

    activation_bytes: of one example's run.
    """
    each = 3 * 4 * parameters + 2 * activation_bytes
    return max(1, min(MOST_AT_ONCE, MICRO_BATCH_BYTES // each))


def example_gradients(
    program: Program, tensors: dict[str, Tensor], loss: str, features: Tensor, labels: Tensor
) -> tuple[Gradients, Tensor]:
    """Each example's own gradient and loss.

    Shapes: features (B, *input_shape), labels (B, ...) -> by parameter's name (B, *its shape), and (B,)
    Raises: BadPackage naming the step that has no gradient for one example.
    """
    trained = {name: tensor.detach() for name, tensor in tensors.items() if name in program.parameters}
    rest = {name: tensor.detach() for name, tensor in tensors.items() if name not in program.parameters}

    def of_one(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        outputs = program.run({**rest, **weights}, x.unsqueeze(0))
        return LOSSES[loss](outputs, y.unsqueeze(0))

    found: tuple[Gradients, Tensor] = vmap(grad_and_value(of_one), in_dims=(None, 0, 0), randomness="different")(
        trained, features, labels
    )
    return found


def clipped_sum(gradients: Gradients, clip_norm: float) -> Gradients:
    """Scale each example's gradient down to the bound where it is longer, and add them up.

    Shapes: by name (B, *shape) float32 -> by name (*shape) float64
    Holds:  another example, or one less, moves the result by at most `clip_norm` in the L2 norm over all names.
    """
    squares = torch.stack([g.flatten(1).to(torch.float64).square().sum(dim=1) for g in gradients.values()])
    norms_B = squares.sum(dim=0).sqrt()
    factors_B = (clip_norm * _MARGIN / norms_B.clamp(min=1e-30)).clamp(max=1.0)
    exact_B = torch.isfinite(norms_B) & (factors_B >= _LEAST_FACTOR)
    factors_B = torch.where(exact_B, factors_B, 0.0)
    return {
        name: torch.einsum("b,b...->...", factors_B.float(), torch.nan_to_num(g, 0.0, 0.0, 0.0)).to(torch.float64)
        for name, g in gradients.items()
    }


class _Run:
    """One training run: its tensors, its optimizer and its source of noise."""

    def __init__(self, made: PrivateJob, examples: Examples, stream: SecureStream) -> None:
        self.made, self.examples, self.stream = made, examples, stream
        job = made.job
        self.tensors = placed_tensors(job)
        self.trained = {name: self.tensors[name] for name in job.program.initial if name in job.program.parameters}
        self.start = {name: tensor.detach().clone() for name, tensor in self.trained.items()}
        self.optimizer = open_optimizer(job.settings, list(self.trained.values()))

    def all(self, epoch_over: Callable[[Epoch], None]) -> list[float]:
        """Take every step; give the mean loss of the examples in each stretch of `1 / sample_rate` steps."""
        steps, stretch = self.made.steps, max(1, round(1 / self.made.sample_rate))
        losses: list[float] = []
        total, seen = 0.0, 0
        for number in range(1, steps + 1):
            part, count = self.step()
            total, seen = total + part, seen + count
            if number % stretch == 0 or number == steps:
                losses.append(total / seen if seen else math.nan)
                epoch_over(Epoch(len(losses) - 1, losses[-1], number / steps))
                total, seen = 0.0, 0
        return losses

    def step(self) -> tuple[float, int]:
        """Take one step; give the sum of the sampled examples' losses, and of how many."""
        made, job = self.made, self.made.job
        rows = torch.from_numpy(self.stream.sample(made.sample_rate, len(self.examples)))
        sums = {name: torch.zeros_like(tensor, dtype=torch.float64) for name, tensor in self.trained.items()}
        losses = [self._add(part, sums) for part in torch.split(rows, made.at_once) if len(part)]
        spread = made.noise_multiplier * made.clip_norm
        for name, tensor in self.trained.items():
            noise = torch.from_numpy(self.stream.normals(tensor.numel()) * spread).view(tensor.shape)
            tensor.grad = ((sums[name] + noise.to(job.device)) / job.settings.batch_size).float()
            if job.settings.proximal_mu:
                tensor.grad.add_(tensor.detach() - self.start[name], alpha=job.settings.proximal_mu)
        self.optimizer.step()
        finite = torch.cat(losses) if losses else torch.zeros(0)
        finite = finite[torch.isfinite(finite)]
        return float(finite.sum()), len(finite)

    def _add(self, rows: Tensor, sums: Gradients) -> Tensor:
        """Add these examples' clipped gradients to the sums; give their losses."""
        job, device = self.made.job, self.made.job.device
        features, labels = self.examples.features[rows].to(device), self.examples.labels[rows].to(device)
        gradients, losses = example_gradients(job.program, self.tensors, job.loss, features, labels)
        for name, part in clipped_sum(gradients, self.made.clip_norm).items():
            sums[name] += part
        return losses.detach()

    def weights(self) -> NDArray[np.float32]:
        held = {name: tensor.detach().cpu().numpy() for name, tensor in self.tensors.items()}
        weights_D = flatten(held, self.made.job.where)
        if not np.isfinite(weights_D).all():
            raise TrainingFailed(self.made.steps - 1, "a weight is infinite or not a number")
        return weights_D
