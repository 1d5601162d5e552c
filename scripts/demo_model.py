"""The demo's model and data: scikit-learn's handwritten digits, a small network, providers with unlike data.

`build_package` is what a model's owner runs; `split_data` plays the world and gives each provider its own file.
Nobody but the owner has the test digits.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from node.package.export import Package, export_package

PIXELS = 64
CLASSES = 10
BRIGHTEST = 16.0
TEST_SHARE = 0.2
MIN_EXAMPLES = 32

FIELDS: dict[str, Any] = {
    "name": "digits",
    "description": "Handwritten digits of 8x8 pixels, from scikit-learn. A small convolutional network.",
    "task": {"kind": "classification", "loss": "cross_entropy", "metric": "accuracy"},
    "data": {
        "label": "digit",
        "columns": [f"pixel_{index}" for index in range(PIXELS)],
        "classes": [str(digit) for digit in range(CLASSES)],
        "minimum": 0.0,
        "maximum": BRIGHTEST,
        "min_examples": MIN_EXAMPLES,
    },
    "training": {
        "optimizer": "adamw",
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        "batch_size": 16,
        "local_epochs": 5,
    },
    "update": {"codec": "int16", "bits": 16, "clip": 20.0, "rounding": "nearest"},
    "merge": {"rule": "trimmed_mean", "attackers": 1, "learning_rate": 1.0, "trim": 1},
    "screening": {},
}


class Digits(nn.Module):
    """Two convolutions and a linear layer. Shapes: (B, 64) brightness 0 .. 16 -> (B, 10) scores.

    Pixels are centred and the activation is smooth, so that hardly a weight moves by less than a grid unit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(1, 16, 3, padding=1)
        self.parts = nn.Conv2d(16, 32, 3, padding=1)
        self.output = nn.Linear(32 * 2 * 2, CLASSES)

    def forward(self, brightness: Tensor) -> Tensor:
        image = (brightness / (BRIGHTEST / 2) - 1).reshape(-1, 1, 8, 8)
        edges = F.max_pool2d(F.gelu(self.edges(image)), 2)
        parts = F.max_pool2d(F.gelu(self.parts(edges)), 2)
        scores: Tensor = self.output(parts.flatten(1))
        return scores


@dataclass(frozen=True)
class Split:
    """Where the data went: one CSV file a provider, and the owner's held-out test digits."""

    providers: tuple[Path, ...]
    holdout: Path


def build_package(out_dir: Path, seed: int = 0) -> Package:
    """Write the demo's model package; the same seed gives the same bytes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = Digits()
    return export_package(module, torch.zeros(2, PIXELS), out_dir, FIELDS)


def split_data(out_dir: Path, providers: int = 5, alpha: float = 0.5, seed: int = 0) -> Split:
    """Give every provider its own digits, more of some classes than of others.

    alpha: of the Dirichlet distribution that deals each class out; the smaller, the more unlike the providers.
    Holds: no provider has a test digit; every provider has at least `MIN_EXAMPLES`.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    images, labels = digits.data.astype(np.float32), digits.target.astype(np.int64)
    rng = np.random.default_rng(seed)
    test = _test_rows(labels, rng)
    train = np.setdiff1d(np.arange(len(labels)), test)
    parts = _dealt(labels[train], providers, alpha, rng)
    holdout = out_dir / "holdout.npz"
    np.savez_compressed(holdout, x=images[test], y=labels[test])
    paths = tuple(out_dir / f"provider-{number}.csv" for number in range(1, providers + 1))
    for path, part in zip(paths, parts, strict=True):
        _write_csv(path, images[train[part]], labels[train[part]])
    return Split(paths, holdout)


def _test_rows(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The same share of each class, by chance."""
    rows = [rng.permutation(np.flatnonzero(labels == digit)) for digit in range(CLASSES)]
    return np.sort(np.concatenate([part[: round(len(part) * TEST_SHARE)] for part in rows]))


def _dealt(
    labels: NDArray[np.int64], providers: int, alpha: float, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Deal each class out by shares from Dirichlet(alpha), again until everyone has enough."""
    if len(labels) < providers * MIN_EXAMPLES:
        raise ValueError(f"{len(labels)} digits are too few for {providers} providers with {MIN_EXAMPLES} each")
    while True:
        hands: list[list[NDArray[np.int64]]] = [[] for _ in range(providers)]
        for digit in range(CLASSES):
            rows = rng.permutation(np.flatnonzero(labels == digit))
            cuts = np.round(np.cumsum(rng.dirichlet([alpha] * providers))[:-1] * len(rows)).astype(int)
            for hand, part in zip(hands, np.split(rows, cuts), strict=True):
                hand.append(part)
        parts = [rng.permutation(np.concatenate(hand)) for hand in hands]
        if min(len(part) for part in parts) >= MIN_EXAMPLES:
            return parts


def _write_csv(path: Path, images: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*FIELDS["data"]["columns"], FIELDS["data"]["label"]])
        for image, label in zip(images, labels, strict=True):
            writer.writerow([*(f"{value:g}" for value in image), int(label)])


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo-out/digits")
    package, split = build_package(folder), split_data(folder)
    for path in (package.train_path, package.eval_path, package.manifest_path, *split.providers, split.holdout):
        print(f"{path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
