"""The rules that average, block by block, and the server's step. docs/PROTOCOL.md, section 7.

numpy's `//` and `>>` floor, as the protocol does.

Shape suffixes: P planes of a state; B coordinates of one block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.blocks import Scratch, pieces
from node.merge_arithmetic import GUARD, ONE, RATE_BITS, STATE_MAX, STATE_MIN
from node.sorting_networks import Comparator, Keep, middle_network

_STEP = 32 * 1024
"""Coordinates of a block that take the server's step at a time, in the cache."""

_SORTED = 2**18
"""Values that go through a sorting network at a time, in the cache."""

_LEAST_SORTED = 2**10
"""Coordinates below which the calls would cost more than the cache saves."""

_step_scratch, _sum_scratch, _sort_scratch = Scratch(), Scratch(), Scratch()


@dataclass(frozen=True)
class ServerStep:
    """How the aggregate moves the state.

    Units: eta and beta in 2**-16.
    """

    eta: int
    beta: int

    def take(self, planes_PB: NDArray[np.int32], merged_PB: NDArray[np.int32]) -> None:
        """Finish `merged_PB`, whose last plane holds the aggregate.

        Shapes: planes_PB and merged_PB (P, B) int32; with one plane there is no momentum.
        """
        for part in pieces(merged_PB.shape[1], _STEP):
            state, aggregate = planes_PB[0, part], merged_PB[-1, part]
            if len(merged_PB) == 2:
                self._remember(planes_PB[1, part], aggregate)
            if self.eta == ONE and _adds_up(state, aggregate):
                np.add(aggregate, state, out=merged_PB[0, part])  # nothing to scale and nothing to clamp
            else:
                self._move(state, aggregate, merged_PB[0, part])

    def _remember(self, previous_B: NDArray[np.int32], aggregate_B: NDArray[np.int32]) -> None:
        """Mix the aggregate with the previous one, in int64."""
        if self.beta == 0:
            return
        mixed, kept = _step_scratch.rows(2, len(aggregate_B), np.int64)
        np.copyto(mixed, aggregate_B)
        np.multiply(mixed, ONE - self.beta, out=mixed)
        np.copyto(kept, previous_B)
        np.multiply(kept, self.beta, out=kept)
        np.add(mixed, kept, out=mixed)
        np.right_shift(mixed, RATE_BITS, out=mixed)
        np.copyto(aggregate_B, mixed, casting="unsafe")

    def _move(self, state: NDArray[np.int32], aggregate: NDArray[np.int32], merged: NDArray[np.int32]) -> None:
        """Write the new state, in int64: a product of an int32 and a uint32 fits. `merged` may be `aggregate`."""
        step = _step_scratch.rows(1, len(aggregate), np.int64)[0]
        np.copyto(step, aggregate)
        np.multiply(step, self.eta, out=step)
        np.right_shift(step, RATE_BITS, out=step)
        np.add(step, state, out=step)
        np.clip(step, STATE_MIN, STATE_MAX, out=step)
        np.copyto(merged, step, casting="unsafe")


def _adds_up(state: NDArray[np.int32], aggregate: NDArray[np.int32]) -> bool:
    """Whether both lie so that no sum leaves the range of a state."""
    low, high = int(state.min()) + int(aggregate.min()), int(state.max()) + int(aggregate.max())
    return low >= STATE_MIN and high <= STATE_MAX


@dataclass(frozen=True)
class TrimmedMean:
    """Step by the mean of the middle values.

    dropped: values at each end that don't count; fewer than half of the updates.
    """

    step: ServerStep
    dropped: int = 0

    def merge_block(
        self, planes_PB: NDArray[np.int32], updates: Sequence[NDArray[np.int16]], merged_PB: NDArray[np.int32]
    ) -> None:
        """`G = 256 * sum // count` of the values that count, then the server's step."""
        aggregate_B = merged_PB[-1]
        if self.dropped:
            add_up_middle(updates, self.dropped, aggregate_B)
        else:
            add_up(updates, aggregate_B)
        for part in pieces(len(aggregate_B), _STEP):
            aggregate = aggregate_B[part]
            np.multiply(aggregate, GUARD, out=aggregate)
            np.floor_divide(aggregate, len(updates) - 2 * self.dropped, out=aggregate)
            self.step.take(planes_PB[:, part], merged_PB[:, part])


def add_up(updates: Sequence[NDArray[np.int16]], sums_B: NDArray[np.int32]) -> None:
    """Write the exact sums of at most 256 updates, with int16 arithmetic alone: no value is widened before the end.

    Shapes: each of one or more updates (B,) int16, sums_B (B,) int32.
    Holds:  with x = 256 h + l (h floored, 0 <= l < 256) the sum of h fits int16 and that of l fits uint16. `total` is
            the sum of x modulo 2**16; less 256 times the sum of h it is the sum of l.
    """
    total, high, part = _sum_scratch.rows(3, len(sums_B), np.int16)
    np.copyto(total, updates[0])
    np.right_shift(updates[0], 8, out=high)
    for update_B in updates[1:]:
        np.add(total, update_B, out=total)
        np.right_shift(update_B, 8, out=part)
        np.add(high, part, out=high)
    np.left_shift(high, 8, out=part)
    np.subtract(total, part, out=total)
    np.copyto(sums_B, high)
    np.multiply(sums_B, 256, out=sums_B)
    np.add(sums_B, total.view(np.uint16), out=sums_B)


def add_up_middle(updates: Sequence[NDArray[np.int16]], dropped: int, sums_B: NDArray[np.int32]) -> None:
    """Write the exact sums of all values but the `dropped` smallest and greatest, coordinate by coordinate.

    Shapes: each of more than 2 * dropped updates (B,) int16, sums_B (B,) int32.
    """
    count = len(updates)
    network = middle_network(count, dropped)
    for part in pieces(len(sums_B), max(_LEAST_SORTED, _SORTED // count)):
        *rows, spare = _sort_scratch.rows(count + 1, part.stop - part.start, np.int16)
        for row, update_B in zip(rows, updates, strict=True):
            np.copyto(row, update_B[part])
        run_network(network, rows, spare)
        add_up(rows[dropped : count - dropped], sums_B[part])


def run_network(network: Sequence[Comparator], rows: list[NDArray[Any]], spare: NDArray[Any]) -> None:
    """Sort the rows' columns as far as the network does; rows and `spare` change places.

    Shapes: each row and spare (W,), of one type.
    """
    for low, high, keep in network:
        if keep == Keep.LOW:
            np.minimum(rows[low], rows[high], out=rows[low])
        elif keep == Keep.HIGH:
            np.maximum(rows[low], rows[high], out=rows[high])
        else:
            np.minimum(rows[low], rows[high], out=spare)
            np.maximum(rows[low], rows[high], out=rows[high])
            rows[low], spare = spare, rows[low]
