"""What each update did in the merge that was made, and what that earns. docs/PROTOCOL.md, section 14.

A score says by how much an update lowered the loss on the hold-out, on a grid. Scores, weights and pay are integers;
the floats before them (`node.contribution`) are rounded to the grid once. Nothing that a provider says about itself,
as its number of examples, goes in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median_low

from incentives.rewards import Split
from ledger.records import Wei

SCORE_BITS = 32
"""A score counts in units of 2**-32 of the loss."""

SCORE_MAX = 2**63 - 1
"""Scores are int64: beyond it they saturate."""

ONE = 2**16
"""A cosine of 1."""

ALIKE = ONE * 2 // 5
"""The cosine, above what chance gives, from which on two updates of a round share one credit."""

SIGMAS = 2
"""Standard deviations of chance that an update has to exceed."""

UNSEEN_BITS = 32
"""The part of a squared length that was not public counts in units of 2**-32."""

SEEN_BEFORE = 20
"""An update of whose squared length less than a 20th is outside what was public repeats it ..."""

COMMON = 5
"""... but where that is less than a fifth of the others', all go the way of the round before: then a 20th of theirs."""

Products = Sequence[Sequence[int]]
"""All inner products of a round's updates: row i, column j is x_i . x_j, exact."""


def to_score(value: float) -> int:
    """Round a change of the loss to the grid, to nearest (ties to even).

    Raises: ValueError if it is infinite or not a number.
    """
    if not math.isfinite(value):
        raise ValueError(f"a contribution can't be {value}")
    return max(-SCORE_MAX, min(SCORE_MAX, round(math.ldexp(value, SCORE_BITS))))


def copies(products: Products, new: Sequence[bool], units: int = ALIKE) -> tuple[int, ...]:
    """How many of the round's new updates, itself included, are alike each update; 1 for one that is not new.

    With m the mean of the new updates but x and y (0 without any), x and y are alike if the cosine of x - m and y - m
    is at least u + (1 - u) / (others + 1): independent deviations give 1 / (others + 1), for they have m in common.
    Counted twice: the second time an update weighs 1 / count among the others, so that copies don't move m.
    units: u, in 2**-16. What all have in common is taken out, so nobody is a copy for having learnt the same task.
    Holds: exact, so everyone finds the same; equal updates that are not m are alike.
    """
    places = [place for place, is_so in enumerate(new) if is_so]
    counts = [1] * len(products)
    for _ in range(2):
        unit = math.lcm(*counts)
        counts = _counts(products, places, [unit // count for count in counts], unit, units)
    return tuple(counts)


def _counts(products: Products, places: Sequence[int], weighed: Sequence[int], unit: int, units: int) -> list[int]:
    """`copies`, each update weighing so much in m; one that is alike nobody weighs `unit`."""
    rows = {one: sum(weighed[other] * products[one][other] for other in places) for one in places}
    total, whole = sum(weighed[one] * rows[one] for one in places), sum(weighed[one] for one in places)

    def alike(one: int, other: int) -> bool:
        """Each product is that of the deviations times the square of the others' weight, so that it is an integer."""
        heavy = weighed[one], weighed[other]
        rest = whole - sum(heavy)
        near = {
            place: rows[place] - heavy[0] * products[place][one] - heavy[1] * products[place][other]
            for place in (one, other)
        }
        spread = total - heavy[0] * (rows[one] + near[one]) - heavy[1] * (rows[other] + near[other])
        scale = rest or 1

        def deviation(left: int, right: int) -> int:
            return scale**2 * products[left][right] - scale * (near[left] + near[right]) + spread

        product = deviation(one, other)
        least, most = ONE * unit + units * rest, ONE * (unit + rest)
        return product > 0 and (product * most) ** 2 >= least**2 * deviation(one, one) * deviation(other, other)

    found = {one: sum(one == other or alike(one, other) for other in places) for one in places}
    return [found.get(place, 1) for place in range(len(products))]


def chance_cosine(coordinates: int) -> float:
    """A random direction's cosine with the gradient, of which `SIGMAS` are as rare as in very many coordinates.

    Holds:  about 1 / sqrt(coordinates); `SIGMAS` of it are below 1, however few there are, but for a single one.
    Source: c * sqrt((D - 1) / (1 - c**2)) has Student's t distribution with D - 1 degrees of freedom.
    """
    return 1 / math.sqrt(coordinates - 1 + SIGMAS**2)


def helps(gain: int, chance: int) -> bool:
    """Whether an update's slope on the hold-out is beyond chance.

    chance: the slope of an update as long, at `chance_cosine`. Both on the grid, in any unit.
    Holds:  zero updates don't; noise does once in 44 times (once in 30 in 15 coordinates), however long it is.
    """
    return gain > SIGMAS * chance


def repeats(unseen: Sequence[int]) -> tuple[bool, ...]:
    """Which of a round's updates repeat what was public before it.

    unseen: each one's part of its squared length outside the span of what was public, on a grid of 2**-32; 0 where
            rounding explains what is there.
    Holds:  0 repeats, whatever the others do, and is no measure for them; a 20th never does. Fewer than half of the
            others can't make an update one that repeats, nor save one.
    """
    found = []
    for place, own in enumerate(unseen):
        others = [part for other, part in enumerate(unseen) if part and other != place]
        typical = median_low(others) if others else 1 << UNSEEN_BITS
        least = 1 << UNSEEN_BITS if typical * COMMON >= 1 << UNSEEN_BITS else typical
        found.append(own * SEEN_BEFORE < least or not own)
    return tuple(found)


def weights(scores: Sequence[int], new: Sequence[bool]) -> tuple[int, ...]:
    """What each update weighs in the round's pay: its score, 0 below 0 and for one that is not new.

    scores: on the grid, of the merge in which each update counts as `counts_once` says.
    """
    return tuple(max(0, score) if brings else 0 for score, brings in zip(scores, new, strict=True))


def counts_once(alike: Sequence[int]) -> tuple[float, ...]:
    """How much each of n updates counts where those alike count as one; all n together count n.

    Holds: k updates that are alike each other alone count as much together as one that is alike none.
    """
    whole = math.fsum(1 / count for count in alike)
    return tuple(len(alike) / (count * whole) for count in alike)


def pay(share: Wei, weighed: Sequence[int]) -> Split:
    """Divide a round's share in proportion to the weights; without any above 0 nobody is paid.

    Rounding: each part down.
    Holds:    paid + residue == share, paid <= share, a weight of 0 earns 0.
    Raises:   ValueError for a negative share or weight.
    """
    if share < 0 or any(weight < 0 for weight in weighed):
        raise ValueError("a share and its weights can't be negative")
    total = sum(weighed)
    parts = tuple(Wei(share * weight // total) if total else Wei(0) for weight in weighed)
    residue = Wei(share - sum(parts))
    assert residue >= 0, "floors never pay more than the share"
    return Split(parts, residue)


def alignment(products: Products) -> tuple[float, ...]:
    """Each update's cosine with the sum of all: a diagnosis, never pay. On data that differ it says nothing of worth.

    Holds: 0 for a zero update, and for all if the sum is zero.
    """
    toward = [sum(row) for row in products]
    norm = sum(toward)
    return tuple(
        sum(row) / math.sqrt(row[place] * norm) if row[place] and norm > 0 else 0.0
        for place, row in enumerate(products)
    )
