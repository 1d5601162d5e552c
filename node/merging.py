"""Merging updates into the global state, exactly, block by block. docs/PROTOCOL.md, section 7.

The result is a pure function of the integers: it does not depend on the order of the updates, the size of the blocks,
the number of threads or the machine, and memory beyond the result grows with the block alone. `merge` cuts the
coordinates into blocks and knows no rule; a `BlockRule` merges one block and knows no threads.

Shape suffixes: D coordinates, padding included; B coordinates of one block.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

BLOCK = 256 * 1024
"""Coordinates at a time: large enough that calls cost nothing, small enough that the sums stay in the cache."""

GUARD = 256
"""The aggregate is computed on a grid 2**8 finer than the updates'."""

RATE_BITS = 16
"""The learning rate `eta` counts in units of 2**-16."""

ONE = 2**RATE_BITS
"""A learning rate of 1."""

STATE_MIN, STATE_MAX = -(2**31), 2**31 - 1

MAX_UPDATES = 256
"""Up to here a sum times GUARD fits int32, and `add_up` is exact."""

_MOST = 2**23
"""An aggregate's greatest magnitude."""

_STEP = 32 * 1024
"""Coordinates of a block that take the server's step at a time, in the cache."""


class BlockRule(Protocol):
    """A merge rule at one block: a pure function of integers, coordinate by coordinate."""

    def merge_block(
        self, state_B: NDArray[np.int32], updates: Sequence[NDArray[np.int16]], merged_B: NDArray[np.int32]
    ) -> None:
        """Write the block's new state to `merged_B`, which shares no memory with the inputs.

        Shapes: state_B (B,) int32, each of one or more updates (B,) int16, merged_B (B,) int32.
        """


@dataclass(frozen=True)
class Blocks:
    """How the work is cut and where it runs.

    size:     coordinates a block.
    executor: any `concurrent.futures.Executor`, of processes or machines too; None for one thread a core.
    """

    size: int = BLOCK
    executor: Executor | None = None


WHOLE_MACHINE = Blocks()


@dataclass(frozen=True)
class Mean:
    """The server's step by the mean of the updates.

    eta: the learning rate in units of 2**-16, a uint32.
    """

    eta: int

    def __post_init__(self) -> None:
        if not 0 <= self.eta < 2**32:
            raise ValueError(f"eta {self.eta} is no uint32")

    def merge_block(
        self, state_B: NDArray[np.int32], updates: Sequence[NDArray[np.int16]], merged_B: NDArray[np.int32]
    ) -> None:
        """A' = clamp(A + eta * (S * 256 // n) // 65536), floored at each division (numpy's `//` and `>>` floor)."""
        add_up(updates, merged_B)
        for start in range(0, len(merged_B), _STEP):
            state, aggregate = state_B[start : start + _STEP], merged_B[start : start + _STEP]
            np.multiply(aggregate, GUARD, out=aggregate)
            np.floor_divide(aggregate, len(updates), out=aggregate)
            if self.eta == ONE and state.min() > STATE_MIN + _MOST and state.max() < STATE_MAX - _MOST:
                np.add(aggregate, state, out=aggregate)  # nothing to scale and nothing to clamp
            else:
                self._step(state, aggregate)

    def _step(self, state: NDArray[np.int32], aggregate: NDArray[np.int32]) -> None:
        """Turn a piece of the aggregate into the new state, in int64: |aggregate| <= 2**23 and eta < 2**32."""
        step = _scratch.rows(1, len(aggregate), np.int64)[0]
        np.copyto(step, aggregate)
        np.multiply(step, self.eta, out=step)
        np.right_shift(step, RATE_BITS, out=step)
        np.add(step, state, out=step)
        np.clip(step, STATE_MIN, STATE_MAX, out=step)
        np.copyto(aggregate, step, casting="unsafe")


def add_up(updates: Sequence[NDArray[np.int16]], sums_B: NDArray[np.int32]) -> None:
    """Write the exact sums of at most 256 updates, with int16 arithmetic alone: no value is widened before the end.

    Shapes: each of one or more updates (B,) int16, sums_B (B,) int32.
    Holds:  with x = 256 h + l (h floored, 0 <= l < 256) the sum of h fits int16 and that of l fits uint16. `total` is
            the sum of x modulo 2**16; less 256 times the sum of h it is the sum of l.
    """
    total, high, part = _scratch.rows(3, len(sums_B), np.int16)
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


