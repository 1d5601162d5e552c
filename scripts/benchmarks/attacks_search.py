"""How attackers choose a factor: by the damage that it does to the aggregate.

Shape suffixes: N honest, D coordinates, K of a sample or of a rotated space.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scripts.benchmarks.attacks_rules import Rule, merge_floats

Vectors = NDArray[np.float32]

EVALUATIONS = 20
START, STEP, RATIO = 0.0, 10.0, 0.8
SAMPLE = 8192
"""Coordinates in which a rule that goes by coordinate is tried."""


@dataclass(frozen=True)
class Damage:
    """How far the aggregate lies from the honest mean, for attackers that send `mean + factor * direction`."""

    rule: Rule
    honest_ND: Vectors  # noqa: N815 - shape suffix
    previous_D: Vectors  # noqa: N815 - shape suffix
    attackers: int
    order: list[int]
    clip: float
    """L2 bound on what an attacker may send."""

    def along(self, direction_D: Vectors) -> Callable[[float], float]:
        """The damage by factor.

        A rule that knows only distances and linear combinations is tried in coordinates of the few vectors' own space,
        which changes nothing; other rules in a regular sample of the coordinates.
        """
        given_XD = np.concatenate([self.honest_ND, self.previous_D[np.newaxis], direction_D[np.newaxis]])
        products = given_XD @ given_XD.T
        given_XK = _own_space(products) if self.rule.rotates else given_XD[:, :: max(1, given_XD.shape[1] // SAMPLE)]
        honest_NK, previous_K, direction_K = given_XK[:-2], given_XK[-2], given_XK[-1]
        mean_K = honest_NK.mean(0)
        share = np.full(len(self.honest_ND), 1 / len(self.honest_ND))
        square, product = share @ products[:-2, :-2] @ share, share @ products[:-2, -1]

        def damage(factor: float) -> float:
            length = np.sqrt(max(square + 2 * factor * product + factor**2 * products[-1, -1], 1e-30))
            sent_K = (mean_K + np.float32(factor) * direction_K) * np.float32(min(1.0, self.clip / length))
            updates = np.concatenate([honest_NK, np.broadcast_to(sent_K, (self.attackers, len(sent_K)))])
            return float(np.linalg.norm(merge_floats(self.rule, updates, previous_K, self.order) - mean_K))

        return damage


def best_factor(damage: Damage, direction_D: Vectors, start: float = START) -> float:
    """The factor of greatest damage that 20 trials find: growing steps while they help, then shrinking ones.

    Source: ByzFL 0.0.11, the search of its optimised attacks: 20 evaluations, from 0, step 10, ratio 0.8.
    """
    tried = damage.along(direction_D)
    best, most, step, grows = start, tried(start), STEP, True
    for _ in range(EVALUATIONS - 1):
        there = tried(best + step)
        if there > most:
            best, most = best + step, there
            step *= 2 if grows else RATIO
        else:
            grows = False
            step *= RATIO
    return best


def _own_space(products: Vectors) -> Vectors:
    """Vectors with these inner products, in as many coordinates as there are vectors."""
    values, axes = np.linalg.eigh(products.astype(np.float64))
    return (axes * np.sqrt(np.maximum(values, 0))).astype(np.float32)
