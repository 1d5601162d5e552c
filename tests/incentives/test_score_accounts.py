"""The money of the contract that divides by contribution, from its events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from incentives.score_accounts import account_scores
from ledger.keccak import Hash32
from ledger.records import Address, BountyId, Position, Wei
from ledger.score_records import (
    EvaluatorBonded,
    EvaluatorBondWithdrawn,
    EvaluatorSettled,
    FeesCollected,
    RestReturned,
    RoundScored,
    ScoreClaimed,
    ScoreEvent,
    pack,
)

pytestmark = pytest.mark.unit

AT, ONE = Position(1, 0, "0x"), BountyId(1)
A, B = Address("0x" + "0a" * 20), Address("0x" + "0b" * 20)
ROOT = Hash32(b"\x01" * 32)
LIFE: list[ScoreEvent] = [
    EvaluatorBonded(AT, ONE, A, Wei(40)),
    EvaluatorBonded(AT, ONE, B, Wei(40)),
    EvaluatorSettled(AT, ONE, 1, A, Wei(3), Wei(0)),
    EvaluatorSettled(AT, ONE, 1, B, Wei(0), Wei(15)),
    RoundScored(AT, ONE, 1, True, Wei(100), Wei(112), Wei(1), pack([1, 2])),
    ScoreClaimed(AT, ONE, 1, A, ROOT, Wei(74)),
    FeesCollected(AT, ONE, A, Wei(3)),
    EvaluatorBondWithdrawn(AT, ONE, B, Wei(25)),
    RestReturned(AT, ONE, A, Wei(1)),
]


def test_account_scores__of_a_right_life__finds_no_fault() -> None:
    state = account_scores(LIFE)
    assert state.faults == []
    assert state.held == 40 + 37
    assert (state.deposits, state.payouts) == (180, 103)


@pytest.mark.parametrize(
    ("place", "changes", "what"),
    [
        (4, {"rest": Wei(2)}, "rest"),
        (4, {"released": Wei(101)}, "money held after the event"),
        (5, {"amount": Wei(75)}, "share"),
        (6, {"amount": Wei(4)}, "fees"),
        (7, {"amount": Wei(40)}, "bond"),
        (8, {"amount": Wei(5)}, "rest"),
    ],
)
def test_account_scores__with_one_wrong_amount__names_it(place: int, changes: dict[str, Wei], what: str) -> None:
    wrong = [*LIFE[:place], replace(LIFE[place], **changes), *LIFE[place + 1 :]]  # type: ignore[arg-type]
    assert account_scores(wrong).faults[0].what == what


def test_account_scores__with_a_share_taken_twice__names_it() -> None:
    assert [fault.what for fault in account_scores([*LIFE, LIFE[5]]).faults] == ["share", "money held after the event"]


def test_account_scores__with_a_round_divided_twice__names_it() -> None:
    assert account_scores([*LIFE[:5], LIFE[4]]).faults[0].what == "settlements of the round"
