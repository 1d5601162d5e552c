"""Sealing one's updates, and reading others': with one's own key, or with content keys that were disclosed.

docs/PROTOCOL.md, section 17.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from ledger.accounts import Key
from ledger.cid import to_cid
from ledger.errors import BadInput, ContentUnavailable
from ledger.keccak import Hash32
from ledger.records import Address, BountyId, Revealed
from node.sealing import NotARecipient, SealContext, content_key, exchange_key, is_content_key, seal, unseal

MAX_DISCLOSED_BYTES = 1 << 20
_HEX = re.compile(r"0x[0-9a-f]{64}")


class SealedUpdate(ContentUnavailable):
    """The file is there, but not for us: like one that can't be had, and nobody's fault."""

    retryable = False

    def __init__(self, cid: str) -> None:
        super().__init__(cid, 0)
        self.args = (
            f"{cid} is sealed for others. Ask its provider, the aggregator or a named auditor for its content key "
            "(`fedbounty disclose`), and give it with --content-keys.",
        )


def exchange_public_key(key: Key) -> bytes:
    """The X25519 public key of an account: what a provider announces, and what an owner names a recipient by."""
    return exchange_key(key.derive).public_key().public_bytes_raw()


def own_content_key(key: Key, context: SealContext) -> bytes:
    """The content key of a provider's own update: derived from its account, so it can be disclosed at any time."""
    return key.derive(b"fedbounty/content-key/1" + context.label)


@dataclass(frozen=True)
class Sealer:
    """Seals a provider's updates of one bounty for the recipients that its manifest names."""

    chain_id: int
    market: Address
    bounty: BountyId
    key: Key
    recipients: tuple[bytes, ...]

    def seal(self, number: int, root: Hash32, update: bytes) -> bytes:
        """The file to publish instead of an update file. number: of the round."""
        context = SealContext(self.chain_id, self.market, self.bounty, number, self.key.address, root)
        return seal(update, own_content_key(self.key, context), self.recipients, context)


@dataclass(frozen=True)
class Reader:
    """Opens sealed updates of one market.

    own:       the secret of a named recipient, or None.
    disclosed: content keys by update root.
    """

    chain_id: int
    market: Address
    own: X25519PrivateKey | None = None
    disclosed: Mapping[Hash32, bytes] = field(default_factory=dict)

    def open(self, revealed: Revealed, sealed: bytes) -> bytes:
        """The update file in a sealed file.

        Raises: SealedUpdate if it is for others; MalformedUpdate, WrongLengthUpdate if nobody can open it.
        """
        return unseal(sealed, self.content_key(revealed, sealed), self.context(revealed))

    def content_key(self, revealed: Revealed, sealed: bytes) -> bytes:
        """The key that opens one update, to be disclosed.

        Raises: as `open`.
        """
        known = self.disclosed.get(revealed.update_root)
        if known is not None and is_content_key(sealed, known):
            return known
        if self.own is None:
            raise SealedUpdate(to_cid(revealed.cid))
        try:
            return content_key(sealed, self.own, self.context(revealed))
        except NotARecipient:
            raise SealedUpdate(to_cid(revealed.cid)) from None

    def context(self, revealed: Revealed) -> SealContext:
        return SealContext(
            self.chain_id, self.market, revealed.bounty, revealed.round, revealed.provider, revealed.update_root
        )


def render_disclosed(keys: Mapping[Hash32, bytes]) -> bytes:
    """Content keys by update root, as a file to hand on."""
    listed = {"0x" + root.hex(): "0x" + key.hex() for root, key in sorted(keys.items())}
    return json.dumps({"format": 1, "content_keys": listed}, indent=2).encode() + b"\n"


def read_disclosed(paths: Sequence[Path]) -> dict[Hash32, bytes]:
    """Content keys from files that anyone may have written. Wrong keys do no harm: they count as none.

    Raises: BadInput if a file is not one of `fedbounty disclose`.
    """
    found: dict[Hash32, bytes] = {}
    for path in paths:
        found |= _listed(path)
    return found


def _listed(path: Path) -> dict[Hash32, bytes]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_DISCLOSED_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{path} can't be read ({error.strerror}).") from error
    try:
        document = json.loads(data) if len(data) <= MAX_DISCLOSED_BYTES else None
    except (ValueError, RecursionError):
        document = None
    listed = document.get("content_keys") if isinstance(document, dict) and document.get("format") == 1 else None
    if not isinstance(listed, dict) or not all(_is_word(root) and _is_word(key) for root, key in listed.items()):
        raise BadInput(f"{path} holds no content keys as `fedbounty disclose` writes them.")
    return {Hash32(bytes.fromhex(root[2:])): bytes.fromhex(key[2:]) for root, key in listed.items()}


def _is_word(value: object) -> bool:
    return isinstance(value, str) and _HEX.fullmatch(value) is not None
