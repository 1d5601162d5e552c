"""How a round that is paid by contribution is settled: medians of evaluators' reports, fees, forfeits and pay.

docs/PROTOCOL.md, section 14. Exact integers; the contract's twin is `ContributionScores.sol`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.records import Wei
from ledger.score_records import BASIS, WHOLE, Panel, Part

Report = Sequence[int]
"""An update's part each, by reveal index, in units of 2^-32."""


@dataclass(frozen=True)
class ScoredRound:
    """What a round's settlement follows from.

    released: what the market handed over.
    accepted: whether the merge counted each revealed update.
    reports:  what each evaluator of the panel opened, in its order; None where it opened nothing.
    silent:   whether each evaluator had committed and opened nothing.
    """

    released: Wei
    accepted: Sequence[bool]
    reports: Sequence[Report | None]
    silent: Sequence[bool]


@dataclass(frozen=True)
class Division:
    """A settled round.

    weights:   an update each; 1 for each accepted one where there was no quorum.
    distances: how far each evaluator's report is from the weights; None where there is none, or was no quorum.
    fees, forfeits: an evaluator each.
    pot:       what the updates divide.
    parts:     what each of them gets of it, floored.
    rest:      what the floors leave, the owner's; all of the pot where nothing weighs.
    """

    by_median: bool
    weights: tuple[int, ...]
    distances: tuple[int | None, ...]
    fees: tuple[Wei, ...]
    forfeits: tuple[Wei, ...]
    pot: Wei
    parts: tuple[Wei, ...]
    rest: Wei


def to_parts(weights: Sequence[int]) -> tuple[Part, ...]:
    """Weights of any size as parts of the pay, the grid on which evaluators report.

    Rounding: each part down, so that they add up to at most 2^32 - 1. Without a weight above 0 all parts are 0.
    """
    total = sum(weights)
    return tuple(Part((WHOLE - 1) * weight // total if total else 0) for weight in weights)


def medians(reports: Sequence[Report], accepted: Sequence[bool]) -> tuple[int, ...]:
    """The median of the reports for each update, the lower one of an even number; 0 for a rejected update.

    Holds: with fewer than half of the reports arbitrary, each weight lies within the others'.
    Raises: ValueError without a report.
    """
    if not reports:
        raise ValueError("there is no median of no reports")
    middle = (len(reports) - 1) // 2
    return tuple(
        sorted(report[place] for report in reports)[middle] if counts else 0 for place, counts in enumerate(accepted)
    )


def distance(report: Report, weights: Sequence[int]) -> int:
    """How far a report is from the weights: the sum of the absolute differences."""
    return sum(abs(part - weight) for part, weight in zip(report, weights, strict=True))


def divide(scored: ScoredRound, panel: Panel | None) -> Division:
    """Settle a round.

    panel:    None where none was appointed: the round is divided equally then.
    Rounding: fees and parts down.
    Holds:    parts + rest + fees = released + forfeits.
    """
    shown = [report for report in scored.reports if report is not None]
    by_median = panel is not None and len(shown) >= panel.quorum
    weights = medians(shown, scored.accepted) if by_median else tuple(int(counts) for counts in scored.accepted)
    distances = tuple(
        distance(report, weights) if report is not None and by_median else None for report in scored.reports
    )
    fees, forfeits = _evaluators(scored, panel, distances)
    pot = Wei(scored.released - sum(fees) + sum(forfeits))
    total = sum(weights)
    parts = tuple(Wei(pot * weight // total if total else 0) for weight in weights)
    rest = Wei(pot - sum(parts))
    assert rest >= 0, "floors never pay more than the pot"
    return Division(by_median, weights, distances, fees, forfeits, pot, parts, rest)


def _evaluators(
    scored: ScoredRound, panel: Panel | None, distances: Sequence[int | None]
) -> tuple[tuple[Wei, ...], tuple[Wei, ...]]:
    """What the round brings and costs each evaluator."""
    if panel is None:
        return (), ()
    fee = Wei(scored.released * panel.fee_share // BASIS // len(panel.evaluators))
    fees = tuple(Wei(fee if far is not None and far <= panel.farthest else 0) for far in distances)
    forfeits = tuple(Wei(panel.forfeit if is_silent else 0) for is_silent in scored.silent)
    return fees, forfeits
