"""Cumulative pay over a bounty's merged rounds, one amount a member. docs/PROTOCOL.md, section 7.

These are the leaves of the payout tree, recomputed from events alone. A round's leaves are the members that had joined
when its last update was revealed: from then on the list can't change, so nobody makes an aggregator's tree wrong by
joining just before its merge.
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
    return next_payouts(history, through_round, accepted(one.merged, one.reveals), one.merged.member_count)


def next_payouts(history: BountyHistory, round_number: int, counted: Sequence[Revealed], members: int) -> Payouts:
    """The leaves that a merge of `round_number` must have, if it counts the given updates.

    members: providers that ever joined, at the merge; those that came after the round's last reveal have no leaf.
    Raises:  ValueError if the round has no reveals.
    """
    totals = _earned_before(history, round_number)
    for account, amount in round_pay(history.posted.terms, round_number, counted).amounts.items():
        totals[account] = totals.get(account, 0) + amount
    return [(account, Wei(totals.get(account, 0))) for account in leaf_members(history, round_number)[:members]]


def leaf_members(history: BountyHistory, round_number: int) -> list[Address]:
    """Who has a leaf in the payout tree of a round, by member index.

    Raises: ValueError if the round has no reveals.
    """
    one = history.rounds.get(round_number)
    if one is None or not one.reveals:
        raise ValueError(f"round {round_number} has no reveals, so it can't be merged")
    members: dict[int, Address] = {}
    for event in history.events:
        if event is one.reveals[-1]:
            break
        if isinstance(event, Joined):
            members[event.index] = event.provider
    return [members[index] for index in sorted(members)]


def _earned_before(history: BountyHistory, round_number: int) -> dict[Address, int]:
    totals: dict[Address, int] = {}
    for one in history.merged_rounds:
        if one.merged is None or one.number >= round_number:
            continue
        pay = round_pay(history.posted.terms, one.number, accepted(one.merged, one.reveals))
        for account, amount in pay.amounts.items():
            totals[account] = totals.get(account, 0) + amount
    return totals
