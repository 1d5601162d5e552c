"""What a merge binds: reasons in four bytes, and the hash of its record."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from ledger.keccak import keccak
from ledger.merge_records import GivenReason, MergeRecord, Reason, pack_reasons, record_hash, record_of, unpack_reasons
from ledger.records import Timestamp
from tests import builders as make

pytestmark = pytest.mark.unit

GIVEN = st.builds(GivenReason, st.integers(0, 255), st.integers(0, 2**24 - 1))


@given(st.lists(GIVEN))
def test_unpack_reasons__when_they_were_packed__then_they_come_back(reasons: list[GivenReason]) -> None:
    assert unpack_reasons(pack_reasons(reasons)) == reasons


def test_pack_reasons__then_code_and_chunk_are_big_endian() -> None:
    assert pack_reasons([GivenReason(Reason.OUT_OF_RANGE, 0x010203), GivenReason(1)]).hex() == "0601020301000000"


@given(st.binary(max_size=30))
def test_unpack_reasons__when_the_bytes_are_anything__then_only_whole_reasons_are_read(data: bytes) -> None:
    assert len(unpack_reasons(data)) == len(data) // 4


def test_label__when_the_code_means_nothing__then_it_says_so() -> None:
    assert (GivenReason(6).label, GivenReason(12).label, GivenReason(0).label) == (
        "out-of-range",
        "unknown-12",
        "unknown-0",
    )
    assert [code for code in range(256) if GivenReason(code).is_judged] == [5, 6]


def test_record_hash__then_it_is_the_hash_of_the_encoded_struct() -> None:
    merged = make.merged(1, 6, rejected=0b10, reasons=make.reasons(4), payout_leaves=7, metric=9)
    claim = merged.claim
    values = (
        merged.merged_at,
        claim.state_root,
        claim.state_cid,
        claim.report_cid,
        7,
        9,
        0b10,
        keccak(claim.reasons),
        claim.scales_hash,
        claim.distances_hash,
        claim.clip_cid,
    )
    struct = "(uint32,bytes32,bytes32,bytes32,uint16,uint32,uint256,bytes32,bytes32,bytes32,bytes32)"
    assert record_hash(record_of(merged)) == keccak(encode([struct], [values]))[:28]


@pytest.mark.parametrize("name", [field.name for field in fields(MergeRecord)])
def test_record_hash__when_one_field_differs__then_the_hash_differs(name: str) -> None:
    record = record_of(make.merged(1, 6))
    value = getattr(record, name)
    other = replace(record, **{name: keccak(value) if isinstance(value, bytes) else Timestamp(value + 1)})
    assert record_hash(other) != record_hash(record)
