"""Masked update files: codec 1 of update files, and the tree that commits to them. docs/PROTOCOL.md, sections 2 and 16.

Shape suffix: D coordinates, padding included.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from ledger.commitments import CHUNK
from ledger.trees import SumTree, Tag, leaf_hash, leaf_hashes
from node.errors import MalformedUpdate, WrongLengthUpdate
from node.masking.groups import MOST_GROUP
from node.masking.key_leaf import KEY_LEAF_BYTES, KeyLeaf, decode_key_leaf
from node.masking.shares import sealed_bytes
from node.updates import HEADER, MAGIC

CODEC_MASKED = 1
CHUNK_BYTES = CHUNK * 4

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class MaskedFile:
    """A masked update with its key leaf, and shares of its seeds, sealed for each holder: the group, itself too.

    Shapes: masked_D (chunks * CHUNK,) uint32.
    """

    masked_D: NDArray[np.uint32]  # noqa: N815 - shape suffix
    leaf: KeyLeaf
    sealed: tuple[bytes, ...]


def masked_tree(masked_D: NDArray[np.uint32], leaf: KeyLeaf) -> SumTree:
    """Commit to a masked update and its key leaf. All sums are 0: a masked update has no norm that anyone could check.

    Shapes: masked_D (chunks * CHUNK,) uint32.
    """
    hashes = leaf_hashes(Tag.MASKED, np.ascontiguousarray(masked_D, dtype="<u4").data, CHUNK_BYTES)
    hashes.append(leaf_hash(Tag.MASK_KEYS, len(hashes), leaf.encode()))
    return SumTree(hashes, [0] * len(hashes))


def encode_masked(masked_D: NDArray[np.uint32], leaf: KeyLeaf, sealed: Sequence[bytes]) -> bytes:
    """Write a masked update file.

    Shapes: masked_D (chunks * CHUNK,) uint32.
    """
    header = HEADER.pack(MAGIC, CODEC_MASKED, bytes(3), len(masked_D) // CHUNK, bytes(4))
    payload = np.ascontiguousarray(masked_D, dtype="<u4").data.cast("B")
    shares = b"".join(sealed)
    return b"".join((header, payload, leaf.encode(), _LENGTH.pack(len(shares)), shares))


def masked_file_bytes(chunks: int, peers: int) -> int:
    """The exact size of a masked update file."""
    return _shares_start(chunks) + (peers + 1) * sealed_bytes(peers)


def most_masked_bytes(chunks: int) -> int:
    """The size of the largest masked update file."""
    return masked_file_bytes(chunks, MOST_GROUP - 1)


def decode_masked(data: Buffer, chunks: int) -> MaskedFile:
    """Read a masked update file that anyone may have written; its values are a read-only view into `data`.

    Raises: MalformedUpdate or WrongLengthUpdate; each carries the reason for the chain.
    """
    view = memoryview(data).cast("B").toreadonly()
    start = _shares_start(chunks)
    if len(view) < start:
        raise WrongLengthUpdate(f"the file has {len(view)} bytes, less than {start}")
    magic, codec, reserved, counted, tail = HEADER.unpack_from(view)
    if magic != MAGIC or codec != CODEC_MASKED:
        raise MalformedUpdate("it does not start with FBU1 and codec 1, as masked updates do")
    if any(reserved) or any(tail):
        raise MalformedUpdate("a reserved byte of the header is not 0")
    if counted != chunks:
        raise WrongLengthUpdate(f"it counts {counted} chunks, not {chunks}")
    leaf = decode_key_leaf(view[start - _LENGTH.size - KEY_LEAF_BYTES : start - _LENGTH.size])
    peers = len(leaf.peers)
    (length,) = _LENGTH.unpack_from(view, start - _LENGTH.size)
    if length != (peers + 1) * sealed_bytes(peers) or len(view) != start + length:
        raise WrongLengthUpdate(f"the file has {len(view)} bytes, not {masked_file_bytes(chunks, peers)}")
    size = sealed_bytes(peers)
    sealed = tuple(bytes(view[at : at + size]) for at in range(start, len(view), size))
    masked_D = np.frombuffer(view, dtype="<u4", count=chunks * CHUNK, offset=HEADER.size)
    return MaskedFile(masked_D, leaf, sealed)


def _shares_start(chunks: int) -> int:
    return HEADER.size + chunks * CHUNK_BYTES + KEY_LEAF_BYTES + _LENGTH.size
