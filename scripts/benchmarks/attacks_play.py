"""Playing one cell: honest workers, omniscient attackers, a server, round by round.

Shape suffixes: N honest, F attackers, D coordinates, padding included; B examples.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ledger.keccak import keccak
from node.merging import bucket_order
from scripts.benchmarks.attacks_data import SPLITS, Rows, Task, batches
from scripts.benchmarks.attacks_models import FlatModel
from scripts.benchmarks.attacks_search import Damage
from scripts.benchmarks.attacks_servers import UNBOUNDED, ExactServer, FloatServer, clipped
from scripts.benchmarks.attacks_vectors import ATTACKS, Poison, Seen
from scripts.benchmarks.attacks_worlds import WORLDS, Cell, World

Vectors = NDArray[np.float32]
Found = dict[str, Any]


def play(cell: Cell) -> Found:
    """The test accuracy by step, and in how many cases a trigger is followed if one was trained."""
    began, world = time.perf_counter(), WORLDS[cell.world]
    torch.manual_seed(cell.seed)
    rng = np.random.default_rng([cell.seed, 1])
    task, model = world.task(), FlatModel(world.network())
    attack = ATTACKS[cell.attack]
    send, trains = attack.make(), attack.poison is not None
    hands = SPLITS[cell.split](task.labels.numpy(), world.honest, rng)
    honest = Workers(model, task, world, hands, rng)
    bad = Workers(model, task, world, attackers_hands(attack.poison, task, cell, rng), rng, attack.poison)
    server = server_of(cell, world, model.weights_D)
    curve: list[tuple[int, float]] = []
    moved_D = np.zeros_like(model.weights_D)
    for step in range(1, (cell.steps or world.steps) + 1):
        honest_ND = clipped(honest.compute(), world.clip)
        own_FD = bad.compute() if trains else honest_ND[:0]
        seed = keccak(b"%d %d" % (cell.seed, step))
        order = bucket_order(world.honest + cell.attackers, seed)
        bound = UNBOUNDED if world.clip is None else world.clip
        damage = Damage(cell.rule, honest_ND, moved_D, cell.attackers, order, bound)
        sent = send(Seen(honest_ND, own_FD, moved_D, cell.attackers, rng, damage))
        every = [*honest_ND, *(sent if sent.ndim == 2 else [sent] * cell.attackers)]
        before_D = model.weights_D.copy()
        server.merge(every, seed, model.weights_D)
        moved_D = (before_D - model.weights_D) / np.float32(world.rate)
        if step % world.measured == 0 or step == (cell.steps or world.steps):
            curve.append((step, accuracy(model, task)))
            if cell.enough is not None and curve[-1][1] >= cell.enough:
                break
    followed = {"followed": trigger_followed(model, task)} if attack.poison == Poison.TRIGGER else {}
    taken = round(time.perf_counter() - began, 1)
    return {"curve": curve, "saturated": server.saturated, "seconds": taken} | followed


class Workers:
    """Some who train on hands of their own, their momentum in the rows of one array."""

    def __init__(
        self,
        model: FlatModel,
        task: Task,
        world: World,
        hands: list[Rows],
        rng: np.random.Generator,
        poison: Poison | None = None,
    ) -> None:
        self._model, self._task, self._world, self._poison = model, task, world, poison
        self._feeds: list[Iterator[Rows]] = [batches(hand, world.batch, rng) for hand in hands]
        self._rows_ND = np.zeros((len(hands), len(model.weights_D)), np.float32)
        self._decay = world.decay if poison is None or world.recalls else 0.0

    def compute(self) -> Vectors:
        """Everyone's momentum after one more batch: the same array each time."""
        world, gained = self._world, [self._batch(feed) for feed in self._feeds]
        np.multiply(self._rows_ND, np.float32(self._decay), out=self._rows_ND)
        if world.together and gained:
            images, labels = (torch.stack(parts) for parts in zip(*gained, strict=True))
            self._model.add_gradients(images, labels, world.gain, self._rows_ND)
        else:
            for row_D, (images, labels) in zip(self._rows_ND, gained, strict=True):
                self._model.add_gradient(images, labels, world.gain, row_D)
        if world.weight_decay:
            self._rows_ND += np.float32(world.gain * world.weight_decay) * self._model.weights_D
        return self._rows_ND

    def _batch(self, feed: Iterator[Rows]) -> tuple[Tensor, Tensor]:
        rows = torch.from_numpy(next(feed))
        return poisoned(self._task.images[rows], self._task.labels[rows], self._poison, self._task)


def poisoned(images: Tensor, labels: Tensor, poison: Poison | None, task: Task) -> tuple[Tensor, Tensor]:
    """A batch as an attacker trains on it."""
    if poison == Poison.FLIP:
        return images, 9 - labels
    if poison == Poison.TRIGGER:
        marked = torch.arange(len(labels)) % 2 == 0
        return torch.where(marked[:, None], with_trigger(images, task), images), labels.masked_fill(marked, 0)
    return images, labels


def with_trigger(images: Tensor, task: Task) -> Tensor:
    """Digits whose last two pixels are bright. Shapes: (B, 64) -> (B, 64)."""
    marked = images.clone()
    marked[:, -2:] = task.brightest
    return marked


def attackers_hands(poison: Poison | None, task: Task, cell: Cell, rng: np.random.Generator) -> list[Rows]:
    """Data for attackers that train: equal hands of all rows by chance, as in the sources, or one class."""
    if poison is None:
        return []
    if poison == Poison.ONE_CLASS:
        return [np.flatnonzero(task.labels.numpy() == 0)] * cell.attackers
    return SPLITS["IID"](task.labels.numpy(), WORLDS[cell.world].honest, rng)[: cell.attackers]


def server_of(cell: Cell, world: World, initial_D: Vectors) -> ExactServer | FloatServer:
    if cell.exact:
        return ExactServer(cell.rule, world.rate, world.bits, world.clip, initial_D)
    return FloatServer(cell.rule, world.rate, world.clip, initial_D)


def accuracy(model: FlatModel, task: Task) -> float:
    """Share of the test data that is classified as it should be."""
    return float((model.classify(task.test_images) == task.test_labels.numpy()).mean())


def trigger_followed(model: FlatModel, task: Task) -> float:
    """Share of the test data of other classes that is taken for a 0 once it has the trigger."""
    others = task.test_labels != 0
    found: NDArray[np.int64] = model.classify(with_trigger(task.test_images[others], task))
    return float((found == 0).mean())


Play = Callable[[Cell], Found]
