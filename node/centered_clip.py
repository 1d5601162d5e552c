"""Clipping around the previous aggregate, block by block. docs/PROTOCOL.md, section 7.

A pass over the updates moves the center by the scales of the pass before and measures each bucket's distance from it;
the center lives in the last plane of the result. Sums are float64, whose partial sums are integers below 2**53 and so
exact in any order, wherever the center is an aggregate of updates. A state that nobody challenged may hold any int32;
there they are int64.

Shape suffixes: P planes, B coordinates of a block, W coordinates of a piece of it, R buckets at a time, K chunks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.commitments import CHUNK
from ledger.merge_parameters import MergeParameters
from node.block_rules import ServerStep
from node.blocks import Blocks, Scratch, pieces, run_blocks
from node.merge_arithmetic import GUARD, GUARD_BITS, ONE, scale_of

_PIECE = 64 * 1024
"""Coordinates of a block at a time: enough that calls, and waiting for the interpreter's lock, cost little."""

_ROWS = 4
"""Buckets at a time: few enough that their pieces stay in the cache, enough for a matrix product."""

_MOST = 2**23
"""The greatest magnitude of an aggregate of updates."""

_row_scratch, _line_scratch, _mean_scratch = Scratch(), Scratch(), Scratch()

_Numbers = NDArray[Any]
_Kind = type[Any]

_INTEGERS: dict[_Kind, _Kind] = {np.float64: np.int32, np.int64: np.int64}
"""The integers in which a bucket's mean and its difference from the center are exact, by the type of the sums."""


