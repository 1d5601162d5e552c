"""Reports in words, and what an evaluator commits to."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from ledger.records import Address, BountyId
from ledger.score_records import WHOLE, ScoreScope, pack, score_commitment, score_salt_message, unpack

pytestmark = pytest.mark.unit

SCOPE = ScoreScope(1, Address("0x" + "11" * 20), BountyId(2), 3, Address("0x" + "22" * 20))


@pytest.mark.parametrize("updates", [0, 1, 7, 8, 9, 256])
def test_pack__of_any_number__is_undone(updates: int) -> None:
    parts = tuple((7 * place) % WHOLE for place in range(updates))
    words = pack(parts)
    assert len(words) == -(-updates // 8)
    assert unpack(words, updates) == parts


def test_pack__of_two__puts_the_first_into_the_highest_bits() -> None:
    assert pack([1, 2]) == (1 << 224 | 2 << 192,)


@pytest.mark.parametrize("part", [-1, WHOLE])
def test_pack__of_what_is_no_part__is_refused(part: int) -> None:
    with pytest.raises(ValueError, match="a part is 0"):
        pack([part])


@pytest.mark.parametrize(("words", "updates"), [((), 1), ((0, 0), 8), ((1,), 7), ((0,), 0)])
def test_unpack__of_another_length_or_too_much__is_refused(words: tuple[int, ...], updates: int) -> None:
    with pytest.raises(ValueError, match="no report on"):
        unpack(words, updates)


def test_score_commitment__is_what_the_contract_computes() -> None:
    words, salt = pack([5, 6]), b"\x07" * 32
    packed = keccak(encode(["uint256"], [words[0]]))
    types = ["uint256", "address", "uint256", "uint256", "address", "bytes32", "bytes32"]
    whole = keccak(encode(types, [1, SCOPE.contract, 2, 3, SCOPE.evaluator, packed, salt]))
    assert score_commitment(SCOPE, words, salt) == whole[:31]


def test_score_salt_message__of_another_report_or_round__is_another() -> None:
    one = score_salt_message(SCOPE, pack([5]))
    other = ScoreScope(1, SCOPE.contract, BountyId(2), 4, SCOPE.evaluator)
    assert len({one, score_salt_message(SCOPE, pack([6])), score_salt_message(other, pack([5]))}) == 3
