"""The page model of an evaluation."""

from __future__ import annotations

from decimal import Decimal

import pytest

from ledger.evaluation_history import EvaluationHistory, build_evaluation
from ledger.evaluation_records import (
    EvaluationClock,
    EvaluationEvent,
    EvaluationId,
    EvaluationPhase,
    EvaluationPosted,
    ReportCommitted,
    ReportRevealed,
    ReportScope,
    Units,
    report_commitment,
)
from ledger.records import Address, Timestamp, Wei
from node.explorer.evaluation_page import evaluation_clock, evaluation_line, evaluation_page, rounded
from tests import builders as make
from tests import evaluation_builders as evaluations

pytestmark = pytest.mark.unit

NUMBER = EvaluationId(3)
CHAIN, MARKET = 31337, make.OWNER
TERMS = evaluations.terms(token=make.OWNER, payment=Wei(5), stake=Wei(2), min_reports=1, max_reports=2)


def commitment(account: Address, value: int) -> bytes:
    return report_commitment(ReportScope(CHAIN, MARKET, NUMBER, account), Units(value), bytes(32))


def story(revealed: int) -> EvaluationHistory:
    """Alice commits to what she reveals; Bob, to 9000, and reveals something else, as no contract would let him."""
    events: list[EvaluationEvent] = [EvaluationPosted(make.at(1), NUMBER, make.OWNER, TERMS, Timestamp(1000))]
    accounts = (make.ALICE, make.BOB)
    events += [ReportCommitted(make.at(2, i), NUMBER, one, commitment(one, 9000)) for i, one in enumerate(accounts)]
    values = zip(accounts, (9000, 8000), strict=True)
    reveals = [ReportRevealed(make.at(3, i), NUMBER, one, Units(v), bytes(32)) for i, (one, v) in enumerate(values)]
    return build_evaluation(events + reveals[:revealed])


def test_evaluation_page__when_reports_were_revealed__then_each_is_held_to_its_commitment() -> None:
    page = evaluation_page(story(2), Timestamp(1015), CHAIN, MARKET)
    assert [(line.value, line.opens) for line in page.reports] == [(Decimal("0.9"), True), (Decimal("0.8"), False)]
    assert page.spread is not None
    assert rounded(page.spread.median) == "0.85"
    assert sum(bar.bin.count for bar in page.bars) == 2
    assert max(bar.height for bar in page.bars) == 100
    assert not evaluation_page(story(2), Timestamp(0), CHAIN + 1, MARKET).reports[0].opens, "of another chain"


@pytest.mark.parametrize(
    ("revealed", "now", "state"),
    [(0, 1005, "open"), (0, 1010, "revealing"), (1, 1005, "revealing"), (1, 1020, "ended"), (2, 1005, "ended")],
)
def test_evaluation_line__as_time_goes_on__then_the_state_follows(revealed: int, now: int, state: str) -> None:
    line = evaluation_line(story(revealed), Timestamp(now))
    assert (line.state, line.reported, line.places) == (state, revealed, 2)


def test_evaluation_clock__in_each_phase__then_the_steps_fit() -> None:
    clock = EvaluationClock(EvaluationPhase.REVEAL, Timestamp(1020), 2, 1, 0)
    shown = evaluation_clock(clock, Timestamp(1015))
    assert (shown.phase, shown.left, [place for _, place in shown.steps]) == ("reveal", 5, ["past", "now", "next"])


def test_rounded__when_a_number_has_many_digits__then_six_are_shown() -> None:
    assert [rounded(one) for one in (Decimal(1) / 3, Decimal("0.5000"), Decimal(100), None)] == [
        "0.333333", "0.5", "100", "–",
    ]  # fmt: skip
