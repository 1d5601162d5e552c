"""CIDs as the chain and the files speak them: a 32-byte sha2-256 digest on chain, CIDv0 text elsewhere.

A CID says where to look, never what is true: what counts is the committed root.
"""

from __future__ import annotations

from typing import NewType

import base58

from ledger.errors import BadInput

Digest = NewType("Digest", bytes)
"""The 32-byte sha2-256 digest of a file's root block."""

SHA2_256 = b"\x12\x20"
"""The multihash head of a sha2-256 digest: the function's code, then 32 bytes."""

CID_LENGTH = 46
"""Characters in every CIDv0."""


def to_cid(digest: Digest) -> str:
    """Write `digest` as a CIDv0."""
    if len(digest) != 32:
        raise BadInput(f"A content digest has 32 bytes, not {len(digest)}.")
    return base58.b58encode(SHA2_256 + digest).decode("ascii")


def from_cid(text: str) -> Digest:
    """Read the digest from a CIDv0.

    Raises: BadInput if `text` is anything but a well-formed CIDv0 with sha2-256.
    """
    try:
        multihash = base58.b58decode(text.encode("ascii")) if len(text) == CID_LENGTH else b""
    except ValueError:
        multihash = b""
    if len(multihash) != 34 or not multihash.startswith(SHA2_256):
        raise BadInput(f"{text[:64]!r} is not a CIDv0: 46 base58 characters that start with Qm.")
    return Digest(multihash[2:])
