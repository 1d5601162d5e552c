"""The losses and metrics that a manifest can name.

Shapes: outputs (B, K) float32; labels (B,) int64 classes, or (B, K) float32 targets.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own usage

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": F.cross_entropy,
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "huber": F.huber_loss,
}
"""Each gives a batch's mean loss, a scalar."""


def _hits(outputs: Tensor, labels: Tensor) -> Tensor:
    return (outputs.argmax(dim=1) == labels).to(torch.float64)


METRICS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "accuracy": _hits,
    "mse": lambda outputs, labels: (outputs - labels).to(torch.float64).square().mean(dim=1),
    "cross_entropy": lambda outputs, labels: F.cross_entropy(outputs.to(torch.float64), labels, reduction="none"),
    "mae": lambda outputs, labels: (outputs - labels).to(torch.float64).abs().mean(dim=1),
}
"""Each gives one number an example, (B,) float64; a data set's metric is their mean."""
