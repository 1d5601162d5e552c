"""What a panel's evaluator does next, and its journal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ledger.cid import Digest
from ledger.records import Address, BountyId, Phase, Timestamp, Wei
from ledger.score_history import ScoreHistory
from ledger.score_records import Evaluator, Panel, ScoreClock, ScorePhase, ScoreScope, ScoreState
from node.loop import Finish
from node.scored_rounds import Scoring
from node.scorer.decisions import (
    Collect,
    Commit,
    Deposit,
    Measure,
    OwnReport,
    Reveal,
    ScorerView,
    Settle,
    Withdraw,
    decide,
)
from node.scorer.journal import BrokenScoreJournal, ScoreJournal

pytestmark = pytest.mark.unit

WORDS = (5,)
EVALUATORS = tuple(Address(f"0x{place:040x}") for place in range(1, 4))
PANEL = Panel(Wei(40), Wei(15), 70, 80, 2, 300, 500, Digest(bytes(32)), EVALUATORS)
BONDED = Evaluator(Wei(40), Wei(0), 0, 1)
NEW, MADE = OwnReport(ScoreState.NONE), OwnReport(ScoreState.NONE, WORDS)
HELD = OwnReport(ScoreState.COMMITTED, WORDS, opens=True)


def view_of(**rounds: tuple[ScorePhase, OwnReport]) -> ScorerView:
    """A view of a running bounty with rounds `r1`, `r2`, …"""
    clocks = {int(name[1:]): ScoreClock(phase, Timestamp(0), 0, 0) for name, (phase, _) in rounds.items()}
    reports = {int(name[1:]): own for name, (_, own) in rounds.items()}
    return ScorerView(Phase.COMMIT, PANEL, BONDED, Scoring(ScoreHistory(), clocks), reports)


def test_decide__before_anything_vests__bonds_and_waits() -> None:
    view = view_of(r1=(ScorePhase.WAITING, NEW))
    assert decide(view) == []
    assert decide(replace(view, seat=replace(BONDED, bond=Wei(14)))) == [Deposit()]
    assert decide(replace(view, once=True)) == [Finish("nothing is due now")]


def test_decide__when_a_round_vests__measures_once_then_commits_and_waits() -> None:
    assert decide(view_of(r1=(ScorePhase.COMMIT, NEW))) == [Measure(1)]
    assert decide(view_of(r1=(ScorePhase.COMMIT, MADE))) == [Commit(1, WORDS)]
    assert decide(view_of(r1=(ScorePhase.COMMIT, HELD))) == []


def test_decide__when_the_bond_does_not_cover_it__tops_up_or_leaves_the_round() -> None:
    view = replace(view_of(r1=(ScorePhase.COMMIT, MADE)), seat=Evaluator(Wei(35), Wei(0), 2, 1))
    assert decide(view) == [Deposit()]
    assert decide(replace(view, seat=replace(view.seat, bond=Wei(40)))) == []


def test_decide__when_several_are_due__opens_before_it_settles_before_it_commits() -> None:
    rounds = {"r1": (ScorePhase.COMMIT, MADE), "r2": (ScorePhase.DUE, NEW), "r3": (ScorePhase.REVEAL, HELD)}
    assert decide(view_of(**rounds)) == [Reveal(3, WORDS)]
    assert decide(view_of(r1=rounds["r1"], r2=rounds["r2"])) == [Settle(2)]


def test_decide__when_the_journal_was_lost__measures_again_and_opens_only_what_it_committed_to() -> None:
    assert decide(view_of(r1=(ScorePhase.REVEAL, OwnReport(ScoreState.COMMITTED)))) == [Measure(1)]
    assert decide(view_of(r1=(ScorePhase.REVEAL, OwnReport(ScoreState.COMMITTED, WORDS)))) == []


def test_decide__when_a_round_can_not_be_measured__lets_the_others_go_first() -> None:
    view = view_of(r1=(ScorePhase.COMMIT, NEW), r2=(ScorePhase.COMMIT, NEW))
    assert decide(view) == [Measure(1)]
    assert decide(replace(view, attempts={1: 1})) == [Measure(2)]


def test_decide__after_the_end__takes_fees_and_bond_once_all_is_settled() -> None:
    view = replace(view_of(r1=(ScorePhase.SETTLED, NEW)), phase=Phase.ENDED)
    assert decide(replace(view, seat=replace(BONDED, earned=Wei(3)))) == [Collect()]
    assert decide(view) == [Withdraw()]
    done = decide(replace(view, seat=replace(BONDED, bond=Wei(0))))
    assert [type(action) for action in done] == [Finish]
    waiting = replace(view_of(r1=(ScorePhase.WAITING, NEW)), phase=Phase.ENDED)
    assert decide(waiting) == []


def test_journal__when_opened_again__has_the_first_report(tmp_path: Path) -> None:
    scope = ScoreScope(1, EVALUATORS[0], BountyId(2), 3, EVALUATORS[1])
    journal = ScoreJournal(tmp_path / "scores.sqlite")
    assert journal.made(scope) is None
    journal.record(scope, (2**255, 7))
    journal.record(scope, (1, 1))
    journal.close()
    again = ScoreJournal(tmp_path / "scores.sqlite")
    assert again.made(scope) == (2**255, 7)
    assert again.made(replace(scope, round=4)) is None
    again.close()


def test_journal__of_a_damaged_file__says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "scores.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(BrokenScoreJournal, match="Move it away"):
        ScoreJournal(tmp_path / "scores.sqlite")
