"""The tiny package that the integration tests train: a linear model on four numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from node.package.export import export_package
from tests.integration.world import CLASSES, COLUMNS, write_data

FIELDS: dict[str, Any] = {
    "name": "clouds",
    "description": "Three clouds of points.",
    "task": {"kind": "classification", "loss": "cross_entropy", "metric": "accuracy"},
    "data": {
        "label": "label",
        "columns": list(COLUMNS),
        "classes": list(CLASSES),
        "minimum": -8.0,
        "maximum": 8.0,
        "min_examples": 4,
    },
    "training": {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 8, "local_epochs": 2},
    "update": {"codec": "int16", "bits": 14, "clip": 2.0, "rounding": "nearest"},
    "merge": {"rule": "mean", "attackers": 0, "learning_rate": 1.0},
}


def build_package(folder: Path) -> Path:
    """Write the package with a hold-out; the same bytes each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(len(COLUMNS), len(CLASSES)))
    export_package(module, torch.zeros(2, len(COLUMNS)), folder, FIELDS)
    write_data(folder / "holdout.csv", seed=999, rows=60)
    return folder
