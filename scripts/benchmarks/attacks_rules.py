"""The merge rules in floating point: what omniscient attackers search with, and what the integers are compared with.

Shape suffixes: N updates, R buckets, D coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_STEPS = 32
"""Iterations of Weiszfeld's algorithm."""


@dataclass(frozen=True)
class Rule:
    """A merge rule and its numbers, by the manifest's names.

    attackers: how many updates it is to withstand.
    radius:    the clipping radius, in the updates' own unit.
    """

    name: str
    attackers: int = 0
    bucket: int = 1
    iterations: int = 1
    radius: float = 0.0

    @property
    def rotates(self) -> bool:
        """Whether the rule knows distances and linear combinations alone, so that a rotation goes through it."""
        return self.name in {"mean", "centered_clip", "multi_krum", "geometric_median"}

    def __str__(self) -> str:
        return f"{self.name} s={self.bucket}" if self.name == "centered_clip" else self.name


def merge_floats(rule: Rule, updates_ND: Vectors, previous_D: Vectors, order: list[int]) -> Vectors:
    """The aggregate of a round.

    previous_D: the aggregate before, about which `centered_clip` clips.
    order:      in which the updates go into buckets.
    """
    if rule.name == "centered_clip":
        return _centered_clip(rule, updates_ND[order], previous_D)
    return _RULES[rule.name](updates_ND, rule.attackers)


def _centered_clip(rule: Rule, updates_ND: Vectors, center_D: Vectors) -> Vectors:
    """Source: Karimireddy et al. 2021, arXiv:2012.10333, and 2022, arXiv:2006.09365 for the buckets."""
    cuts_R = np.arange(0, len(updates_ND), rule.bucket)
    members_R = np.diff(cuts_R, append=len(updates_ND)).astype(np.float32)
    buckets_RD = (
        np.add.reduceat(updates_ND, cuts_R, axis=0) / members_R[:, np.newaxis] if rule.bucket > 1 else updates_ND
    )
    for _ in range(rule.iterations):
        apart_RD = buckets_RD - center_D
        lengths_R = np.sqrt(np.vecdot(apart_RD, apart_RD))
        scales_R = np.minimum(1, rule.radius / np.maximum(lengths_R, 1e-12)).astype(np.float32)
        center_D = center_D + scales_R @ apart_RD / np.float32(len(buckets_RD))
    return center_D


def _mean(updates_ND: Vectors, attackers: int) -> Vectors:
    return updates_ND.mean(0)


def _trimmed_mean(updates_ND: Vectors, attackers: int) -> Vectors:
    """Source: Yin et al. 2018, arXiv:1803.01498."""
    return np.sort(updates_ND, axis=0)[attackers : len(updates_ND) - attackers].mean(0)


def _median(updates_ND: Vectors, attackers: int) -> Vectors:
    return np.median(updates_ND, axis=0)


def _multi_krum(updates_ND: Vectors, attackers: int) -> Vectors:
    """The mean of the n - f updates nearest to their n - f - 2 nearest. Source: Blanchard et al. 2017."""
    count = len(updates_ND)
    nearest_NN = np.sort(_squared_distances(updates_ND), axis=1)
    scores_N = nearest_NN[:, 1 : count - attackers - 1].sum(1)
    return updates_ND[np.argsort(scores_N, kind="stable")[: count - attackers]].mean(0)


def _geometric_median(updates_ND: Vectors, attackers: int) -> Vectors:
    """Source: Pillutla et al. 2022, arXiv:1912.13445, from the median of the distances to all as the integers do."""
    distances_NN = np.sqrt(np.maximum(_squared_distances(updates_ND), 0))
    weights_N = 1 / np.maximum(np.median(distances_NN, axis=1), 1e-12)
    center_D = (weights_N / weights_N.sum()).astype(np.float32) @ updates_ND
    for _ in range(_STEPS):
        apart_ND = updates_ND - center_D
        weights_N = 1 / np.maximum(np.sqrt(np.vecdot(apart_ND, apart_ND)), 1e-12)
        center_D = (weights_N / weights_N.sum()).astype(np.float32) @ updates_ND
    return center_D


def _nearest_neighbours(updates_ND: Vectors, attackers: int) -> Vectors:
    """Each update's mean with its nearest, then the trimmed mean. Source: Allouah et al. 2023, arXiv:2302.01772."""
    return _trimmed_mean(mix(updates_ND, _squared_distances(updates_ND), attackers), attackers)


def mix(updates_ND: Vectors, distances_NN: Vectors, attackers: int) -> Vectors:
    """Replace each update by the mean of the n - f nearest to it, itself among them."""
    count = len(updates_ND)
    nearest_NK = np.argsort(distances_NN, axis=1, kind="stable")[:, : count - attackers]
    chosen_NN = np.zeros((count, count), np.float32)
    np.put_along_axis(chosen_NN, nearest_NK, np.float32(1 / (count - attackers)), axis=1)
    return chosen_NN @ updates_ND


def _squared_distances(updates_ND: Vectors) -> Vectors:
    products_NN = updates_ND @ updates_ND.T
    squares_N = np.diagonal(products_NN)
    apart_NN = squares_N[:, np.newaxis] + squares_N - 2 * products_NN
    np.fill_diagonal(apart_NN, -1)  # each is nearest to itself, whatever the rounding
    return apart_NN


_RULES: dict[str, Callable[[Vectors, int], Vectors]] = {
    "mean": _mean,
    "trimmed_mean": _trimmed_mean,
    "median": _median,
    "multi_krum": _multi_krum,
    "geometric_median": _geometric_median,
    "nearest_neighbours": _nearest_neighbours,
}
