"""What each update did in the merge that was made, and what that earns. docs/PROTOCOL.md, section 14.

A score says by how much an update lowered the loss on the hold-out, on a grid. Scores, weights and pay are integers;
the floats before them (`node.contribution`) are rounded to the grid once. Nothing that a provider says about itself,
as its number of examples, goes in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

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

SEEN_BEFORE = 20
"""An update of whose squared length less than a 20th is outside what was public repeats it."""

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

    Of n new updates, with m the mean of the n - 2 others (0 without others), x and y are alike if the cosine c of x - m
    and y - m is at least u + (1 - u) / (n - 1): independent deviations give 1 / (n - 1), for they have m in common.
    units: u, in 2**-16. What all have in common is taken out, so nobody is a copy for having learnt the same task.
    Holds: exact, so everyone finds the same; equal updates that are not m are alike.
    """
    places = [place for place, is_so in enumerate(new) if is_so]
    rows = {one: sum(products[one][other] for other in places) for one in places}
    total, others = sum(rows.values()), max(1, len(places) - 2)

    def alike(one: int, other: int) -> bool:
        """Each product is that of the deviations times the square of the others' number, so that it is an integer."""
        both, ends = products[one][other], products[one][one] + products[other][other]
        spread = total - 2 * (rows[one] + rows[other]) + ends + 2 * both
        near = {place: rows[place] - products[place][place] - both for place in (one, other)}

        def deviation(left: int, right: int) -> int:
            return others**2 * products[left][right] - others * (near[left] + near[right]) + spread

        product = deviation(one, other)
        least, most = ONE + units * (len(places) - 2), ONE * (len(places) - 1)
        return product > 0 and (product * most) ** 2 >= least**2 * deviation(one, one) * deviation(other, other)

    found = {one: sum(one == other or alike(one, other) for other in places) for one in places}
    return tuple(found.get(place, 1) for place in range(len(products)))


def is_new(gain: int, chance: int, unseen: int) -> bool:
    """Whether an update is neither noise nor a replay.

    gain:   the update's slope on the hold-out; chance: its standard deviation for a random direction of the update's
            length. Both on the grid, in any unit.
    unseen: the part of its squared length, in units of 2**-16, outside the span of what was public before the round.
    Holds:  zero updates, and sums of earlier ones, are not new; noise is once in 44 times, however long it is.
    """
    return gain > SIGMAS * chance and unseen * SEEN_BEFORE >= ONE


def weights(scores: Sequence[int], alike: Sequence[int], new: Sequence[bool]) -> tuple[int, ...]:
    """What each update weighs in the round's pay.

    scores:   on the grid; alike: as `copies` counts; new: as `is_new` finds.
    Rounding: down. A score below 0 weighs 0.
    Holds:    updates that are all alike weigh together at most as much as the best of them would alone.
    """
    found = zip(scores, alike, new, strict=True)
    return tuple(max(0, score) // group if brings else 0 for score, group, brings in found)


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
