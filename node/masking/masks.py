"""Masks: the key stream of ChaCha20 (RFC 8439), added modulo 2**32. docs/PROTOCOL.md, section 16.

Coordinate c is word c mod 16 of block c div 16, so a contract can compute the mask of one coordinate.

Shape suffixes: D coordinates, B coordinates of one block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

from node.blocks import pieces

WORDS = 16
"""Coordinates in a block of ChaCha20."""

BLOCK = 32 * 1024
"""Coordinates at a time, so that values and key stream stay in the cache."""

_NONCE = bytes(12)
_ZEROS = bytes(BLOCK * 4)


@dataclass(frozen=True)
class Mask:
    """A mask and whether it is added or taken away."""

    seed: bytes
    is_added: bool

    @property
    def opposite(self) -> Mask:
        return Mask(self.seed, not self.is_added)

    def __repr__(self) -> str:
        return f"Mask(***, is_added={self.is_added})"


def apply_masks(
    values_D: NDArray[np.uint32],
    masks: Sequence[Mask],
    start: int = 0,
    fill: Callable[[slice], None] = lambda block: None,
) -> None:
    """Add masks to values, in place, modulo 2**32.

    start:  the first value's coordinate; a multiple of 16.
    fill:   writes a block of the values right before its masks are added, so that memory is passed over once.
    Shapes: values_D (D,) uint32, C-contiguous.
    """
    if start % WORDS:
        raise ValueError(f"coordinate {start} does not begin a block of {WORDS}")
    steps = [(_stream(mask.seed, start // WORDS), np.add if mask.is_added else np.subtract) for mask in masks]
    room = bytearray(BLOCK * 4)
    words = np.frombuffer(room, dtype="<u4")
    for block in pieces(len(values_D), BLOCK):
        fill(block)
        part_B = values_D[block]
        zeros, words_B = memoryview(_ZEROS)[: part_B.nbytes], words[: len(part_B)]
        for stream, combine in steps:
            stream.update_into(zeros, room)
            combine(part_B, words_B, out=part_B)


def mask_word(seed: bytes, coordinate: int) -> int:
    """The mask of one coordinate: the twin of what the contract computes."""
    block, word = divmod(coordinate, WORDS)
    stream = _stream(seed, block).update(bytes(WORDS * 4))
    return int.from_bytes(stream[word * 4 : word * 4 + 4], "little")


def pair_mask(seed: bytes, own: int, peer: int) -> Mask:
    """The mask between two members, as the member `own` applies it: the other applies the opposite."""
    return Mask(seed, own < peer)


def chi_square(data: bytes) -> float:
    """How unevenly bytes are spread; for random ones about 255, and beyond 255 +- 113 in one of 1.7 million.

    Units: the statistic with 255 degrees of freedom (standard deviation 22.6).
    """
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    expected = len(data) / 256
    return float(((counts - expected) ** 2 / expected).sum())


def _stream(seed: bytes, block: int) -> CipherContext:
    return Cipher(ChaCha20(seed, block.to_bytes(4, "little") + _NONCE), mode=None).encryptor()
