"""Clipping around the previous aggregate, block by block. docs/PROTOCOL.md, section 7.

A pass over the updates moves the center by the scales of the pass before and measures each bucket's distance from it;
the center lives in the last plane of the result. Every pass reads the updates once, a piece of all of them at a time:
few calls, each over rows that are still in the cache.

Sums are float64, whose partial sums are integers below 2**53 and so exact in any order, wherever the center is an
aggregate of updates. A state that nobody challenged may hold any int32; there they are int64.

Shape suffixes: P planes, B coordinates of a block, W coordinates of a piece of it, R buckets, K chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.commitments import CHUNK
from ledger.merge_parameters import MergeParameters
from node.block_rules import ServerStep
from node.blocks import Blocks, Scratch, pieces, run_blocks
from node.merge_arithmetic import GUARD, ONE, scale_of

_VALUES = 2**20
"""Values of all updates at a time: few enough for the cache, enough that calls, and waiting for the interpreter's lock,
cost little."""

_LEAST = 8 * CHUNK
"""Coordinates below which the calls would cost more than the cache saves."""

_MOST = 2**23
"""The greatest magnitude of an aggregate of updates."""

_value_scratch, _row_scratch, _line_scratch = Scratch(), Scratch(), Scratch()

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
        if iteration and parameters.bucket == 1:
            rows += sums[(iteration - 1) * buckets : iteration * buckets]
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
    step:   the server's, in the last pass; before, the pass measures distances. Where each bucket is one update, a
            pass after the first gives by how much they have changed, modulo 2**64: that takes one product.
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
        groups = Group.of(len(updates), self.bucket)
        sums = np.empty((groups[-1].rows.stop, len(center_B) // CHUNK), dtype=np.uint64)
        width = max(_LEAST, _VALUES // len(updates) // CHUNK * CHUNK)
        for part in pieces(len(center_B), width):
            center_W = center_B[part]
            before_W = center_W.copy()
            sums_RK = sums[:, part.start // CHUNK : part.stop // CHUNK]
            rows_RW = _read(groups, [update_B[part] for update_B in updates], _exact(center_W))
            if self.scales:
                self._move(center_W, rows_RW, groups)
            if self.step is None and self.scales and self.bucket == 1:
                _measure_change(before_W, center_W, rows_RW, sums_RK)
            elif self.step is None:
                _measure(center_W, rows_RW, groups, sums_RK)
        if self.step is None:
            return sums
        self.step.take(planes_PB, merged_PB)
        return None

    def _move(self, center_W: NDArray[np.int32], rows_RW: _Numbers, groups: Sequence[Group]) -> None:
        """`v += sum(c_j * (Y_j - v)) // (65536 * m)`."""
        numbers_RW = _numbers(rows_RW)
        kind = numbers_RW.dtype.type
        units = [group.unit for group in groups for _ in range(group.rows.start, group.rows.stop)]
        weights = np.multiply(self.scales, units, dtype=kind)
        pull_W, part_W, old_W = _line_scratch.rows(3, len(center_W), kind)
        np.matmul(weights, numbers_RW.reshape(len(units), -1, CHUNK).swapaxes(0, 1), out=pull_W.reshape(-1, CHUNK))
        np.copyto(old_W, center_W)
        np.multiply(old_W, sum(self.scales), out=part_W)
        np.subtract(pull_W, part_W, out=pull_W)
        _floor_divide(pull_W, ONE * len(self.scales))
        np.add(pull_W, old_W, out=pull_W)
        np.copyto(center_W, pull_W, casting="unsafe")


@dataclass(frozen=True)
class Group:
    """Buckets of as many updates each: all, but that the last may be smaller.

    members: updates a bucket.
    rows:    the buckets.
    updates: their members.
    """

    members: int
    rows: slice
    updates: slice

    @classmethod
    def of(cls, updates: int, bucket: int) -> list[Group]:
        """One group, or two."""
        full = updates // bucket
        rest = updates - full * bucket
        groups = [cls(bucket, slice(0, full), slice(0, full * bucket))] if full else []
        return groups + ([cls(rest, slice(full, full + 1), slice(full * bucket, updates))] if rest else [])

    @property
    def unit(self) -> int:
        """What a row counts in: a sum of 2, 4, 8 or 16 updates is exact in units of 128, 64, 32 or 16."""
        return GUARD // self.members if GUARD % self.members == 0 else 1


def _read(groups: Sequence[Group], updates: Sequence[NDArray[np.int16]], kind: _Kind) -> _Numbers:
    """Each bucket's `Y`, in its group's unit: of type `kind` where each bucket is one update, else integers.

    Shapes: each update (W,) -> (R, W), valid until the thread's next call.
    """
    width, alone = len(updates[0]), groups[0].members == 1
    values_NW = _value_scratch.rows(len(updates), width, kind if alone else _INTEGERS[kind])
    np.concatenate(updates, out=values_NW.reshape(-1))
    if alone:
        return values_NW
    for group in groups:
        members_RSW = values_NW[group.updates].reshape(-1, group.members, width)
        rows_RW = members_RSW[:, 0]
        for member in range(1, group.members):
            np.add(rows_RW, members_RSW[:, member], out=rows_RW)
        if group.unit == 1:
            np.multiply(rows_RW, GUARD, out=rows_RW)
            np.floor_divide(rows_RW, group.members, out=rows_RW)
    return values_NW[:: groups[0].members]


def _measure(
    center_W: NDArray[np.int32], rows_RW: _Numbers, groups: Sequence[Group], sums_RK: NDArray[np.uint64]
) -> None:
    """`sum(((Y_j - v + 128) // 256) ** 2)` of each chunk and bucket; overwrites the rows.

    With `Y_j = unit * row`, the term is `(row + (128 - v) // unit) // (256 / unit)`.
    """
    kind = np.int64 if rows_RW.dtype == np.int64 else np.float64
    for group in groups:
        terms_RW = rows_RW[group.rows]
        np.add(terms_RW, _offset(center_W, group.unit, kind).astype(rows_RW.dtype, copy=False), out=terms_RW)
        if group.unit != GUARD:
            np.right_shift(terms_RW, (GUARD // group.unit).bit_length() - 1, out=terms_RW)
    numbers_RKC = _numbers(rows_RW).reshape(len(rows_RW), -1, CHUNK)
    np.copyto(sums_RK, np.vecdot(numbers_RKC, numbers_RKC), casting="unsafe")


def _measure_change(
    before_W: NDArray[np.int32], center_W: NDArray[np.int32], rows_RW: _Numbers, sums_RK: NDArray[np.uint64]
) -> None:
    """`_measure` of the center less that of the center before, where each bucket is one update.

    A term's square grows from `(q + p) ** 2` to `(q + o) ** 2` by `(o - p) * (2 * q + o + p)`.
    """
    kind = rows_RW.dtype.type
    old_W, new_W = _offset(before_W, GUARD, kind), _offset(center_W, GUARD, kind)
    moved_KC = np.subtract(new_W, old_W).astype(kind).reshape(-1, CHUNK)
    both_KC = np.add(new_W, old_W).astype(kind).reshape(-1, CHUNK)
    own_K = np.vecdot(moved_KC, both_KC)
    np.multiply(moved_KC, 2, out=moved_KC)
    rows_KRC = rows_RW.reshape(len(rows_RW), -1, CHUNK).swapaxes(0, 1)
    change_KR = np.matmul(rows_KRC, moved_KC[:, :, np.newaxis])[:, :, 0] + own_K[:, np.newaxis]
    np.copyto(sums_RK, change_KR.T.astype(np.int64).view(np.uint64))


def _offset(center_W: NDArray[np.int32], unit: int, kind: _Kind) -> _Numbers:
    """`(128 - v) // unit`, of a unit that is a power of 2."""
    offset_W: _Numbers = np.subtract(GUARD // 2, center_W, dtype=_INTEGERS[kind])
    offset_W >>= unit.bit_length() - 1
    return offset_W


def _numbers(rows_RW: _Numbers) -> _Numbers:
    """The rows in the type of the sums; they are shared if they are in it already."""
    if rows_RW.dtype != np.int32:
        return rows_RW
    numbers_RW = _row_scratch.rows(len(rows_RW), rows_RW.shape[1], np.float64)
    np.copyto(numbers_RW, rows_RW)
    return numbers_RW


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
