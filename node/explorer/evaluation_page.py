"""An evaluation's page: what is measured, who reported what, and how the reports are spread. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal

from ledger.evaluation_history import Bin, Distribution, EvaluationHistory, distribution, histogram, opens
from ledger.evaluation_records import EvaluationClock, EvaluationPhase, ReportRevealed
from ledger.records import Address, Position, Timestamp
from node.explorer.bounty_page import PhaseClock
from node.explorer.display import duration, exact, hexed

_PHASES = {
    EvaluationPhase.COMMIT: ("commit", "Reporters measure on data of their own and commit to a number nobody can see."),
    EvaluationPhase.REVEAL: ("reveal", "Reporters show the numbers that they committed to."),
    EvaluationPhase.ENDED: ("ended", "All numbers are in. Their payments can be claimed at any time."),
    EvaluationPhase.CANCELLED: ("cancelled", "The owner took the payments back before anyone had committed."),
}
_ORDER = (EvaluationPhase.COMMIT, EvaluationPhase.REVEAL, EvaluationPhase.ENDED)
_DIGITS = Decimal("0.000001")


@dataclass(frozen=True)
class EvaluationLine:
    """One evaluation among others. median: None without reports."""

    number: int
    metric: str
    state: str
    committed: int
    reported: int
    places: int
    median: Decimal | None
    owner: Address


@dataclass(frozen=True)
class ReportLine:
    """A commitment and what it was opened to; value None while it is not.

    opens: whether the value hashes to the commitment.
    """

    account: Address
    at: Position
    value: Decimal | None
    opens: bool
    paid: int | None


@dataclass(frozen=True)
class Bar:
    """A bin, with its height as a share of the tallest, 0 .. 100."""

    bin: Bin
    height: float


@dataclass(frozen=True)
class EvaluationPage:
    history: EvaluationHistory
    metric: str
    state: str
    spread: Distribution | None
    bars: tuple[Bar, ...]
    reports: tuple[ReportLine, ...]
    terms: tuple[tuple[str, str], ...]


def evaluation_line(history: EvaluationHistory, now: Timestamp) -> EvaluationLine:
    """now: by the chain's clock."""
    spread = distribution(history)
    return EvaluationLine(
        number=history.evaluation,
        metric=history.terms.metric.label,
        state=_state(history, now),
        committed=len(history.commits),
        reported=len(history.reports),
        places=history.terms.max_reports,
        median=spread.median if spread else None,
        owner=history.posted.owner,
    )


def evaluation_page(history: EvaluationHistory, now: Timestamp, chain_id: int, market: Address) -> EvaluationPage:
    """now: by the chain's clock; chain_id, market: what the commitments name."""
    bins = histogram(history)
    most = max((one.count for one in bins), default=0)
    return EvaluationPage(
        history=history,
        metric=history.terms.metric.label,
        state=_state(history, now),
        spread=distribution(history),
        bars=tuple(Bar(one, round(100 * one.count / most, 1)) for one in bins),
        reports=tuple(_report_lines(history, chain_id, market)),
        terms=_terms(history),
    )


def _state(history: EvaluationHistory, now: Timestamp) -> str:
    """As far as events and the latest end of each window tell; what closes early, the live clock shows."""
    terms, posted = history.terms, history.posted
    if history.cancelled is not None:
        return "cancelled"
    commits_end = posted.posted_at + terms.commit_seconds
    if history.refunded is not None or now >= commits_end + terms.reveal_seconds:
        return "ended"
    if len(history.reports) == terms.max_reports:
        return "ended"
    return "revealing" if history.reports or now >= commits_end else "open"


def _report_lines(history: EvaluationHistory, chain_id: int, market: Address) -> Sequence[ReportLine]:
    lines = []
    for account, commit in history.commits.items():
        report: ReportRevealed | None = history.reports.get(account)
        payment = history.payments.get(account)
        lines.append(
            ReportLine(
                account=account,
                at=(report or commit).at,
                value=history.terms.number(report.value) if report else None,
                opens=report is not None and opens(history, report, chain_id, market),
                paid=payment.amount if payment else None,
            )
        )
    return lines


def evaluation_clock(clock: EvaluationClock, now: Timestamp) -> PhaseClock:
    """now: the time of the block that the clock was read at."""
    name, meaning = _PHASES[clock.phase]
    place = _ORDER.index(clock.phase) if clock.phase in _ORDER else len(_ORDER)
    steps = [
        (_PHASES[phase][0], "past" if index < place else "now" if index == place else "next")
        for index, phase in enumerate(_ORDER)
    ]
    left = max(clock.ends_at - now, 0) if clock.ends_at else None
    counts = f"{clock.commits} committed, {clock.reports} revealed, {clock.claims} were paid"
    return PhaseClock(name, meaning, 0, clock.ends_at, left, counts, tuple(steps))


def _terms(history: EvaluationHistory) -> tuple[tuple[str, str], ...]:
    terms, lines = history.terms, []
    for name, value in asdict(terms).items():
        label = name.removesuffix("_seconds").replace("_", " ")
        if name in ("payment", "stake"):
            text = f"{exact(value)} tokens"
        elif name in ("low", "high", "noise"):
            text = str(terms.number(value))
        elif name == "metric":
            text = terms.metric.label
        else:
            text = (
                duration(value)
                if name.endswith("_seconds")
                else hexed(value)
                if isinstance(value, bytes)
                else str(value)
            )
        lines.append((label, text))
    return tuple(lines)


def rounded(value: Decimal | None) -> str:
    """A number of a distribution, to six digits after the point at most."""
    if value is None:
        return "–"
    return f"{value.quantize(_DIGITS).normalize():f}"
