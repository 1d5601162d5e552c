"""Cutting a merge into blocks of coordinates, and running them on threads, processes or machines.

Nothing here knows a merge rule, and a rule knows no threads. Memory beyond the result grows with the block alone.

Shape suffixes: P planes of a state, D coordinates, padding included; B coordinates of one block.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

BLOCK = 256 * 1024
"""Coordinates at a time: large enough that calls cost nothing, small enough that the sums stay in the cache."""


class BlockRule(Protocol):
    """What a merge does at one block: a pure function of integers, coordinate by coordinate."""

    def merge_block(
        self, planes_PB: NDArray[np.int32], updates: Sequence[NDArray[np.int16]], merged_PB: NDArray[np.int32]
    ) -> NDArray[np.uint64] | None:
        """Write the block's new planes to `merged_PB`, which shares no memory with the inputs; may give sums.

        Shapes: planes_PB (P, B) int32, each of one or more updates (B,) int16, merged_PB (P, B) int32.
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


class Scratch(threading.local):
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


def pieces(length: int, size: int) -> list[slice]:
    """The slices of `size` that cover `length`; the last may be shorter."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


_Task = tuple[BlockRule, NDArray[np.int32], list[NDArray[np.int16]], NDArray[np.int32]]
_Done = tuple[NDArray[np.int32], NDArray[np.uint64] | None]


def run_blocks(
    rule: BlockRule,
    planes_PD: NDArray[np.int32],
    updates: Sequence[NDArray[np.int16]],
    merged_PD: NDArray[np.int32],
    blocks: Blocks,
) -> list[NDArray[np.uint64] | None]:
    """Apply a rule to every block, into `merged_PD`; gives what each block gave, in order.

    Shapes: planes_PD and merged_PD (P, D) int32, each update (D,) int16.
    """
    parts = pieces(planes_PD.shape[1], blocks.size)
    tasks = [(rule, planes_PD[:, part], [update[part] for update in updates], merged_PD[:, part]) for part in parts]
    if blocks.executor is not None:
        return _run(tasks, blocks.executor)
    if len(tasks) == 1:
        return [_merge_block(*tasks[0])[1]]
    with ThreadPoolExecutor(max(1, min(len(tasks), os.cpu_count() or 1))) as threads:
        return _run(tasks, threads)


def _run(tasks: Sequence[_Task], executor: Executor) -> list[NDArray[np.uint64] | None]:
    given = []
    for task, future in [(task, executor.submit(_merge_block, *task)) for task in tasks]:
        merged_PB, sums = future.result()
        if not np.may_share_memory(merged_PB, task[3]):
            np.copyto(task[3], merged_PB)  # it was computed in another process
        given.append(sums)
    return given


def _merge_block(
    rule: BlockRule,
    planes_PB: NDArray[np.int32],
    updates: list[NDArray[np.int16]],
    merged_PB: NDArray[np.int32],
) -> _Done:
    """Merge one block; gives `merged_PB` back, so that another process's copy of it can come home."""
    return merged_PB, rule.merge_block(planes_PB, updates, merged_PB)
