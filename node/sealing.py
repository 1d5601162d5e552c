"""Updates that only named recipients can read (docs/PROTOCOL.md, section 17).

A sealed file holds an update file under a content key of its own, and that key once for each recipient: HPKE
(RFC 9180) with X25519, HKDF-SHA256 and ChaCha20-Poly1305. Whoever has the content key can open the file, so disclosing
it for a dispute discloses this one update.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from typing_extensions import Buffer

from ledger.errors import BadInput
from ledger.keccak import Hash32
from ledger.records import Address, BountyId
from node.errors import MalformedUpdate, WrongLengthUpdate

MAGIC = b"FBX1"
HEADER = struct.Struct("<4sBB2sQ32s")
"""Magic, version, recipients, zeros, bytes of the update file, digest of the content key."""
VERSION = 1
MOST_RECIPIENTS = 16
KEY_BYTES = 32
SEGMENT = 1 << 20
"""Bytes of the update file that are sealed together."""

_TAG = 16
_WRAPPED = KEY_BYTES + KEY_BYTES + _TAG
"""HPKE's encapsulated key, then the sealed content key."""
_ENTRY = KEY_BYTES + _WRAPPED
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_PROBE = X25519PrivateKey.from_private_bytes(hashlib.sha256(b"fedbounty/probe").digest())


class NotARecipient(BadInput):
    """A sealed update has no entry for this key; nothing is wrong with the update."""

    def __init__(self, own: bytes) -> None:
        self.own = own
        super().__init__(
            f"The update is sealed, and not for the key 0x{own.hex()}. "
            "The manifest names who can read it; any of them, or its provider, can disclose its content key."
        )


@dataclass(frozen=True)
class SealContext:
    """Which update a sealed file is: another one's, or another round's, does not open."""

    chain_id: int
    market: Address
    bounty: BountyId
    round: int
    provider: Address
    root: Hash32

    @property
    def label(self) -> bytes:
        """Bytes that every seal and every derived key of this update is bound to."""
        words = (self.chain_id, int(self.market, 16), self.bounty, self.round, int(self.provider, 16))
        return b"fedbounty/sealed/1" + b"".join(word.to_bytes(32, "big") for word in words) + self.root


def exchange_key(derive: Callable[[bytes], bytes]) -> X25519PrivateKey:
    """The secret behind the public key that an account announces; derived, so it can't be lost.

    derive: turns a label into 32 bytes that only the account can make.
    """
    return X25519PrivateKey.from_private_bytes(derive(b"fedbounty/x25519/1"))


def public_key(data: bytes) -> X25519PublicKey:
    """A recipient's X25519 public key.

    Raises: BadInput if it is not 32 bytes, or a point of small order, with which every secret would be known to all.
    """
    if len(data) != KEY_BYTES:
        raise BadInput(f"An encryption key has 32 bytes, not {len(data)}.")
    key = X25519PublicKey.from_public_bytes(data)
    try:
        _PROBE.exchange(key)
    except ValueError:
        raise BadInput(f"0x{data.hex()} is no encryption key: it is a point of small order.") from None
    return key


def sealed_file_bytes(update_bytes: int, recipients: int) -> int:
    """The exact size of a sealed file around an update file of so many bytes."""
    return HEADER.size + recipients * _ENTRY + update_bytes + _segments(update_bytes) * _TAG


def seal(update: Buffer, content_key: bytes, recipients: Sequence[bytes], context: SealContext) -> bytes:
    """Seal an update file for its recipients.

    content_key: 32 bytes, never used for other bytes; derive it from the account's key and `context.label`.
    recipients:  1 .. 16 X25519 public keys.
    Raises:      BadInput for a malformed key, or too many.
    """
    if not 1 <= len(recipients) <= MOST_RECIPIENTS:
        raise BadInput(f"An update is sealed for 1 to {MOST_RECIPIENTS} recipients, not {len(recipients)}.")
    plain = memoryview(update).cast("B")
    header = HEADER.pack(MAGIC, VERSION, len(recipients), bytes(2), len(plain), _digest(content_key))
    entries = [one + _SUITE.encrypt(content_key, public_key(one), info=context.label) for one in recipients]
    cipher, bound = ChaCha20Poly1305(content_key), _bound(header, context)
    parts = [
        cipher.encrypt(_nonce(number), plain[number * SEGMENT : (number + 1) * SEGMENT], bound)
        for number in range(_segments(len(plain)))
    ]
    return b"".join((header, *entries, *parts))


