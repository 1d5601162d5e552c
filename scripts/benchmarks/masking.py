"""Secure aggregation: how fast updates are masked and sums unmasked, by the size of a group."""

from __future__ import annotations

from collections.abc import Sequence
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.commitments import CHUNK
from ledger.keccak import keccak
from node.masking.masks import Mask, apply_masks, pair_mask
from node.masking.shares import combine_shares, split_seed
from scripts.benchmarks.measure import MB, Figures, seconds_of, spread

COORDINATES = 10_000_000 // CHUNK * CHUNK
QUICK_COORDINATES = COORDINATES // 10 // CHUNK * CHUNK
REPEATS = 5
GROUPS = (3, 5, 8, 15)
DROPPED_SHARE = 0.3
SHARINGS = ((3, 2), (5, 3), (8, 5), (15, 10), (100, 51))


def run(quick: bool) -> Figures:
    """Mask updates of 10 M coordinates and unmask their groups' sums, 30 % dropped, on one core; share the seeds."""
    coordinates = QUICK_COORDINATES if quick else COORDINATES
    values_D = np.zeros(coordinates, dtype=np.uint32)
    rows: Figures = {}
    for size in GROUPS:
        rows[f"mask, {size - 1} peers"] = _row(values_D, _masks(0, range(1, size), size))
        dropped = max(1, int(DROPPED_SHARE * size))
        left = [mask for own in range(dropped, size) for mask in _masks(own, range(dropped), size)]
        row = _row(values_D, left)
        row["updates_MB_per_second"] = row["vector_MB_per_second"] * (size - dropped)
        rows[f"unmask, {size} members, {dropped} dropped"] = row
    for holders, threshold in SHARINGS:
        rows[f"a seed, {threshold} of {holders} shares"] = _sharing(holders, threshold)
    return rows


def _masks(own: int, peers: range, size: int) -> list[Mask]:
    """A member's own mask and those with `peers`."""
    seeds = {peer: keccak(bytes((min(own, peer), max(own, peer), size))) for peer in peers}
    return [Mask(keccak(bytes((own, size))), True), *(pair_mask(seed, own, peer) for peer, seed in seeds.items())]


def _row(values_D: NDArray[np.uint32], masks: Sequence[Mask]) -> dict[str, Any]:
    """Apply masks in place, on one core; rates are by that core's time, so that others' work does not count.

    MB_per_second:        bytes of mask that were made and added.
    vector_MB_per_second: bytes of the one vector, all its masks applied.
    """
    core = []

    def apply() -> None:
        started = process_time()
        apply_masks(values_D, masks)
        core.append(process_time() - started)

    taken = seconds_of(apply, REPEATS)
    rate = values_D.nbytes / MB / min(core)
    return {
        "masks": len(masks),
        "seconds": min(taken),
        "core_seconds": min(core),
        "MB_per_second": rate * len(masks),
        "vector_MB_per_second": rate,
        "spread": spread(taken),
    }


def _sharing(holders: int, threshold: int) -> dict[str, Any]:
    """Share seeds and combine them, each a new one."""
    seeds = [keccak(bytes((number,))) for number in range(REPEATS + 1)]
    shared = [dict(enumerate(split_seed(seed, threshold, holders)[:threshold], 1)) for seed in seeds]
    waiting = iter(shared)
    return {
        "split_ms": min(seconds_of(lambda: split_seed(seeds[0], threshold, holders), REPEATS)) * 1e3,
        "combine_ms": min(seconds_of(lambda: combine_shares(next(waiting)), REPEATS)) * 1e3,
    }