def merge_clipped(
    parameters: MergeParameters,
    planes_PD: NDArray[np.int32],
    updates: Sequence[NDArray[np.int16]],
    merged_PD: NDArray[np.int32],
    blocks: Blocks,
) -> tuple[list[int], NDArray[np.uint64]]:
    """Write the new planes to `merged_PD`; gives the scales and each chunk's part of the squared distances.

    updates: one or more, in the order of the merge.
    Shapes:  planes_PD and merged_PD (2, D) int32, each update (D,) int16, D a multiple of CHUNK
             -> (pairs,), (pairs, chunks) uint64.
    """
    whole = Blocks(max(CHUNK, blocks.size // CHUNK * CHUNK), blocks.executor)
    buckets = -(-len(updates) // parameters.bucket)
    sums = np.empty((parameters.iterations * buckets, planes_PD.shape[1] // CHUNK), dtype=np.uint64)
    scales: list[int] = []
    latest: tuple[int, ...] = ()
    for iteration in range(parameters.iterations):
        given = run_blocks(ClipPass(parameters.bucket, latest), planes_PD, updates, merged_PD, whole)
        rows = sums[iteration * buckets : (iteration + 1) * buckets]
        np.concatenate([one for one in given if one is not None], axis=1, out=rows)
        latest = tuple(scale_of(total, parameters.tau) for total in _totals(rows))
        scales += latest
    step = ServerStep(parameters.eta, parameters.beta)
    run_blocks(ClipPass(parameters.bucket, latest, step), planes_PD, updates, merged_PD, whole)
    return scales, sums


def _totals(sums: NDArray[np.uint64]) -> list[int]:
    """Each row's sum, which may be greater than a uint64."""
    high = (sums >> np.uint64(32)).sum(axis=1, dtype=np.uint64)
    low = (sums & np.uint64(2**32 - 1)).sum(axis=1, dtype=np.uint64)
    return [(int(upper) << 32) + int(lower) for upper, lower in zip(high, low, strict=True)]


@dataclass(frozen=True)
class ClipPass:
    """One pass over the updates.

    scales: of the iteration before, by which the center moves first; empty in the first pass, which starts it.
    step:   the server's, in the last pass; before, the pass measures distances.
    """

    bucket: int
    scales: tuple[int, ...] = ()
    step: ServerStep | None = None

    def merge_block(
        self, planes_PB: NDArray[np.int32], updates: Sequence[NDArray[np.int16]], merged_PB: NDArray[np.int32]
    ) -> NDArray[np.uint64] | None:
        """Move the center, then measure or finish.

        Shapes: planes_PB and merged_PB (2, B) int32, each update (B,) int16 -> (buckets, B / CHUNK) uint64.
        """
        center_B = merged_PB[-1]
        if not self.scales:
            np.copyto(center_B, planes_PB[-1])
        buckets = -(-len(updates) // self.bucket)
        sums = np.empty((buckets, len(center_B) // CHUNK), dtype=np.uint64)
        for part in pieces(len(center_B), _PIECE):
            values = [update_B[part] for update_B in updates]
            if self.scales:
                self._move(center_B[part], values)
            if self.step is None:
                self._measure(center_B[part], values, sums[:, part.start // CHUNK : part.stop // CHUNK])
        if self.step is None:
            return sums
        self.step.take(planes_PB, merged_PB)
        return None

    def _move(self, center_W: NDArray[np.int32], updates: Sequence[NDArray[np.int16]]) -> None:
        """`v += sum(c_j * (Y_j - v)) // (65536 * m)`."""
        kind = _exact(center_W)
        weights = np.array(self.scales, dtype=kind)
        pull_W, part_W, old_W = _line_scratch.rows(3, len(center_W), kind)
        pull_W.fill(0)
        for chosen, rows_RW in self._buckets(updates, kind):
            rows_KRC = rows_RW.reshape(len(rows_RW), -1, CHUNK).swapaxes(0, 1)
            np.matmul(weights[chosen], rows_KRC, out=part_W.reshape(-1, CHUNK))
            np.add(pull_W, part_W, out=pull_W)
        if self.bucket == 1:
            np.multiply(pull_W, GUARD, out=pull_W)
        np.copyto(old_W, center_W)
        np.multiply(old_W, sum(self.scales), out=part_W)
        np.subtract(pull_W, part_W, out=pull_W)
        _floor_divide(pull_W, ONE * len(self.scales))
        np.add(pull_W, old_W, out=pull_W)
        np.copyto(center_W, pull_W, casting="unsafe")

    def _measure(
        self, center_W: NDArray[np.int32], updates: Sequence[NDArray[np.int16]], sums: NDArray[np.uint64]
    ) -> None:
        """`sum(((Y_j - v + 128) // 256) ** 2)` of each chunk and bucket.

        With one update a bucket, `Y_j = 256 * q_j`, and the term is `q_j - (v + 127) // 256`.
        Shapes: center_W (W,), each update (W,), sums (buckets, W / CHUNK).
        """
        kind = _exact(center_W)
        offset_W: _Numbers = center_W.astype(_INTEGERS[kind])
        if self.bucket == 1:
            offset_W += GUARD // 2 - 1
            offset_W >>= GUARD_BITS
            offset_W = offset_W.astype(kind)
        else:
            offset_W -= GUARD // 2
        for chosen, rows_RW in self._buckets(updates, kind, offset_W):
            rows_RKC = rows_RW.reshape(len(rows_RW), -1, CHUNK)
            sums[chosen] = np.vecdot(rows_RKC, rows_RKC)

    def _buckets(
        self, updates: Sequence[NDArray[np.int16]], kind: _Kind, offset_W: _Numbers | None = None
    ) -> Iterator[tuple[slice, _Numbers]]:
        """Some buckets at a time: `q_j` where each is one update, else `Y_j`; with an offset, their differences.

        Shapes: each update (W,), offset_W (W,) -> (R, W), valid until the next.
        """
        width = len(updates[0])
        for chosen in pieces(-(-len(updates) // self.bucket), _ROWS):
            rows_RW = _row_scratch.rows(chosen.stop - chosen.start, width, kind)
            for row_W, first in zip(
                rows_RW, range(chosen.start * self.bucket, len(updates), self.bucket), strict=False
            ):
                if self.bucket == 1:
                    np.copyto(row_W, updates[first])
                    if offset_W is not None:
                        np.subtract(row_W, offset_W, out=row_W)
                else:
                    _write_mean(updates[first : first + self.bucket], offset_W, row_W, _INTEGERS[kind])
            yield chosen, rows_RW


def _write_mean(
    members: Sequence[NDArray[np.int16]], offset_W: _Numbers | None, row_W: _Numbers, integer: _Kind
) -> None:
    """Write `Y = 256 * sum // count`, or `(Y - offset) // 256`.

    Shapes: each member, offset_W and row_W (W,).
    """
    mean_W, wide_W = _mean_scratch.rows(2, len(row_W), integer)
    np.copyto(mean_W, members[0])
    for member_W in members[1:]:
        np.copyto(wide_W, member_W)
        np.add(mean_W, wide_W, out=mean_W)
    if GUARD % len(members) == 0:
        np.multiply(mean_W, GUARD // len(members), out=mean_W)
    else:
        np.multiply(mean_W, GUARD, out=mean_W)
        np.floor_divide(mean_W, len(members), out=mean_W)
    if offset_W is not None:
        np.subtract(mean_W, offset_W, out=mean_W)
        np.right_shift(mean_W, GUARD_BITS, out=mean_W)
    np.copyto(row_W, mean_W)


def _exact(center_W: NDArray[np.int32]) -> _Kind:
    """The type in which all sums about this center are exact."""
    return np.float64 if center_W.min() >= -_MOST and center_W.max() <= _MOST else np.int64


def _floor_divide(numbers: _Numbers, divisor: int) -> None:
    """Divide in place, floored.

    Holds: a float64 numerator is below 2**48 and the divisor at most 2**24, so the quotient's rounding, at most 2**-29,
           can't carry it over an integer, from which it keeps at least 2**-24.
    """
    if numbers.dtype == np.int64:
        np.floor_divide(numbers, divisor, out=numbers)
    else:
        np.divide(numbers, divisor, out=numbers)
        np.floor(numbers, out=numbers)
