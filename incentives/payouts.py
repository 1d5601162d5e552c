"""Cumulative pay over a bounty's merged rounds, one amount a member. docs/PROTOCOL.md, section 7.

These are the leaves of the payout tree, recomputed from events alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incentives.shares import divide, round_share
from ledger.history import BountyHistory, accepted
from ledger.records import Address, Joined, Revealed, Terms, Wei

Payouts = list[tuple[Address, Wei]]
"""Account and cumulative amount of every member, by member index."""


@dataclass(frozen=True)
class RoundPay:
    """What one round pays: `amounts` by provider; their sum is what the merge must claim as `paid`."""

    amounts: dict[Address, Wei]

    @property
    def paid(self) -> Wei:
        return Wei(sum(self.amounts.values()))


def round_pay(terms: Terms, round_number: int, counted: Sequence[Revealed]) -> RoundPay:
    """Divide a round's share among the accepted updates, by the weights that the chain recorded at the reveals."""
    if not counted:
        return RoundPay({})
    division = divide(round_share(terms, round_number), [reveal.weight for reveal in counted])
    return RoundPay({reveal.provider: amount for reveal, amount in zip(counted, division.amounts, strict=True)})


def cumulative_payouts(history: BountyHistory, through_round: int) -> Payouts:
    """The payout tree's leaves after the merge of `through_round`.

    Raises: ValueError if that round was not merged.
    """
    one = history.rounds.get(through_round)
    if one is None or one.merged is None:
        raise ValueError(f"round {through_round} was not merged")
    return next_payouts(history, through_round, accepted(one.merged, one.reveals))


def next_payouts(history: BountyHistory, round_number: int, counted: Sequence[Revealed]) -> Payouts:
    """The leaves that a merge of `round_number` must have, if it counts the given updates.

    Holds: the leaves are the members at the round's last reveal, so that nobody makes an aggregator's tree wrong by
           joining just before its merge; a member that came later has earned nothing yet.
    """
    terms = history.posted.terms
    totals = dict(round_pay(terms, round_number, counted).amounts)
    for each in history.merged_rounds:
        if each.merged is not None and each.number < round_number:
            for account, amount in round_pay(terms, each.number, accepted(each.merged, each.reveals)).amounts.items():
                totals[account] = Wei(totals.get(account, 0) + amount)
    return [(account, totals.get(account, Wei(0))) for account in _leaves(history, round_number)]


def _leaves(history: BountyHistory, round_number: int) -> list[Address]:
    """The members that had joined when the round's last update was revealed, by member index."""
    last = history.rounds[round_number].reveals[-1].at
    known = {event.index for event in history.events if isinstance(event, Joined) and event.at.precedes(last)}
    return [member.provider for member in history.members if member.index in known]
