"""The merge rules at one coordinate, in plain integers: the twin of what a contract computes.

Slow and obvious: a challenger explains a wrong coordinate with it. docs/PROTOCOL.md, section 7.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ledger.keccak import keccak
from ledger.merge_parameters import PROVABLE, MergeParameters
from ledger.records import MergeRule

GUARD_BITS = 8

GUARD = 1 << GUARD_BITS
"""The aggregate is computed on a grid 2**8 finer than the updates'."""

RATE_BITS = 16
"""Rates and clipping scales count in units of 2**-16."""

ONE = 1 << RATE_BITS
"""A learning rate, or a scale, of 1."""

STATE_MIN, STATE_MAX = -(2**31), 2**31 - 1

MAX_UPDATES = 256
"""The most updates that a round may have."""


def coordinate_mean(accumulator: int, values: Iterable[int], eta: int) -> int:
    """The rule `mean` without momentum."""
    return merge_coordinate(MergeParameters(MergeRule.MEAN, eta), accumulator, 0, list(values))[0]


def merge_coordinate(
    parameters: MergeParameters, accumulator: int, previous: int, values: Sequence[int], scales: Sequence[int] = ()
) -> tuple[int, int]:
    """The new accumulator and aggregate of a coordinate; the aggregate is 0 where the state has one plane.

    values: of the accepted updates, in the order of their merge (`bucket_order`).
    scales: of every iteration and bucket, in units of 2**-16; empty unless the rule clips.
    Raises: ValueError for a rule that one coordinate does not tell.
    """
    if parameters.rule not in PROVABLE:
        raise ValueError(f"{parameters.rule.name.lower()} looks at whole updates; no coordinate stands alone")
    if len(values) < least_updates(parameters):
        return accumulator, previous
    aggregate = _aggregate(parameters, previous, values, scales)
    moved = (parameters.beta * previous + (ONE - parameters.beta) * aggregate) >> RATE_BITS
    stepped = accumulator + (parameters.eta * moved >> RATE_BITS)
    return min(max(stepped, STATE_MIN), STATE_MAX), moved if parameters.planes == 2 else 0


def least_updates(parameters: MergeParameters) -> int:
    """How many accepted updates a rule needs; with fewer there is nothing to merge."""
    match parameters.rule:
        case MergeRule.TRIMMED_MEAN:
            return 2 * parameters.trim + 1
        case MergeRule.MULTI_KRUM:
            return 2 * parameters.attackers + 3
        case MergeRule.NEAREST_NEIGHBOURS:
            return 2 * parameters.attackers + 1
    return 1


def trimmed(parameters: MergeParameters, count: int) -> int:
    """How many of `count` values a rule drops at each end."""
    match parameters.rule:
        case MergeRule.MEDIAN:
            return (count - 1) // 2
        case MergeRule.NEAREST_NEIGHBOURS:
            return parameters.attackers
    return parameters.trim


def _aggregate(parameters: MergeParameters, previous: int, values: Sequence[int], scales: Sequence[int]) -> int:
    if parameters.rule == MergeRule.CENTERED_CLIP:
        return clipped_center(parameters, previous, values, scales, parameters.iterations)
    dropped = trimmed(parameters, len(values))
    kept = sorted(values)[dropped : len(values) - dropped]
    return GUARD * sum(kept) // len(kept)


def bucket_means(parameters: MergeParameters, values: Sequence[int]) -> list[int]:
    """The mean of each bucket of values, in units of 2**-8 of the grid."""
    cuts = range(0, len(values), parameters.bucket)
    buckets = [values[start : start + parameters.bucket] for start in cuts]
    return [GUARD * sum(bucket) // len(bucket) for bucket in buckets]


def clipped_center(
    parameters: MergeParameters, previous: int, values: Sequence[int], scales: Sequence[int], iterations: int
) -> int:
    """Where clipping stands after so many iterations."""
    means, center = bucket_means(parameters, values), previous
    for iteration in range(iterations):
        chosen = scales[iteration * len(means) : (iteration + 1) * len(means)]
        pulls = [scale * (mean - center) for scale, mean in zip(chosen, means, strict=True)]
        center += sum(pulls) // (ONE * len(means))
    return center


def distance_term(
    parameters: MergeParameters,
    previous: int,
    values: Sequence[int],
    scales: Sequence[int],
    pair: int,
) -> int:
    """One coordinate's part of a squared distance; a pair is iteration * buckets + bucket.

    Units: squared grid units.
    """
    means = bucket_means(parameters, values)
    iteration, bucket = divmod(pair, len(means))
    center = clipped_center(parameters, previous, values, scales, iteration)
    difference = (means[bucket] - center + GUARD // 2) // GUARD
    return difference * difference


def chunk_distance(
    parameters: MergeParameters,
    previous: Sequence[int],
    values: Sequence[Sequence[int]],
    scales: Sequence[int],
    pair: int,
) -> int:
    """A chunk's part of a squared distance: a leaf of the pair's distance tree.

    previous: the aggregate before, at each of the chunk's coordinates.
    values:   each update's values there, in the order of the merge.
    """
    columns = zip(previous, zip(*values, strict=True), strict=True)
    return sum(distance_term(parameters, before, column, scales, pair) for before, column in columns)


def scale_of(squared_distance: int, tau: int) -> int:
    """How much of its way to the center a bucket keeps, in units of 2**-16."""
    if squared_distance <= tau * tau:
        return ONE
    return math.isqrt(ONE * ONE * tau * tau // squared_distance)


def bucket_order(count: int, seed: bytes) -> list[int]:
    """The places, among the accepted updates by rising reveal index, in the order of the merge."""
    order = list(range(count))
    for last in range(count - 1, 0, -1):
        other = int.from_bytes(keccak(seed + last.to_bytes(32, "big")), "big") % (last + 1)
        order[last], order[other] = order[other], order[last]
    return order
