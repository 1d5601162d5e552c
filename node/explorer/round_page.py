"""A round's page: its updates and what became of them, the merge, and the payout tree. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from incentives.payouts import Payouts, cumulative_payouts, expected_paid
from incentives.shares import round_share
from ledger.history import BountyHistory, RoundHistory, accepted, rejections
from ledger.keccak import Hash32
from ledger.merge_records import GivenReason
from ledger.records import Committed, Merged, Revealed, Wei
from node.explorer.earnings import round_pay
from node.explorer.reports import Report
from node.explorer.scoring import Scoring, ScoringRound
from node.explorer.shelf import Missing
from node.explorer.steps import DrawnTree, draw_tree
from node.robustness import certain_shortfall


@dataclass(frozen=True)
class UpdateLine:
    """A revealed update.

    fate:   `accepted`, `rejected`, `proven faulty`, or `waiting` where no merge stands.
    reason: why it was left out; detail: the same in the merger's words.
    pay:    None where nothing was decided, or divided.
    """

    reveal: Revealed
    fate: str
    reason: GivenReason | None
    detail: str
    pay: Wei | None


@dataclass(frozen=True)
class PayoutLine:
    """A leaf of the payout tree. added: what this round put to it; reported: the merger's own figure, None without."""

    index: int
    provider: str
    cumulative: Wei
    added: Wei
    reported: int | None


@dataclass(frozen=True)
class RoundPage:
    """state_before: the root that the merge builds on; expected: what the merge must pay by the rules.

    scored: how the round is divided by contribution; None where it is not, and before its merge.
    weakness: why its merge withstands less than the terms promise; empty where it does not.
    """

    history: BountyHistory
    one: RoundHistory
    state: str
    share: Wei
    updates: tuple[UpdateLine, ...]
    hidden: tuple[Committed, ...]
    state_before: Hash32
    expected: Wei | None
    payouts: tuple[PayoutLine, ...]
    report: Report | Missing | None
    last: int
    scored: ScoringRound | None
    weakness: str

    @property
    def merged(self) -> Merged | None:
        return self.one.merged

    def drawn(self, seat: int) -> DrawnTree | None:
        """The payout tree with the proof of one leaf, where it is small enough to be drawn."""
        return draw_tree(len(self.payouts), seat) if self.payouts else None


def round_page(
    history: BountyHistory, number: int, report: Report | Missing | None, scoring: Scoring | None = None
) -> RoundPage:
    """Build the page's content.

    scoring: None where pay is not by contribution.
    Raises: KeyError if the round was never opened.
    """
    one, terms = history.rounds[number], history.posted.terms
    before = history.latest_merge(before_round=number)
    opened = {reveal.provider for reveal in one.reveals}
    counted = len(accepted(one.merged, one.reveals)) if one.merged else 0
    return RoundPage(
        history=history,
        one=one,
        state="interrupted" if one.interrupted and not one.merged else one.state,
        share=round_share(terms, number),
        updates=tuple(_update_lines(history, one, report, scoring)),
        hidden=tuple(commit for who, commit in one.commits.items() if who not in opened),
        state_before=before.claim.state_root if before else terms.state_root,
        expected=expected_paid(history, number) if one.merged else None,
        payouts=tuple(_payout_lines(history, one, report)),
        report=report,
        last=max(history.rounds),
        scored=scoring.round(number) if scoring else None,
        weakness=certain_shortfall(terms, counted),
    )


def _update_lines(
    history: BountyHistory, one: RoundHistory, report: Report | Missing | None, scoring: Scoring | None
) -> list[UpdateLine]:
    details = report.details if isinstance(report, Report) else {}
    reasons = {reveal.index: why for reveal, why in rejections(one.merged, one.reveals)} if one.merged else {}
    counted = round_pay(history.posted.terms, one)
    pay: Mapping[int, Wei | None] = counted
    if scoring is not None:
        divided = scoring.pay(one.number)
        pay = {index: divided.get(index) for index in counted}
    lines = []
    for reveal in one.reveals:
        reason = reasons.get(reveal.index)
        if reveal.index in one.disqualified:
            fate = "proven faulty"
        elif one.merged is None:
            fate = "waiting" if one.lapsed is None else "lapsed"
        else:
            fate = "accepted" if reveal.index in counted else "rejected"
        amount = pay.get(reveal.index, Wei(0) if one.merged else None)
        lines.append(UpdateLine(reveal, fate, reason, details.get(reveal.index, ""), amount))
    return lines


def _payout_lines(history: BountyHistory, one: RoundHistory, report: Report | Missing | None) -> list[PayoutLine]:
    if one.merged is None:
        return []
    reported = report.payouts if isinstance(report, Report) else ()
    added: dict[str, int] = {}
    for index, amount in round_pay(history.posted.terms, one).items():
        who = one.reveals[index].provider
        added[who] = added.get(who, 0) + amount
    return [
        PayoutLine(index, who, amount, Wei(added.get(who, 0)), reported[index] if index < len(reported) else None)
        for index, (who, amount) in enumerate(payouts_of(history, one.number))
    ]


def payouts_of(history: BountyHistory, number: int) -> Payouts:
    """The payout tree's leaves by the rules; empty where no merge stands."""
    one = history.rounds[number]
    return cumulative_payouts(history, number) if one.merged is not None else []
