"""Measuring weights on held-out data: an evaluation program, fixed batches, the same numbers every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from node.data.schema import Examples
from node.manifest import Manifest
from node.model import layout, unflatten
from node.package.program import EVALUATION_BATCH, Program
from node.training.losses import LOSSES, METRICS

T = TypeVar("T")


def evaluate(
    program: Program, manifest: Manifest, weights_D: NDArray[np.float32], examples: Examples
) -> dict[str, float]:
    """The mean loss and the manifest's metric over the examples, as in {"accuracy": 0.93, "loss": 0.21}.

    Shapes: weights_D (chunks * CHUNK,) float32.
    Holds:  the same inputs give the same numbers on the same machine. Runs on the CPU.
            The loss is not finite where the weights have diverged.
    Raises: BadPackage if the program can't run.
    """
    loss_of, metric_of = LOSSES[manifest.task.loss], METRICS[manifest.task.metric]

    def measure(outputs: Tensor, labels: Tensor) -> tuple[float, float]:
        return float(loss_of(outputs, labels)) * len(labels), float(metric_of(outputs, labels).sum())

    parts = _by_batch(program, manifest, weights_D, examples, measure)
    loss, metric = (sum(column) for column in zip(*parts, strict=True))
    return {manifest.task.metric: metric / len(examples), "loss": loss / len(examples)}


def example_metrics(
    program: Program, manifest: Manifest, weights_D: NDArray[np.float32], examples: Examples, metric: str
) -> NDArray[np.float64]:
    """One metric of each example: a name in `METRICS` that fits the task.

    Shapes: weights_D (chunks * CHUNK,) float32 -> (N,) float64.
    Holds, Raises: as `evaluate`.
    """
    metrics_N: NDArray[np.float64] = torch.cat(
        _by_batch(program, manifest, weights_D, examples, METRICS[metric])
    ).numpy()
    return metrics_N


def _by_batch(
    program: Program,
    manifest: Manifest,
    weights_D: NDArray[np.float32],
    examples: Examples,
    measure: Callable[[Tensor, Tensor], T],
) -> list[T]:
    """What `measure` says of the model's outputs and the labels, batch by batch."""
    tensors = {name: torch.tensor(part) for name, part in unflatten(weights_D, layout(manifest)).items()}
    tensors |= {name: tensor.clone() for name, tensor in {**program.local, **program.constants}.items()}
    found = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for start in range(0, len(examples), EVALUATION_BATCH):
            rows = slice(start, start + EVALUATION_BATCH)
            found.append(measure(program.run(tensors, examples.features[rows]), examples.labels[rows]))
    return found
