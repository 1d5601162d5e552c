"""What an evaluator does next, in every state."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.evaluation_records import COMMITMENT_BYTES, EvaluationPhase, Report, ReportState, Units
from node.evaluator.decisions import Claim, Commit, EvaluatorView, Measure, Recover, Reveal, decide
from node.evaluator.journal import BrokenReportJournal, MadeReport, ReportJournal
from node.loop import Finish
from tests import evaluation_builders as make

pytestmark = pytest.mark.unit

MADE = MadeReport(Units(9_100), examples=50, noise=20)


def view(
    phase: EvaluationPhase, state: ReportState, made: MadeReport | None = MADE, opens: bool = True
) -> EvaluatorView:
    return EvaluatorView(make.clock(phase), Report(state, bytes(COMMITMENT_BYTES), Units(0)), made, opens)


def test_decide__when_nothing_is_done_yet__then_measures_then_commits() -> None:
    assert decide(view(EvaluationPhase.COMMIT, ReportState.NONE, made=None)) == [Measure()]
    assert decide(view(EvaluationPhase.COMMIT, ReportState.NONE)) == [Commit(MADE)]


@pytest.mark.parametrize("phase", [EvaluationPhase.REVEAL, EvaluationPhase.ENDED, EvaluationPhase.CANCELLED])
@pytest.mark.parametrize("made", [None, MADE])
def test_decide__when_it_is_too_late_to_commit__then_spends_nothing(
    phase: EvaluationPhase, made: MadeReport | None
) -> None:
    (only,) = decide(view(phase, ReportState.NONE, made))
    assert isinstance(only, Finish)


def test_decide__while_others_may_commit__then_waits_with_its_number() -> None:
    assert decide(view(EvaluationPhase.COMMIT, ReportState.COMMITTED)) == []


def test_decide__when_the_reveals_begin__then_reveals() -> None:
    assert decide(view(EvaluationPhase.REVEAL, ReportState.COMMITTED)) == [Reveal(MADE)]


@pytest.mark.parametrize("made", [None, MADE])
def test_decide__when_the_journal_does_not_open_the_commitment__then_searches(made: MadeReport | None) -> None:
    assert decide(view(EvaluationPhase.REVEAL, ReportState.COMMITTED, made, opens=False)) == [Recover()]


def test_decide__when_the_reveal_was_missed__then_says_that_the_stake_is_lost() -> None:
    (only,) = decide(view(EvaluationPhase.ENDED, ReportState.COMMITTED))
    assert isinstance(only, Finish)
    assert "stake is lost" in only.why


@pytest.mark.parametrize("phase", [EvaluationPhase.REVEAL, EvaluationPhase.ENDED])
def test_decide__when_the_report_is_open__then_claims_at_once_and_ends(phase: EvaluationPhase) -> None:
    assert decide(view(phase, ReportState.REVEALED)) == [Claim()]
    (only,) = decide(view(phase, ReportState.PAID))
    assert isinstance(only, Finish)


def test_record__when_a_number_is_there__then_the_first_stands(tmp_path: Path) -> None:
    other = MadeReport(Units(-3), examples=1, noise=0)
    journal = ReportJournal(tmp_path / "deep" / "journal.sqlite")
    assert journal.made(make.scope(0)) is None
    journal.record(make.scope(0), MADE)
    journal.record(make.scope(0), other)
    journal.record(make.scope(1), other)
    journal.close()
    again = ReportJournal(tmp_path / "deep" / "journal.sqlite")
    assert again.made(make.scope(0)) == MADE
    assert again.made(make.scope(1)) == other
    again.correct(make.scope(0), other)
    assert again.made(make.scope(0)) == other
    again.close()


def test_report_journal__of_a_damaged_file__then_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(BrokenReportJournal, match="Move it away"):
        ReportJournal(path)
