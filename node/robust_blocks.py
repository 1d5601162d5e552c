"""What the rules that look at whole updates do at one block, once they have decided. docs/PROTOCOL.md, section 7.

Shape suffixes: N updates, P planes of a state, B coordinates of a block, W coordinates of a piece of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.block_rules import ServerStep, run_network
from node.blocks import Scratch, pieces
from node.merge_arithmetic import GUARD
from node.sorting_networks import middle_network

_VALUES = 2**18
"""Values of all updates at a time, in the cache."""

_LINE = 2**14
"""Coordinates at a time where one update is read after the other."""

_LEAST = 2**10
"""Coordinates below which the calls would cost more than the cache saves."""

_value_scratch, _mixed_scratch, _line_scratch = Scratch(), Scratch(), Scratch()


@dataclass(frozen=True)
class WeightedMean:
    """Step by a combination of the updates, with weights whose sum is at most 2**32."""

    step: ServerStep
    weights: tuple[int, ...]

    def merge_block(
        self, planes_PB: NDArray[np.int32], updates: Sequence[NDArray[np.int16]], merged_PB: NDArray[np.int32]
    ) -> None:
        """`G = 256 * sum(w_i * q_i) // sum(w_i)`, then the server's step.

        Holds: every partial sum is an integer of at most 2**32 * 2**15, so that float64 adds exactly.
        """
        for part in pieces(merged_PB.shape[1], _LINE):
            sums_W, pull_W = _line_scratch.rows(2, part.stop - part.start, np.float64)
            sums_W[:] = 0
            for weight, update_B in zip(self.weights, updates, strict=True):
                np.copyto(pull_W, update_B[part])
                np.multiply(pull_W, float(weight), out=pull_W)
                np.add(sums_W, pull_W, out=sums_W)
            _divide(sums_W.astype(np.int64), sum(self.weights), merged_PB[-1, part])
        self.step.take(planes_PB, merged_PB)


@dataclass(frozen=True)
class MixedTrimmedMean:
    """Step by the trimmed mean of each neighbourhood's mean.

    strangers: the updates that are not in each neighbourhood, as many as another lacks.
    dropped:   means at each end of a coordinate that don't count.
    """

    step: ServerStep
    strangers: tuple[tuple[int, ...], ...]
    dropped: int

    def merge_block(
        self, planes_PB: NDArray[np.int32], updates: Sequence[NDArray[np.int16]], merged_PB: NDArray[np.int32]
    ) -> None:
        """`G = 256 * (sum of the middle sums) // (members * middle sums)`, then the server's step."""
        count = len(updates)
        network = middle_network(count, self.dropped)
        middle = slice(self.dropped, count - self.dropped)
        divisor = (count - len(self.strangers[0])) * (count - 2 * self.dropped)
        for part in pieces(merged_PB.shape[1], max(_LEAST, _VALUES // count)):
            *rows, spare = self._mixed([update_B[part] for update_B in updates])
            run_network(network, rows, spare)
            _divide(np.sum(rows[middle], axis=0, dtype=np.int64), divisor, merged_PB[-1, part])
        self.step.take(planes_PB, merged_PB)

    def _mixed(self, updates: Sequence[NDArray[np.int16]]) -> NDArray[np.int32]:
        """Each neighbourhood's sum, which is that of all updates without its strangers; the last row is spare.

        Shapes: N of (W,) int16 -> (N + 1, W) int32, valid until the thread's next call.
        """
        values_NW = _value_scratch.rows(len(updates), len(updates[0]), np.int32)
        for row_W, update_W in zip(values_NW, updates, strict=True):
            np.copyto(row_W, update_W)
        mixed_NW: NDArray[np.int32] = _mixed_scratch.rows(len(updates) + 1, len(updates[0]), np.int32)
        all_W = mixed_NW[-1]
        np.add.reduce(values_NW, axis=0, out=all_W)
        for row_W, strangers in zip(mixed_NW, self.strangers, strict=False):
            np.copyto(row_W, all_W)
            for stranger in strangers:
                np.subtract(row_W, values_NW[stranger], out=row_W)
        return mixed_NW


def _divide(sums_W: NDArray[np.int64], divisor: int, aggregate_W: NDArray[np.int32]) -> None:
    """`256 * sum // divisor`, floored; overwrites the sums."""
    np.multiply(sums_W, GUARD, out=sums_W)
    np.floor_divide(sums_W, divisor, out=sums_W)
    np.copyto(aggregate_W, sums_W, casting="unsafe")
