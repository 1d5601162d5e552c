"""Measuring weights on held-out data: an evaluation program, fixed batches, the same numbers every time."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from node.data.schema import Examples
from node.manifest import Manifest
from node.model import layout, unflatten
from node.package.program import EVALUATION_BATCH, Program
from node.training.losses import LOSSES, METRICS


def evaluate(
    program: Program, manifest: Manifest, weights_D: NDArray[np.float32], examples: Examples
) -> dict[str, float]:
    """The mean loss and the manifest's metric over the examples, as in {"accuracy": 0.93, "loss": 0.21}.

    Shapes: weights_D (chunks * CHUNK,) float32.
    Holds:  the same inputs give the same numbers on the same machine. Runs on the CPU.
            The loss is not finite where the weights have diverged.
    Raises: BadPackage if the program can't run.
    """
    tensors = {name: torch.tensor(part) for name, part in unflatten(weights_D, layout(manifest)).items()}
    tensors |= {name: tensor.clone() for name, tensor in {**program.local, **program.constants}.items()}
    loss_of, metric_of = LOSSES[manifest.task.loss], METRICS[manifest.task.metric]
    loss = metric = 0.0
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for start in range(0, len(examples), EVALUATION_BATCH):
            rows = slice(start, start + EVALUATION_BATCH)
            features, labels = examples.features[rows], examples.labels[rows]
            outputs = program.run(tensors, features)
            loss += float(loss_of(outputs, labels)) * len(features)
            metric += float(metric_of(outputs, labels).sum())
    return {manifest.task.metric: metric / len(examples), "loss": loss / len(examples)}
