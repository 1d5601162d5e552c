"""Chance that nobody can foresee, fast enough for a number a coordinate and step.

ChaCha20 (RFC 8439) under a key from the operating system. numpy's and torch's own generators are not secure: from
some of their output the rest follows, and with it the noise.
"""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

_KEY_BYTES = 32
_STRETCH = 1 << 30
"""Bytes under one key; the cipher's block counter reaches 256 times as far."""

_SUMMED = 4
_UNIT = 2.0**-53


class SecureStream:
    """An endless stream of random bits. `key` is for tests alone: without it nobody knows the stream."""

    def __init__(self, key: bytes | None = None) -> None:
        self._left = 0
        self._key = key

    def words(self, count: int) -> NDArray[np.uint64]:
        """Shapes: -> (count,), each value with the same probability."""
        data = bytearray(8 * count)
        view, start = memoryview(data), 0
        while start < len(data):
            if not self._left:
                self._renew()
            part = view[start : start + self._left]
            self._encryptor.update_into(bytes(len(part)), part)
            self._left -= len(part)
            start += len(part)
        return np.frombuffer(data, dtype="<u8")

    def below(self, limits: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """An integer in [0, limit) for each limit >= 1, each with exactly the same probability."""
        drawn = self.words(len(limits))
        least = (np.uint64(0) - limits) % limits  # 2**64 mod limit: below it one value too many would start
        while len(again := np.flatnonzero(drawn < least)):
            drawn[again] = self.words(len(again))
        return drawn % limits

    def sample(self, rate: float, count: int) -> NDArray[np.int64]:
        """The rows in [0, count) that a Poisson sample takes: each independently, with probability `rate`.

        Holds: the true probability is `rate` rounded down to a multiple of 2**-64.
        """
        threshold = int(Fraction(rate) * 2**64)
        if threshold >= 2**64:
            return np.arange(count, dtype=np.int64)
        return np.flatnonzero(self.words(count) < np.uint64(threshold)).astype(np.int64)

    def normals(self, count: int) -> NDArray[np.float64]:
        """Standard normal numbers, each the sum of four of Box and Muller's, halved.

        Shapes: -> (count,)
        Holds:  no single uniform number can be found again from a result, so the gaps between floats that give away
                what a Gaussian was added to are out of reach (Holohan and Braghin 2021, arXiv:2107.10138). It is not
                an exact sampler: docs/PROTOCOL.md section 15 says what is left.
        """
        pairs = _SUMMED * ((count + 1) // 2)
        uniform = (self.words(2 * pairs) >> np.uint64(11)).astype(np.float64)
        uniform += 0.5  # never 0
        uniform *= _UNIT
        radius = np.sqrt(-2.0 * np.log(uniform[:pairs]))
        angle = 2.0 * np.pi * uniform[pairs:]
        both = np.concatenate((radius * np.cos(angle), radius * np.sin(angle)))
        summed: NDArray[np.float64] = both.reshape(_SUMMED, -1).sum(axis=0) / np.sqrt(_SUMMED)
        return summed[:count]

    def _renew(self) -> None:
        key, self._key = self._key or os.urandom(_KEY_BYTES), None
        self._encryptor = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()
        self._left = _STRETCH
