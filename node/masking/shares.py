"""Shamir shares of seeds, and how they travel: sealed for one holder each. docs/PROTOCOL.md, section 16.

The sharing is pycryptodome's, over GF(2**128): a seed of 32 bytes is shared as two halves.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from Crypto.Protocol.SecretSharing import Shamir
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from ledger.errors import BadInput
from ledger.keccak import Hash32
from node.masking.context import RoundContext
from node.masking.errors import BadShares
from node.masking.groups import Member
from node.masking.seeds import INDEX_BYTES, SEED_BYTES, Secrets, transport_key

_HALF = 16
_NONCE = 12
_TAG = 16


@dataclass(frozen=True)
class Bundle:
    """What one holder has of a dealer's seeds: a share of its self seed, and one of each pair seed by rising peer.

    A dealer is a holder of its own seeds like the others: it could release them whole, but then members to whom a
    false chain is shown could be made to give away both kinds, each by itself.
    """

    shares: tuple[bytes, ...]

    def of(self, slot: int | None) -> bytes:
        """slot: of the peer; None for the self seed."""
        return self.shares[0 if slot is None else slot + 1]


@dataclass(frozen=True)
class Transfer:
    """Whose shares go to whom.

    root: of the dealer's update, so that no share passes for one of another update.
    """

    context: RoundContext
    dealer: int
    holder: int
    root: Hash32

    @property
    def bound(self) -> bytes:
        indices = self.dealer.to_bytes(INDEX_BYTES, "big") + self.holder.to_bytes(INDEX_BYTES, "big")
        return self.context.label + indices + self.root


def split_seed(seed: bytes, threshold: int, holders: int) -> list[bytes]:
    """A share for each holder; share k has the number k + 1.

    Raises: ValueError if there are fewer holders than the threshold.
    """
    if not 2 <= threshold <= holders or len(seed) != SEED_BYTES:
        raise ValueError(f"{len(seed)} bytes can't be shared among {holders}, {threshold} of them needed")
    halves = [Shamir.split(threshold, holders, seed[at : at + _HALF], ssss=False) for at in (0, _HALF)]
    return [first + second for (_, first), (_, second) in zip(*halves, strict=True)]


def combine_shares(shares: Mapping[int, bytes]) -> bytes:
    """The seed behind exactly as many shares as the threshold; whether they were right, its hash says.

    shares: by the holder's number.
    """
    return _combined(tuple(sorted(shares.items())))


@lru_cache(maxsize=4096)  # who waits for more shares combines those that are there again and again
def _combined(shares: tuple[tuple[int, bytes], ...]) -> bytes:
    halves = [[(number, share[at : at + _HALF]) for number, share in shares] for at in (0, _HALF)]
    return b"".join(Shamir.combine(half, ssss=False) for half in halves)


def deal(seeds: Sequence[bytes], threshold: int, holders: int) -> list[Bundle]:
    """Share a member's seeds, the self seed first; a bundle for each holder."""
    shared = [split_seed(seed, threshold, holders) for seed in seeds]
    return [Bundle(tuple(row)) for row in zip(*shared, strict=True)]


def sealed_bytes(peers: int) -> int:
    """The size of a sealed bundle in a group with so many peers."""
    return _NONCE + SEED_BYTES * (peers + 1) + _TAG


def seal_bundle(bundle: Bundle, secrets: Secrets, holder: Member, transfer: Transfer) -> bytes:
    """Encrypt a bundle for its holder.

    Raises: BadInput if the holder's key is malformed.
    """
    nonce = random.token_bytes(_NONCE)
    return nonce + ChaCha20Poly1305(_key(secrets, holder, transfer)).encrypt(
        nonce, b"".join(bundle.shares), transfer.bound
    )


def open_bundle(sealed: bytes, secrets: Secrets, dealer: Member, transfer: Transfer) -> Bundle:
    """Decrypt what a dealer sealed for this member.

    Raises: BadShares if it was not sealed for this transfer: another round, group, update or holder.
    """
    try:
        plain = ChaCha20Poly1305(_key(secrets, dealer, transfer)).decrypt(
            sealed[:_NONCE], sealed[_NONCE:], transfer.bound
        )
    except (InvalidTag, ValueError, BadInput):
        raise BadShares(
            f"member {transfer.dealer} did not seal them for member {transfer.holder} and this update of the round"
        ) from None
    if not plain or len(plain) % SEED_BYTES:
        raise BadShares(f"{len(plain)} bytes of member {transfer.dealer} are no whole shares")
    return Bundle(tuple(plain[at : at + SEED_BYTES] for at in range(0, len(plain), SEED_BYTES)))


def _key(secrets: Secrets, other: Member, transfer: Transfer) -> bytes:
    """The key of one transfer; what a member keeps for itself is under a key that only it can make."""
    if transfer.dealer == transfer.holder:
        return secrets.derive(b"fedbounty/own-shares/1" + transfer.bound)
    return transport_key(secrets, other.key, transfer.bound)
