"""What an evaluator does next. Pure: a view in, actions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.evaluation_records import EvaluationClock, EvaluationPhase, Report, ReportState
from node.evaluator.journal import MadeReport
from node.loop import Finish


@dataclass(frozen=True)
class EvaluatorView:
    """What an evaluator sees at one block.

    report: the account's report on chain.
    made:   the journal's number for this evaluation.
    opens:  whether `made` is what the account has committed to on chain.
    """

    clock: EvaluationClock
    report: Report
    made: MadeReport | None
    opens: bool = False


@dataclass(frozen=True)
class Measure:
    """Measure, add the noise, and write the number down."""


@dataclass(frozen=True)
class Commit:
    made: MadeReport


@dataclass(frozen=True)
class Recover:
    """Find the number behind an own commitment that the journal does not have."""


@dataclass(frozen=True)
class Reveal:
    made: MadeReport


@dataclass(frozen=True)
class Claim:
    pass


Action = Measure | Commit | Recover | Reveal | Claim


def decide(view: EvaluatorView) -> Sequence[Action | Finish]:
    """Measure once, commit, reveal when everyone has committed, claim."""
    match view.report.state:
        case ReportState.NONE:
            return _begin(view)
        case ReportState.COMMITTED:
            return _open(view)
        case ReportState.REVEALED:
            return [Claim()]
        case ReportState.PAID:
            return [Finish("the report was paid")]


def _begin(view: EvaluatorView) -> Sequence[Action | Finish]:
    if view.clock.phase != EvaluationPhase.COMMIT:
        return [Finish(f"it is too late to commit ({view.clock.phase.name.lower()})")]
    return [Measure()] if view.made is None else [Commit(view.made)]


def _open(view: EvaluatorView) -> Sequence[Action | Finish]:
    if view.clock.phase == EvaluationPhase.COMMIT:
        return []
    if view.clock.phase != EvaluationPhase.REVEAL:
        return [Finish("the commitment was not opened in time, so the stake is lost")]
    return [Reveal(view.made)] if view.made is not None and view.opens else [Recover()]
