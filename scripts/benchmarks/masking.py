"""Secure aggregation: how fast updates are masked and sums unmasked, by the size of a group."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from ledger.commitments import CHUNK
from ledger.keccak import keccak
from node.masking.masks import BLOCK, Mask, pair_mask
from node.masking.shares import combine_shares, split_seed
from node.masking.sums import unmask_sum
from node.masking.update import mask_values
from scripts.benchmarks.measure import MB, Figures, seconds_of

COORDINATES = 10_000_000 // CHUNK * CHUNK
QUICK_COORDINATES = COORDINATES // 10 // CHUNK * CHUNK
REPEATS = 10
GROUPS = (3, 5, 8, 15)
DROPPED_SHARE = 0.3
SHARINGS = ((3, 2), (5, 3), (8, 5), (15, 10), (100, 51))


def run(quick: bool) -> Figures:
    """Mask updates of 10 M coordinates and unmask their groups' sums, 30 % dropped; share the seeds.

    MB_per_second:         bytes of mask that were made and added.
    updates_MB_per_second: bytes of the masked updates that came out, or went into the sum.
    """
    coordinates = QUICK_COORDINATES if quick else COORDINATES
    update_D = np.full(coordinates, 7, dtype=np.int16)
    masked = [np.full(coordinates, member, dtype=np.uint32) for member in range(max(GROUPS))]
    rows: Figures = {"key stream alone": {"MB_per_second": _key_stream_rate(coordinates // BLOCK)}}
    for size in GROUPS:
        masks = _masks(0, range(1, size), size)
        rows[f"mask, {size - 1} peers"] = _row(partial(mask_values, update_D, masks), coordinates, len(masks), 1)
        dropped = max(1, int(DROPPED_SHARE * size))
        left = [mask for own in range(dropped, size) for mask in _masks(own, range(dropped), size)]
        unmask = partial(unmask_sum, masked[dropped:size], left)
        rows[f"unmask, {size} members, {dropped} dropped"] = _row(unmask, coordinates, len(left), size - dropped)
    for holders, threshold in SHARINGS:
        rows[f"a seed, {threshold} of {holders} shares"] = _sharing(holders, threshold)
    return rows


def _masks(own: int, peers: range, size: int) -> list[Mask]:
    """A member's own mask and those with `peers`."""
    seeds = {peer: keccak(bytes((min(own, peer), max(own, peer), size))) for peer in peers}
    return [Mask(keccak(bytes((own, size))), True), *(pair_mask(seed, own, peer) for peer, seed in seeds.items())]


def _row(call: Callable[[], object], coordinates: int, masks: int, updates: int) -> dict[str, Any]:
    seconds = _core_seconds(call)
    rate = coordinates * 4 / MB / seconds
    return {
        "masks": masks,
        "core_seconds": seconds,
        "MB_per_second": rate * masks,
        "updates_MB_per_second": rate * updates,
    }


def _core_seconds(call: Callable[[], object]) -> float:
    """The least time of all cores together, so that others' work does not count."""
    taken = []
    for _ in range(REPEATS):
        started = process_time()
        call()
        taken.append(process_time() - started)
    return min(taken)


def _key_stream_rate(blocks: int) -> float:
    """MB/s at which the library makes a mask's bytes and nothing is done with them: the bound of all masking."""
    stream = Cipher(ChaCha20(bytes(32), bytes(16)), mode=None).encryptor()
    zeros, room = bytes(BLOCK * 4), bytearray(BLOCK * 4)
    return blocks * len(room) / MB / _core_seconds(lambda: [stream.update_into(zeros, room) for _ in range(blocks)])


def _sharing(holders: int, threshold: int) -> dict[str, Any]:
    """Share seeds and combine them, each a new one."""
    seeds = [keccak(bytes((number,))) for number in range(REPEATS + 1)]
    shared = [dict(enumerate(split_seed(seed, threshold, holders)[:threshold], 1)) for seed in seeds]
    waiting = iter(shared)
    return {
        "split_ms": min(seconds_of(lambda: split_seed(seeds[0], threshold, holders), REPEATS)) * 1e3,
        "combine_ms": min(seconds_of(lambda: combine_shares(next(waiting)), REPEATS)) * 1e3,
    }
