"""Clip files: the scales and squared distances of a clipping merge on IPFS (docs/PROTOCOL.md, section 3)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from ledger.commitments import distance_tree
from ledger.errors import ProtocolFault
from ledger.keccak import Hash32, keccak
from ledger.trees import SumTree

MAGIC = b"FBC1"
HEADER = struct.Struct("<4sII4s")
SCALE_BYTES = 3
SUM_BYTES = 8


class BadClipFile(ProtocolFault):
    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"The clip file is malformed: {detail}.")


@dataclass(frozen=True)
class Clipping:
    """How a clipping merge weighed its buckets; a pair is iteration * buckets + bucket.

    scales:       one a pair, in units of 2**-16.
    distances_PC: squared distances, a row a pair, a column a chunk.

    Shapes: distances_PC (pairs, chunks) uint64.
    """

    scales: tuple[int, ...]
    distances_PC: NDArray[np.uint64]  # noqa: N815 - shape suffix

    def trees(self) -> list[SumTree]:
        """The distance tree of each pair."""
        return [distance_tree([int(one) for one in row]) for row in self.distances_PC]


def pack_scales(scales: Sequence[int]) -> bytes:
    """Scales as the chain hashes them: 3 bytes each, big-endian."""
    return b"".join(one.to_bytes(SCALE_BYTES, "big") for one in scales)


def unpack_scales(data: bytes) -> tuple[int, ...]:
    """The scales in order; bytes that are no whole scale are left out."""
    whole = len(data) // SCALE_BYTES * SCALE_BYTES
    return tuple(int.from_bytes(data[at : at + SCALE_BYTES], "big") for at in range(0, whole, SCALE_BYTES))


def clip_hashes(scales: bytes, roots: Sequence[bytes]) -> tuple[Hash32, Hash32]:
    """What a merge records of its clipping: the hash of the scales, and of the distance trees' roots."""
    return keccak(scales), keccak(b"".join(roots))


def encode_clip(clipping: Clipping) -> bytes:
    """Write a clip file."""
    pairs, chunks = clipping.distances_PC.shape
    payload = np.ascontiguousarray(clipping.distances_PC, dtype="<u8").tobytes()
    return HEADER.pack(MAGIC, pairs, chunks, bytes(4)) + pack_scales(clipping.scales) + payload


def clip_file_bytes(pairs: int, chunks: int) -> int:
    """The exact size of a clip file."""
    return HEADER.size + pairs * (SCALE_BYTES + chunks * SUM_BYTES)


def decode_clip(data: Buffer, pairs: int, chunks: int) -> Clipping:
    """Read a clip file that anyone may have written. Whether it is the right one, its hashes say.

    Raises: BadClipFile.
    """
    view = memoryview(data).cast("B").toreadonly()
    if len(view) != clip_file_bytes(pairs, chunks):
        raise BadClipFile(f"it has {len(view)} bytes, not {clip_file_bytes(pairs, chunks)}")
    magic, counted_pairs, counted_chunks, tail = HEADER.unpack_from(view)
    if magic != MAGIC:
        raise BadClipFile("it does not start with FBC1")
    if any(tail):
        raise BadClipFile("a reserved byte of the header is not 0")
    if (counted_pairs, counted_chunks) != (pairs, chunks):
        raise BadClipFile(f"it has {counted_pairs} pairs of {counted_chunks} chunks, not {pairs} of {chunks}")
    start = HEADER.size + pairs * SCALE_BYTES
    scales = unpack_scales(bytes(view[HEADER.size : start]))
    sums_PC = np.frombuffer(view[start:], dtype="<u8").reshape(pairs, chunks)
    if _overflows(sums_PC):
        raise BadClipFile("the squared distances of a pair add up to more than 64 bits hold")
    return Clipping(scales, sums_PC)


def _overflows(sums_PC: NDArray[np.uint64]) -> bool:
    """Whether a row's sum needs more than 64 bits."""
    high_P = (sums_PC >> np.uint64(32)).sum(axis=1, dtype=np.uint64)
    low_P = (sums_PC & np.uint64(2**32 - 1)).sum(axis=1, dtype=np.uint64)
    return any(int(high) * 2**32 + int(low) >= 2**64 for high, low in zip(high_P, low_P, strict=True))
