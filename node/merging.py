"""Merging updates into the global state, exactly, block by block. docs/PROTOCOL.md, section 7.

The result is a pure function of the integers: it does not depend on the order of the updates, on the block size or on
the number of threads, and memory grows with the block alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

BLOCK = 128 * 1024
"""Coordinates at a time: the accumulators of a block stay in the cache."""

GUARD = 256
"""The aggregate is computed on a grid 2**8 finer than the updates'."""

RATE_UNIT = 65536
"""The learning rate `eta` counts in units of 2**-16."""

STATE_MIN, STATE_MAX = -(2**31), 2**31 - 1

MAX_UPDATES = 256
_EXACT_IN_FLOAT32 = 2**24
"""float32 holds every integer up to here; 256 int16 sum to less than 2**23."""

BlockRule = Callable[[slice], None]
"""Computes one block of the new state and writes it in place."""


@dataclass(frozen=True)
class Blocks:
    """How the work is cut: `size` coordinates a block, `executor` to run them on (None: one thread a core)."""

    size: int = BLOCK
    executor: Executor | None = None


def merge_mean(
    state_D: NDArray[np.int32],
    updates: Sequence[NDArray[np.int16]],
    eta: int,
    blocks: Blocks = Blocks(),
) -> NDArray[np.int32]:
    """Step from the state by the mean of the updates.

    Shapes: state_D (D,) int32, each update (D,) int16 -> (D,) int32.
    Units:  updates in grid units, the state 2**8 finer; `eta` in units of 2**-16, >= 0.
    Holds:  per coordinate A' = clamp(A + eta * (S * 256 // n) // 65536), floored at each
            division; without updates A' = A.
    Raises: ValueError for updates of another length, or more than 256 of them.
    """
    if len(updates) > MAX_UPDATES:
        raise ValueError(f"{len(updates)} updates are more than the {MAX_UPDATES} that a round may have")
    if any(len(update) != len(state_D) for update in updates):
        raise ValueError(f"every update must have the state's {len(state_D)} coordinates")
    if not updates:
        return state_D.copy()
    merged_D = np.empty_like(state_D)
    sources = [_tensor(update) for update in updates]

    def merge_block(block: slice) -> None:
        sums = _sums(sources, block)
        merged_D[block] = _step(state_D[block], sums, len(updates), eta)

    _run(merge_block, len(state_D), blocks)
    return merged_D


def merge_coordinate(accumulator: int, values: Iterable[int], eta: int) -> int:
    """The mean rule at one coordinate, in plain integers: the twin of what a contract computes."""
    listed = list(values)
    if not listed:
        return accumulator
    aggregate = sum(listed) * GUARD // len(listed)
    return min(max(accumulator + eta * aggregate // RATE_UNIT, STATE_MIN), STATE_MAX)


def _tensor(update: NDArray[np.int16]) -> torch.Tensor:
    """The update as a tensor that shares its memory; read only, also where the array is not writeable."""
    if update.flags.writeable:
        return torch.from_numpy(update)
    return torch.frombuffer(update.data, dtype=torch.int16)


def _sums(sources: Sequence[torch.Tensor], block: slice) -> NDArray[np.int64]:
    """The exact sum of a block's updates: float32 holds it, as 256 * 32768 < 2**24."""
    total = sources[0][block].to(torch.float32)
    for source in sources[1:]:
        total.add_(source[block])
    return total.to(torch.int64).numpy()


def _step(state: NDArray[np.int32], sums: NDArray[np.int64], count: int, eta: int) -> NDArray[np.int64]:
    """The server's step of a block; numpy's `//` floors."""
    np.multiply(sums, GUARD, out=sums)
    np.floor_divide(sums, count, out=sums)
    np.multiply(sums, eta, out=sums)
    np.right_shift(sums, RATE_UNIT.bit_length() - 1, out=sums)
    np.add(sums, state, out=sums)
    return np.clip(sums, STATE_MIN, STATE_MAX, out=sums)


def _run(rule: BlockRule, size: int, blocks: Blocks) -> None:
    parts = [slice(start, min(start + blocks.size, size)) for start in range(0, size, blocks.size)]
    if blocks.executor is not None:
        list(blocks.executor.map(rule, parts))
        return
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(rule, parts))
