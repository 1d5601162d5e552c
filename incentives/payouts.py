"""Cumulative pay over a bounty's merged rounds, one amount a member. docs/PROTOCOL.md, section 7.

These are the leaves of the payout tree, recomputed from events alone. A round's leaves are the members that had joined
when its last update was revealed: from then on the list can't change, so nobody makes an aggregator's tree wrong by
joining just before its merge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incentives.shares import divide, round_share
from ledger.commitments import payout_tree
from ledger.errors import BadInput
from ledger.history import BountyHistory, accepted
from ledger.keccak import Hash32
from ledger.records import Address, Joined, Merged, Revealed, Terms, Wei

Payouts = list[tuple[Address, Wei]]
"""Account and cumulative amount of every member, by member index."""


class NoPayout(BadInput):
    def __init__(self, account: Address, members: int) -> None:
        self.account, self.members = account, members
        super().__init__(f"{account} is not among the {members} members of this payout tree; nothing is due to it.")


@dataclass(frozen=True)
class Entitlement:
    """What a member shows the contract to be paid.

    cumulative: its pay over all merged rounds up to the tree's.
    proof:      its leaf's siblings, from the leaf up.
    """

    cumulative: Wei
    proof: tuple[Hash32, ...]


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
    return pay_round(history, through_round, _merge_of(history, through_round).rejected)[1]


def next_payouts(history: BountyHistory, round_number: int, counted: Sequence[Revealed], members: int) -> Payouts:
    """The leaves that a merge of `round_number` must have, if it counts the given updates.

    members: providers that ever joined, at the merge; those that came after the round's last reveal have no leaf.
    Raises:  ValueError if the round has no reveals.
    """
    totals = _earned_before(history, round_number)
    for account, amount in round_pay(history.posted.terms, round_number, counted).amounts.items():
        totals[account] = totals.get(account, 0) + amount
    return [(account, Wei(totals.get(account, 0))) for account in leaf_members(history, round_number)[:members]]


def pay_round(history: BountyHistory, round_number: int, rejected: int) -> tuple[Wei, Payouts]:
    """What merging a round pays, and the leaves that follow.

    rejected: bit i set: the update with reveal index i is left out.
    Raises:   ValueError if the round has no reveals.
    """
    counted = [reveal for reveal in history.rounds[round_number].reveals if not rejected >> reveal.index & 1]
    paid = round_pay(history.posted.terms, round_number, counted).paid
    return paid, next_payouts(history, round_number, counted, len(history.members))


def expected_paid(history: BountyHistory, round_number: int) -> Wei:
    """What the merge of a round must have claimed as `paid`.

    Raises: ValueError if that round was not merged.
    """
    merged = _merge_of(history, round_number)
    return pay_round(history, round_number, merged.rejected)[0]


def entitlement(payouts: Payouts, account: Address) -> Entitlement:
    """An account's amount and proof in a payout tree.

    Raises: NoPayout if the account has no leaf.
    """
    for index, (member, cumulative) in enumerate(payouts):
        if member == account:
            return Entitlement(cumulative, tuple(payout_tree(payouts).proof(index)))
    raise NoPayout(account, len(payouts))


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


def _merge_of(history: BountyHistory, round_number: int) -> Merged:
    one = history.rounds.get(round_number)
    if one is None or one.merged is None:
        raise ValueError(f"round {round_number} was not merged")
    return one.merged


def _earned_before(history: BountyHistory, round_number: int) -> dict[Address, int]:
    totals: dict[Address, int] = {}
    for one in history.merged_rounds:
        if one.merged is None or one.number >= round_number:
            continue
        pay = round_pay(history.posted.terms, one.number, accepted(one.merged, one.reveals))
        for account, amount in pay.amounts.items():
            totals[account] = totals.get(account, 0) + amount
    return totals
