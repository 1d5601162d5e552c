"""CIDv0 text and digests."""

from __future__ import annotations

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.cid import Digest, from_cid, to_cid
from ledger.errors import BadInput

pytestmark = pytest.mark.unit

EMPTY_FILE = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"


@given(st.binary(min_size=32, max_size=32))
def test_from_cid__when_given_what_to_cid_wrote__then_returns_the_digest(digest: bytes) -> None:
    assert from_cid(to_cid(Digest(digest))) == digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Qm",
        EMPTY_FILE[:-1],
        EMPTY_FILE + "1",
        EMPTY_FILE[:-1] + "0",
        EMPTY_FILE[:-1] + "\n",
        EMPTY_FILE[:-1] + "é",
        "/ipfs/" + EMPTY_FILE[6:],
        "bafybeibwzifw52ttrkqlikfzext5akxu7lz4xiwjgwzmqcpdzmp3n5vnbe",
        base58.b58encode(b"\x11\x20" + bytes(32)).decode(),
        base58.b58encode(b"\x12\x21" + bytes(32)).decode(),
        "1" * 46,
        "../../etc/passwd",
    ],
)
def test_from_cid__when_not_a_well_formed_cid_v0__then_refuses(text: str) -> None:
    with pytest.raises(BadInput, match="not a CIDv0"):
        from_cid(text)


@pytest.mark.parametrize("length", [0, 31, 33, 34])
def test_to_cid__when_not_32_bytes__then_refuses(length: int) -> None:
    with pytest.raises(BadInput):
        to_cid(Digest(bytes(length)))
