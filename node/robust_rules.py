"""Rules that look at whole updates: which of them, or how much of each, they take. docs/PROTOCOL.md, section 7.

Pure functions of the updates' exact inner products. Updates are named by their place among the accepted ones, by rising
reveal index, and a tie goes to the smaller place; the integers decide everything else, so every machine decides alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

WEIGHT_BITS = 32

WEIGHTS = 1 << WEIGHT_BITS
"""What the weights of a geometric median add up to, less what the floors take."""

INVERSE_BITS = 64
"""Inverse distances count in units of 2**-64."""

ITERATIONS = 64


def krum_selection(distances: Sequence[Sequence[int]], attackers: int) -> list[int]:
    """The n - f updates with the smallest sums of squared distances to their n - f - 2 nearest others.

    distances: squared, n rows of n, n > 2 * attackers + 2.
    Gives:     places, rising.
    Source:    Blanchard et al. 2017, arXiv:1703.02757, section 4, with m = n - f.
    """
    count = len(distances)
    nearest = count - attackers - 2
    scores = [sum(sorted(row[:place] + row[place + 1 :])[:nearest]) for place, row in enumerate(map(list, distances))]
    best = sorted(range(count), key=lambda place: (scores[place], place))
    return sorted(best[: count - attackers])


def strangers(distances: Sequence[Sequence[int]], attackers: int) -> list[list[int]]:
    """For each update the f that are farthest from it: all others, and itself, are its neighbourhood.

    distances: squared, n rows of n, n > attackers.
    Gives:     places, rising, for each update.
    Source:    Allouah et al. 2023, arXiv:2302.01772, algorithm 2.
    """
    places = range(len(distances))
    kept = len(distances) - attackers
    return [sorted(sorted(places, key=lambda other: (row[other], other))[kept:]) for row in distances]


def median_weights(gram: Sequence[Sequence[int]], distances: Sequence[Sequence[int]]) -> list[int]:
    """How much of each update is in the geometric median, smoothed at one grid unit: Weiszfeld's iteration in integers.

    It starts from weights inverse to each update's median distance from all: from the mean, a minority that lies far
    out takes tens of iterations to leave.

    gram, distances: inner products and squared distances, n rows of n, n > 0.
    Gives:           weights whose sum is more than 2**32 - n and at most 2**32.
    Source:          Pillutla et al. 2022, arXiv:1912.13445, algorithm 2.
    """
    middle = len(gram) // 2
    weights = _inverse_weights([max(1, math.isqrt(sorted(row)[middle])) for row in distances], 1)
    for _ in range(ITERATIONS):
        total = sum(weights)
        products = [sum(map(mul, weights, row)) for row in gram]
        center = sum(map(mul, weights, products))
        squares = [
            total * total * row[place] - 2 * total * product + center
            for place, (row, product) in enumerate(zip(gram, products, strict=True))
        ]
        # each is the squared distance from the center, in units of 1 / total of the grid
        weights = _inverse_weights([max(total, math.isqrt(square)) for square in squares], total)
    return weights


def _inverse_weights(distances: Sequence[int], unit: int) -> list[int]:
    """Weights that fall with the distances, of which `unit` is one grid unit."""
    inverses = [(unit << INVERSE_BITS) // distance for distance in distances]
    total = sum(inverses)
    return [(inverse << WEIGHT_BITS) // total for inverse in inverses]
