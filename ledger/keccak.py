"""Ethereum's keccak-256, the project's one hash."""

from __future__ import annotations

from typing import NewType

from sha3 import keccak_256
from typing_extensions import Buffer

Hash32 = NewType("Hash32", bytes)
"""A 32-byte keccak-256 hash."""

ZERO_HASH = Hash32(bytes(32))


def keccak(data: Buffer) -> Hash32:
    """Hash `data` with keccak-256 as Ethereum does."""
    return Hash32(keccak_256(data).digest())
