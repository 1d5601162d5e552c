"""Sealed updates open for their recipients, as the update that they are, and for nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import BadInput
from ledger.keccak import keccak
from ledger.records import Address, BountyId
from node.errors import MalformedUpdate, WrongLengthUpdate
from node.sealing import (
    HEADER,
    MOST_RECIPIENTS,
    SEGMENT,
    NotARecipient,
    SealContext,
    content_key,
    public_key,
    recipients_of,
    seal,
    sealed_file_bytes,
    unseal,
)

pytestmark = pytest.mark.unit

CONTEXT = SealContext(31337, Address("0x" + "11" * 20), BountyId(4), 2, Address("0x" + "22" * 20), keccak(b"root"))
KEY = keccak(b"content")
AGGREGATOR, AUDITOR, STRANGER = (X25519PrivateKey.from_private_bytes(keccak(name)) for name in (b"a", b"b", b"c"))
UPDATE = bytes(range(256)) * 3
SMALL_ORDER = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")


def own(key: X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def sealed(update: bytes = UPDATE) -> bytes:
    return seal(update, KEY, [own(AGGREGATOR), own(AUDITOR)], CONTEXT)


@given(size=st.sampled_from([0, 1, 255, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT + 7]))
def test_seal__when_opened_by_each_recipient__then_the_update_comes_back(size: int) -> None:
    update = (keccak(size.to_bytes(4)) * (size // 32 + 1))[:size]
    file = sealed(update)
    assert len(file) == sealed_file_bytes(size, 2)
    assert recipients_of(file) == (own(AGGREGATOR), own(AUDITOR))
    for recipient in (AGGREGATOR, AUDITOR):
        assert unseal(file, content_key(file, recipient, CONTEXT), CONTEXT) == update


def test_content_key__when_the_key_is_not_named__then_says_who_can_help() -> None:
    with pytest.raises(NotARecipient, match="any of them, or its provider"):
        content_key(sealed(), STRANGER, CONTEXT)


@pytest.mark.parametrize(
    "other",
    [
        replace(CONTEXT, round=3),
        replace(CONTEXT, bounty=BountyId(5)),
        replace(CONTEXT, chain_id=1),
        replace(CONTEXT, market=Address("0x" + "33" * 20)),
        replace(CONTEXT, provider=Address("0x" + "33" * 20)),
        replace(CONTEXT, root=keccak(b"other")),
    ],
)
def test_unseal__when_the_file_is_another_updates__then_malformed(other: SealContext) -> None:
    with pytest.raises(MalformedUpdate, match="was not sealed for"):
        content_key(sealed(), AGGREGATOR, other)
    with pytest.raises(MalformedUpdate, match="does not open"):
        unseal(sealed(), KEY, other)


ENTRY = 112
"""A recipient's public key, HPKE's encapsulated one, the sealed content key and its tag."""


def opened(file: bytes, recipient: X25519PrivateKey) -> bytes:
    return unseal(file, content_key(file, recipient, CONTEXT), CONTEXT)


def test_unseal__when_any_byte_is_changed__then_refused() -> None:
    file = sealed()
    for at in range(0, len(file), 7):
        changed = bytearray(file)
        changed[at] ^= 1
        is_first_entry = HEADER.size <= at < HEADER.size + ENTRY  # which only the first recipient opens
        with pytest.raises((MalformedUpdate, WrongLengthUpdate, NotARecipient)):
            opened(bytes(changed), AGGREGATOR if is_first_entry else AUDITOR)


def test_unseal__when_cut_or_longer__then_wrong_length() -> None:
    file = sealed()
    for damaged in (file[:-1], file + b"\0", file[: HEADER.size], file[:10], b""):
        with pytest.raises(WrongLengthUpdate):
            unseal(damaged, KEY, CONTEXT)


def test_unseal__when_given_another_content_key__then_malformed() -> None:
    with pytest.raises(MalformedUpdate, match="commits to"):
        unseal(sealed(), keccak(b"guess"), CONTEXT)
    with pytest.raises(MalformedUpdate, match="commits to"):
        unseal(sealed(), b"short", CONTEXT)


def test_content_key__when_a_recipient_was_given_another_key__then_malformed() -> None:
    """A provider can't show the aggregator one update and an auditor another."""
    honest, other = sealed(), seal(UPDATE, keccak(b"other"), [own(AUDITOR)], CONTEXT)
    entry = HEADER.size + ENTRY
    mixed = honest[:entry] + other[HEADER.size : HEADER.size + ENTRY] + honest[entry + ENTRY :]
    assert content_key(mixed, AGGREGATOR, CONTEXT) == KEY
    with pytest.raises(MalformedUpdate, match="commits to"):
        content_key(mixed, AUDITOR, CONTEXT)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytes(32), SMALL_ORDER])
def test_public_key__when_malformed_or_of_small_order__then_refused(key: bytes) -> None:
    with pytest.raises(BadInput):
        public_key(key)


@pytest.mark.parametrize("count", [0, MOST_RECIPIENTS + 1])
def test_seal__when_there_are_too_few_or_too_many_recipients__then_refused(count: int) -> None:
    with pytest.raises(BadInput, match="1 to 16 recipients"):
        seal(UPDATE, KEY, [own(AUDITOR)] * count, CONTEXT)
