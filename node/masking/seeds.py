"""The seeds of masks, and the keys behind them. Nothing here has to be stored: all follows from the account's key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ledger.accounts import Key
from ledger.errors import BadInput
from node.masking.context import RoundContext
from node.sealing import exchange_key, public_key

SEED_BYTES = 32
INDEX_BYTES = 2

Derive = Callable[[bytes], bytes]
"""Turns a label into its HMAC-SHA256 under the account's key, without showing the key."""


@dataclass(frozen=True)
class Secrets:
    """What a member's seeds come from; `repr` shows nothing of it."""

    derive: Derive
    exchange_key: X25519PrivateKey

    def __repr__(self) -> str:
        return "Secrets(***)"


def secrets_of(derive: Derive) -> Secrets:
    return Secrets(derive, exchange_key(derive))


def encryption_key(key: Key) -> bytes:
    """The X25519 public key that a provider announces when it joins."""
    return secrets_of(key.derive).exchange_key.public_key().public_bytes_raw()


def is_well_formed(announced: bytes) -> bool:
    """Whether secrets can be agreed on with a key that somebody announced: 32 bytes, not of small order."""
    try:
        public_key(announced)
    except BadInput:
        return False
    return True


def self_seed(secrets: Secrets, context: RoundContext, own: int) -> bytes:
    """The seed of the mask that a member puts on its own update."""
    return secrets.derive(b"fedbounty/self/1" + context.label + own.to_bytes(INDEX_BYTES, "big"))


def pair_seed(secrets: Secrets, context: RoundContext, own: int, peer: tuple[int, bytes]) -> bytes:
    """The seed of the mask between two members: both get the same, and it is of this round alone.

    peer:   its member index and announced key.
    Raises: BadInput if the key is malformed.
    """
    index, announced = peer
    low, high = sorted((own, index))
    pair = low.to_bytes(INDEX_BYTES, "big") + high.to_bytes(INDEX_BYTES, "big")
    return _expand(secrets, announced, b"fedbounty/pair/1" + context.label + pair)


def transport_key(secrets: Secrets, announced: bytes, bound: bytes) -> bytes:
    """The key under which shares travel between two members.

    bound:  the round, dealer, holder and update that the shares belong to.
    Raises: BadInput if the key is malformed.
    """
    return _expand(secrets, announced, b"fedbounty/shares/1" + bound)


def _expand(secrets: Secrets, announced: bytes, info: bytes) -> bytes:
    agreed = secrets.exchange_key.exchange(public_key(announced))
    return HKDF(SHA256(), SEED_BYTES, salt=None, info=info).derive(agreed)
