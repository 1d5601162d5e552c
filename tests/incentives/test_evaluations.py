"""An evaluation's money, replayed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.evaluations import settle_evaluation
from ledger.evaluation_history import build_evaluation
from ledger.evaluation_records import EvaluationCancelled, EvaluationMoney
from ledger.records import Wei
from tests import evaluation_builders as make

pytestmark = pytest.mark.unit

PAYMENT, STAKE, PLACES = 7, 3, 4


def money(owed: int, free: int, locked: int) -> EvaluationMoney:
    return EvaluationMoney(Wei(owed), Wei(free), Wei(locked))


def test_settle_evaluation__while_it_runs__then_knows_each_purse() -> None:
    settlement = settle_evaluation(build_evaluation(make.life([1, 2], paid=1, silent=1)))
    assert settlement.held == money(PAYMENT + STAKE, 2 * PAYMENT, STAKE)
    assert (settlement.paid, settlement.returned, settlement.forfeited) == (PAYMENT, 0, STAKE)
    assert settlement.faults == ()


@given(st.integers(0, PLACES), st.data())
def test_settle_evaluation__of_any_life__then_every_unit_is_accounted_for(reports: int, data: st.DataObject) -> None:
    silent = data.draw(st.integers(0, PLACES - reports))
    paid = data.draw(st.integers(0, reports))
    events = make.life([1] * reports, paid=paid, silent=silent)
    refund = PAYMENT * (PLACES - reports) + STAKE * silent
    if refund and data.draw(st.booleans()):
        events.append(make.refunded(refund, STAKE * silent))
    settlement = settle_evaluation(build_evaluation(events))
    held = settlement.held
    out = settlement.paid + STAKE * paid + settlement.returned
    assert PAYMENT * PLACES + STAKE * (reports + silent) == out + held.owed + held.free + held.locked
    assert settlement.faults == ()


def test_settle_evaluation__when_cancelled__then_all_is_back() -> None:
    cancelled = EvaluationCancelled(make.at(9), make.EVALUATION, Wei(PAYMENT * PLACES))
    settlement = settle_evaluation(build_evaluation([make.posted(), cancelled]))
    assert settlement.held == money(0, 0, 0)
    assert settlement.returned == PAYMENT * PLACES
    assert settlement.faults == ()


def test_settle_evaluation__when_an_amount_is_wrong__then_names_it() -> None:
    wrong = [*make.life([1, 2]), make.payment(0, 11), make.payment(1), make.refunded(15, 1)]
    faults = settle_evaluation(build_evaluation(wrong)).faults
    assert [(fault.what, fault.claimed, fault.expected) for fault in faults] == [
        ("payment", 11, 10),
        ("refund", 15, 14),
        ("forfeited stakes", 1, 0),
    ]