def content_key(sealed: Buffer, own: X25519PrivateKey, context: SealContext) -> bytes:
    """The content key, as it was sealed for one recipient.

    Raises: NotARecipient; MalformedUpdate if what the file has for this recipient is no key of the file.
    """
    view = memoryview(sealed).cast("B")
    recipients = _checked_header(view)[2]
    mine = own.public_key().public_bytes_raw()
    for number in range(recipients):
        start = HEADER.size + number * _ENTRY
        if view[start : start + KEY_BYTES] != mine:
            continue
        try:
            found = _SUITE.decrypt(bytes(view[start + KEY_BYTES : start + _ENTRY]), own, info=context.label)
        except (InvalidTag, ValueError):
            raise MalformedUpdate("its content key was not sealed for the recipient that it names") from None
        _check_key(view, found)
        return found
    raise NotARecipient(mine)


def unseal(sealed: Buffer, key: bytes, context: SealContext) -> bytes:
    """Open a sealed file by its content key, from whomever it came.

    Raises: MalformedUpdate if the key is not the file's, or the file is not this update's; WrongLengthUpdate.
    Holds:  a file opens to one update file only: its header commits to the key.
    """
    view = memoryview(sealed).cast("B")
    _magic, _version, recipients, _zeros, length, _key = _checked_header(view)
    _check_key(view, key)
    cipher, bound = ChaCha20Poly1305(key), _bound(bytes(view[: HEADER.size]), context)
    at, parts = HEADER.size + recipients * _ENTRY, []
    for number in range(_segments(length)):
        size = min(SEGMENT, length - number * SEGMENT) + _TAG
        try:
            parts.append(cipher.decrypt(_nonce(number), view[at : at + size], bound))
        except InvalidTag:
            raise MalformedUpdate(f"segment {number} of the sealed file does not open as this update's") from None
        at += size
    return b"".join(parts)


def is_content_key(sealed: Buffer, key: bytes) -> bool:
    """Whether a key is the one that a sealed file commits to.

    Raises: MalformedUpdate, WrongLengthUpdate.
    """
    view = memoryview(sealed).cast("B")
    committed = _checked_header(view)[5]
    return len(key) == KEY_BYTES and hmac.compare_digest(_digest(key), committed)


def recipients_of(sealed: Buffer) -> tuple[bytes, ...]:
    """The public keys that a sealed file names. Whether their entries open, only they can tell.

    Raises: MalformedUpdate, WrongLengthUpdate.
    """
    view = memoryview(sealed).cast("B")
    count = _checked_header(view)[2]
    starts = (HEADER.size + number * _ENTRY for number in range(count))
    return tuple(bytes(view[start : start + KEY_BYTES]) for start in starts)


def _checked_header(view: memoryview) -> tuple[bytes, int, int, bytes, int, bytes]:
    if len(view) < HEADER.size:
        raise WrongLengthUpdate(f"the sealed file has {len(view)} bytes, less than its header")
    magic, version, recipients, zeros, length, key = HEADER.unpack_from(view)
    if magic != MAGIC:
        raise MalformedUpdate("it is not sealed: it does not start with FBX1")
    if version != VERSION or any(zeros) or not 1 <= recipients <= MOST_RECIPIENTS:
        raise MalformedUpdate("the sealed file's header is not of version 1")
    if len(view) != sealed_file_bytes(length, recipients):
        raise WrongLengthUpdate(f"the sealed file has {len(view)} bytes, not {sealed_file_bytes(length, recipients)}")
    return magic, version, recipients, zeros, length, key


def _check_key(view: memoryview, key: bytes) -> None:
    if not is_content_key(view, key):
        raise MalformedUpdate("the content key is not the one that the sealed file commits to")


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(b"fedbounty/content-key/1" + key).digest()


def _bound(header: bytes, context: SealContext) -> bytes:
    return context.label + header


def _segments(length: int) -> int:
    return -(-length // SEGMENT)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