class _Scratch(threading.local):
    """Each thread's own memory for a block, reused: memory that was never touched is slow."""

    def __init__(self) -> None:
        self._memory = np.empty(0, dtype=np.uint8)

    def rows(self, count: int, size: int, dtype: type[np.generic]) -> NDArray[Any]:
        """`count` rows of `size` elements of any content; they are valid until the thread's next call.

        Shapes: -> (count, size).
        """
        wanted = count * size * np.dtype(dtype).itemsize
        if len(self._memory) < wanted:
            self._memory = np.empty(wanted, dtype=np.uint8)
        return self._memory[:wanted].view(dtype).reshape(count, size)


_scratch = _Scratch()


def coordinate_mean(accumulator: int, values: Iterable[int], eta: int) -> int:
    """The rule `mean` at one coordinate in plain integers: the twin of what a contract computes."""
    listed = list(values)
    if not listed:
        return accumulator
    aggregate = sum(listed) * GUARD // len(listed)
    return min(max(accumulator + (eta * aggregate >> RATE_BITS), STATE_MIN), STATE_MAX)


def merge_mean(
    state_D: NDArray[np.int32],
    updates: Sequence[NDArray[np.int16]],
    eta: int,
    blocks: Blocks = WHOLE_MACHINE,
    out: NDArray[np.int32] | None = None,
) -> NDArray[np.int32]:
    """Step from the state by the mean of the updates; without updates the state stays as it is.

    Shapes: state_D (D,) int32, each update (D,) int16 (memory maps of files will do) -> (D,) int32.
    Units:  updates in grid units, the state 2**8 finer; `eta` in units of 2**-16.
    Raises: ValueError for updates of another length or type, more than 256 of them, or an eta that is no uint32.
    """
    return merge(Mean(eta), state_D, updates, blocks, out)


def merge(
    rule: BlockRule,
    state_D: NDArray[np.int32],
    updates: Sequence[NDArray[np.int16]],
    blocks: Blocks = WHOLE_MACHINE,
    out: NDArray[np.int32] | None = None,
) -> NDArray[np.int32]:
    """Apply a rule to every block; without updates the state stays as it is.

    Shapes: state_D (D,) int32, each update (D,) int16 -> (D,) int32.
    out:    where to write the result: memory that was used before is several times faster than fresh memory.
    Raises: ValueError for updates of another length or type, or more than 256 of them.
    """
    _check(state_D, updates)
    merged_D = np.empty_like(state_D) if out is None else out
    if len(merged_D) != len(state_D) or np.may_share_memory(merged_D, state_D):
        raise ValueError("the result needs memory of its own, of the state's length")
    if not updates:
        np.copyto(merged_D, state_D)
        return merged_D
    parts = [slice(start, min(start + blocks.size, len(state_D))) for start in range(0, len(state_D), blocks.size)]
    tasks = [(rule, state_D[part], [update[part] for update in updates], merged_D[part]) for part in parts]
    if blocks.executor is not None:
        _run(tasks, blocks.executor)
    elif len(tasks) == 1:
        _merge_block(*tasks[0])
    else:
        with ThreadPoolExecutor(min(len(tasks), os.cpu_count() or 1)) as threads:
            _run(tasks, threads)
    return merged_D


_Task = tuple[BlockRule, NDArray[np.int32], list[NDArray[np.int16]], NDArray[np.int32]]


def _run(tasks: Sequence[_Task], executor: Executor) -> None:
    for task, future in [(task, executor.submit(_merge_block, *task)) for task in tasks]:
        merged_B = future.result()
        if not np.may_share_memory(merged_B, task[3]):
            np.copyto(task[3], merged_B)  # it was computed in another process


def _merge_block(
    rule: BlockRule,
    state_B: NDArray[np.int32],
    updates: list[NDArray[np.int16]],
    merged_B: NDArray[np.int32],
) -> NDArray[np.int32]:
    """Merge one block; gives `merged_B` back, so that another process's copy of it can come home."""
    rule.merge_block(state_B, updates, merged_B)
    return merged_B


def _check(state_D: NDArray[np.int32], updates: Sequence[NDArray[np.int16]]) -> None:
    if state_D.dtype != np.int32:
        raise ValueError(f"the state is {state_D.dtype}, not int32")
    if len(updates) > MAX_UPDATES:
        raise ValueError(f"{len(updates)} updates are more than the {MAX_UPDATES} that a round may have")
    for number, update in enumerate(updates):
        if update.dtype != np.int16 or update.shape != state_D.shape:
            raise ValueError(
                f"update {number} is {update.dtype}{list(update.shape)}, not int16{list(state_D.shape)} as the state"
            )
