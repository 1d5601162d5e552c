"""An evaluation's events folded into its story, and the distribution of what was reported. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import mean, quantiles

from ledger.errors import ProtocolFault
from ledger.evaluation_records import (
    EvaluationCancelled,
    EvaluationEvent,
    EvaluationId,
    EvaluationPosted,
    EvaluationRefunded,
    EvaluationTerms,
    ReportCommitted,
    ReportPaid,
    ReportRevealed,
    ReportScope,
    Units,
    report_commitment,
)
from ledger.records import Address

MOST_BINS = 20


class BrokenEvaluation(ProtocolFault):
    """Events that no correct contract emits in this order."""

    def __init__(self, event: EvaluationEvent, detail: str) -> None:
        self.event, self.detail = event, detail
        super().__init__(
            f"{type(event).__name__} in block {event.at.block} of evaluation {event.evaluation} does not follow from "
            f"what was before it: {detail}."
        )


@dataclass
class EvaluationHistory:
    """An evaluation from its posting on. commits, reports, payments: by account, in the order of the chain."""

    posted: EvaluationPosted
    commits: dict[Address, ReportCommitted] = field(default_factory=dict)
    reports: dict[Address, ReportRevealed] = field(default_factory=dict)
    payments: dict[Address, ReportPaid] = field(default_factory=dict)
    cancelled: EvaluationCancelled | None = None
    refunded: EvaluationRefunded | None = None
    events: list[EvaluationEvent] = field(default_factory=list)

    @property
    def evaluation(self) -> EvaluationId:
        return self.posted.evaluation

    @property
    def terms(self) -> EvaluationTerms:
        return self.posted.terms

    @property
    def values(self) -> list[Units]:
        """What was reported, in the order of the reveals."""
        return [report.value for report in self.reports.values()]

    @property
    def has_quorum(self) -> bool:
        """Whether so many have reported as the owner wants for a meaningful distribution."""
        return len(self.reports) >= self.terms.min_reports


def build_evaluation(events: Iterable[EvaluationEvent]) -> EvaluationHistory:
    """Fold one evaluation's events, in the order of execution.

    Raises: ValueError if the first is not `EvaluationPosted`; BrokenEvaluation.
    """
    ordered = iter(events)
    first = next(ordered, None)
    if not isinstance(first, EvaluationPosted):
        raise ValueError("an evaluation's first event is EvaluationPosted")
    history = EvaluationHistory(first, events=[first])
    for event in ordered:
        _apply(history, event)
        history.events.append(event)
    return history


def _apply(history: EvaluationHistory, event: EvaluationEvent) -> None:
    if history.cancelled is not None:
        raise BrokenEvaluation(event, "it was cancelled")
    match event:
        case ReportCommitted():
            _require(event, event.account not in history.commits, f"{event.account} has committed")
            _require(event, len(history.commits) < history.terms.max_reports, "all places are taken")
            _require(event, not history.reports, "the reveals have begun")
            history.commits[event.account] = event
        case ReportRevealed():
            _require(event, event.account in history.commits, f"{event.account} has not committed")
            _require(event, event.account not in history.reports, f"{event.account} has revealed")
            history.reports[event.account] = event
        case ReportPaid():
            _require(event, event.account in history.reports, f"{event.account} has not revealed")
            _require(event, event.account not in history.payments, f"{event.account} was paid")
            history.payments[event.account] = event
        case EvaluationCancelled():
            _require(event, not history.commits, "there are commitments")
            history.cancelled = event
        case EvaluationRefunded():
            _require(event, history.refunded is None, "it was refunded")
            history.refunded = event
        case _:
            raise BrokenEvaluation(event, "it can come first only")


def _require(event: EvaluationEvent, holds: bool, detail: str) -> None:
    if not holds:
        raise BrokenEvaluation(event, detail)


def opens(history: EvaluationHistory, report: ReportRevealed, chain_id: int, market: Address) -> bool:
    """Whether a revealed report is what its account had committed to."""
    scope = ReportScope(chain_id, market, history.evaluation, report.account)
    return history.commits[report.account].commitment == report_commitment(scope, report.value, report.salt)


@dataclass(frozen=True)
class Distribution:
    """What the reports say together, as numbers of the metric, exact.

    at_bounds: reports at the least or the greatest value that may be reported: noise may have been cut there.
    """

    count: int
    least: Decimal
    lower_quartile: Decimal
    median: Decimal
    upper_quartile: Decimal
    greatest: Decimal
    mean: Decimal
    at_bounds: int


@dataclass(frozen=True)
class Bin:
    """Reports within [start, stop), the last bin's stop included."""

    start: Decimal
    stop: Decimal
    count: int


def distribution(history: EvaluationHistory) -> Distribution | None:
    """Summarise the reports; None while there are none. Quartiles are interpolated between reports."""
    terms = history.terms
    if not history.reports:
        return None
    numbers = sorted(terms.number(value) for value in history.values)
    low, middle, high = quantiles(numbers, n=4, method="inclusive") if len(numbers) > 1 else numbers * 3
    return Distribution(
        count=len(numbers),
        least=numbers[0],
        lower_quartile=low,
        median=middle,
        upper_quartile=high,
        greatest=numbers[-1],
        mean=mean(numbers),
        at_bounds=sum(value in (terms.low, terms.high) for value in history.values),
    )


def histogram(history: EvaluationHistory, bins: int | None = None) -> list[Bin]:
    """Count the reports in bins of equal width from the least to the greatest; fewer where the grid has no more.

    bins: 1 .. MOST_BINS; None for Sturges' rule, 1 + log2 of the reports.
    """
    values = history.values
    if not values:
        return []
    bins = bins or 1 + (len(values) - 1).bit_length()
    least, greatest = min(values), max(values)
    width = -(-(greatest - least + 1) // min(bins, MOST_BINS))
    starts = range(least, greatest + 1, width)
    counts = _counts(values, least, width, len(starts))
    number = history.terms.number
    return [
        Bin(number(start), number(min(start + width, greatest)), count)
        for start, count in zip(starts, counts, strict=True)
    ]


def _counts(values: Sequence[Units], least: int, width: int, bins: int) -> list[int]:
    counts = [0] * bins
    for value in values:
        counts[(value - least) // width] += 1
    return counts
