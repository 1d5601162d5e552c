"""Sums of groups from masked updates, and the merge across them. Pure. docs/PROTOCOL.md, section 16.

Shape suffixes: P planes of a state, D coordinates, padding included; B coordinates of one block.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ledger.merge_parameters import MergeParameters
from ledger.records import MergeRule
from node.block_rules import ServerStep, run_network
from node.blocks import Scratch, pieces
from node.masking.masks import BLOCK, Mask, apply_masks
from node.merge_arithmetic import GUARD, ONE, RATE_BITS, STATE_MAX, STATE_MIN, trimmed
from node.sorting_networks import middle_network
from node.updates import LIMIT

PART = 32 * BLOCK
"""Coordinates that one thread unmasks at a time: the streams of the masks begin anew with each part."""

_scratch = Scratch()


@dataclass(frozen=True)
class GroupSum:
    """What a group's accepted updates add up to, in grid units.

    Shapes: sum_D (D,) int32.
    """

    sum_D: NDArray[np.int32]  # noqa: N815 - shape suffix
    members: int

    def fault(self, squared_norm_bound: int) -> str:
        """Why this can't be the sum of so many updates within the bounty's bounds; empty if it can."""
        most, total = LIMIT * self.members, 0
        for part in pieces(len(self.sum_D), BLOCK):
            values = self.sum_D[part].astype(np.float64)
            if values.max(initial=0) > most or values.min(initial=0) < -most:
                return f"its sum leaves the range of {self.members} updates"
            total += int(np.dot(values, values))  # exact: 2**15 squares of at most 2**38
        if total > self.members**2 * squared_norm_bound:
            return f"its sum is longer than {self.members} updates can be together"
        return ""


def unmask_sum(masked: Sequence[NDArray[np.uint32]], removals: Sequence[Mask]) -> NDArray[np.int32]:
    """Add up the masked updates of a group and take the masks away that don't cancel, on all cores.

    Shapes: each of one or more (D,) uint32 -> (D,) int32.
    """
    sum_D = np.empty(len(masked[0]), dtype=np.uint32)

    def unmask(part: slice) -> None:
        rows = [one[part] for one in masked]
        apply_masks(sum_D[part], removals, part.start, lambda block: _add_up(rows, block, sum_D[part]))

    parts = pieces(len(sum_D), PART)
    if len(parts) == 1:
        unmask(parts[0])
    else:
        with ThreadPoolExecutor(min(len(parts), os.cpu_count() or 1)) as threads:
            list(threads.map(unmask, parts))
    return sum_D.view(np.int32)


def _add_up(rows: Sequence[NDArray[np.uint32]], block: slice, sums: NDArray[np.uint32]) -> None:
    sums_B = sums[block]
    np.copyto(sums_B, rows[0][block])
    for row in rows[1:]:
        np.add(sums_B, row[block], out=sums_B)


def merge_sums(
    parameters: MergeParameters, planes_PD: NDArray[np.int32], groups: Sequence[GroupSum]
) -> NDArray[np.int32]:
    """Merge the sums of the accepted groups into the state: the mean over all updates, or the middle of group means.

    Shapes: planes_PD (P, D) int32, each sum (D,) int32 -> (P, D) int32.
    Raises: ValueError for a rule that needs single updates.
    """
    if parameters.rule not in (MergeRule.MEAN, MergeRule.TRIMMED_MEAN, MergeRule.MEDIAN):
        raise ValueError(f"the rule {parameters.rule.name} can't be used on sums of groups")
    merged_PD = np.empty_like(planes_PD)
    dropped = trimmed(parameters, len(groups))
    if not groups or len(groups) <= 2 * dropped:
        np.copyto(merged_PD, planes_PD)
        return merged_PD
    step = ServerStep(parameters.eta, parameters.beta)

    def merge(part: slice) -> None:
        aggregate_B = merged_PD[-1, part]
        rows = [one.sum_D[part] for one in groups]
        if parameters.rule == MergeRule.MEAN:
            _mean(rows, [one.members for one in groups], aggregate_B)
        else:
            _middle(rows, [one.members for one in groups], dropped, aggregate_B)
        step.take(planes_PD[:, part], merged_PD[:, part])

    parts = pieces(planes_PD.shape[1], BLOCK)
    with ThreadPoolExecutor(min(len(parts), os.cpu_count() or 1)) as threads:
        list(threads.map(merge, parts))
    return merged_PD


def _mean(rows: Sequence[NDArray[np.int32]], members: Sequence[int], out_B: NDArray[np.int32]) -> None:
    """`256 * sum // updates`; it fits, for each clamped sum of a group is within 32767 a member."""
    clamped = _scratch.rows(1, len(out_B), np.int32)[0]
    out_B[:] = 0
    for row, count in zip(rows, members, strict=True):
        np.clip(row, -LIMIT * count, LIMIT * count, out=clamped)
        np.add(out_B, clamped, out=out_B)
    np.multiply(out_B, GUARD, out=out_B)
    np.floor_divide(out_B, sum(members), out=out_B)


def _middle(rows: Sequence[NDArray[np.int32]], members: Sequence[int], dropped: int, out_B: NDArray[np.int32]) -> None:
    """The mean of the middle ones of the group means `256 * sum // members`."""
    *means, spare = _scratch.rows(len(rows) + 1, len(out_B), np.int32)
    for mean, row, count in zip(means, rows, members, strict=True):
        np.clip(row, -LIMIT * count, LIMIT * count, out=mean)
        np.multiply(mean, GUARD, out=mean)
        np.floor_divide(mean, count, out=mean)
    if dropped:
        run_network(middle_network(len(means), dropped), means, spare)
    kept = means[dropped : len(means) - dropped]
    np.copyto(out_B, kept[0])
    for mean in kept[1:]:
        np.add(out_B, mean, out=out_B)
    np.floor_divide(out_B, len(kept), out=out_B)


def merge_sum_coordinate(
    parameters: MergeParameters, accumulator: int, previous: int, sums: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """The merge at one coordinate, in plain integers: the twin of what the contract computes.

    sums: of each accepted group its sum there and how many updates it adds up.
    """
    dropped = trimmed(parameters, len(sums))
    if not sums or len(sums) <= 2 * dropped:
        return accumulator, previous
    clamped = [(min(max(value, -LIMIT * count), LIMIT * count), count) for value, count in sums]
    if parameters.rule == MergeRule.MEAN:
        aggregate = GUARD * sum(value for value, _ in clamped) // sum(count for _, count in clamped)
    else:
        middle = sorted(GUARD * value // count for value, count in clamped)[dropped : len(sums) - dropped]
        aggregate = sum(middle) // len(middle)
    moved = (parameters.beta * previous + (ONE - parameters.beta) * aggregate) >> RATE_BITS
    stepped = accumulator + (parameters.eta * moved >> RATE_BITS)
    return min(max(stepped, STATE_MIN), STATE_MAX), moved if parameters.planes == 2 else 0
