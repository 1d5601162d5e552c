"""Cumulative pay over a bounty's merged rounds, one amount a member: the leaves of every payout tree.

docs/PROTOCOL.md, section 7. A merge names how many of the members, by index, have a leaf: here those that had joined
when the round's last update was revealed. Only merges that stand count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incentives.rewards import Split, split
from incentives.shares import NOTHING, round_share
from ledger.commitments import payout_tree
from ledger.errors import BadInput
from ledger.history import BountyHistory, RoundHistory, accepted
from ledger.keccak import Hash32
from ledger.records import Address, Joined, Merged, Revealed, RewardRule, Terms, Wei

Payouts = list[tuple[Address, Wei]]
"""(provider, cumulative pay) by member index."""


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


def split_round(terms: Terms, number: int, counted: Sequence[Revealed]) -> Split:
    """What each accepted update of a round earns by the payout tree; nothing accepted, nothing paid.

    counted: in the order of `Split.parts`; their weights are those that the chain recorded.
    """
    share = round_share(terms, number)
    if terms.reward_rule == RewardRule.CONTRIBUTION:
        released = Wei(share * len(counted) // max(len(counted), terms.min_updates))
        return Split((NOTHING,) * len(counted), Wei(share - released), released)
    return split(share, [reveal.weight for reveal in counted], terms.min_updates)


def pay_round(history: BountyHistory, number: int, rejected: int) -> tuple[Wei, Payouts]:
    """What merging round `number` pays, and the cumulative list after it.

    rejected: bit i set: the update with reveal index i is rejected.
    Holds:    what is paid is the round's share less the floors' residue, or 0 where nothing is accepted.
    Raises:   ValueError if the round has no reveals.
    """
    return _pay(history, number, rejected, leaf_members(history, number))


def cumulative_payouts(history: BountyHistory, number: int) -> Payouts:
    """The cumulative list that the merge of round `number` must have committed to, with the leaves that it names.

    Raises: ValueError if the round has no merge that stands.
    """
    claim = _merge_of(history, number).claim
    members = [member.provider for member in history.members[: claim.payout_leaves]]
    return _pay(history, number, claim.rejected, members)[1]


def least_leaves(history: BountyHistory, number: int) -> int:
    """How many leaves the merge of round `number` needs: as many as the one before, and one for all that earn by it.

    Raises: ValueError if the round has no merge that stands.
    """
    merged, before = _merge_of(history, number), history.latest_merge(before_round=number)
    counted = accepted(merged, _round(history, number).reveals)
    parts = split_round(history.posted.terms, number, counted).parts
    paid = {reveal.provider for reveal, part in zip(counted, parts, strict=True) if part}
    seats = [member.index + 1 for member in history.members if member.provider in paid]
    return max([*seats, before.claim.payout_leaves if before else 0], default=0)


def expected_paid(history: BountyHistory, number: int) -> Wei:
    """What the merge of round `number` must have claimed as `paid`.

    Raises: ValueError if the round has no merge that stands.
    """
    return _add_round({}, history, number, _merge_of(history, number).claim.rejected)


def entitlement(payouts: Payouts, account: Address) -> Entitlement:
    """An account's amount and proof in a payout tree.

    Raises: NoPayout if the account has no leaf.
    """
    for index, (member, cumulative) in enumerate(payouts):
        if member == account:
            return Entitlement(cumulative, tuple(payout_tree(payouts).proof(index)))
    raise NoPayout(account, len(payouts))


def leaf_members(history: BountyHistory, number: int) -> list[Address]:
    """Who is to have a leaf in the payout tree of round `number`, by member index.

    Raises: ValueError if the round has no reveals.
    """
    last = _round(history, number).reveals[-1:]
    if not last:
        raise ValueError(f"round {number} has no reveals, so it can't be merged")
    members: dict[int, Address] = {}
    for event in history.events:
        if event is last[0]:
            break
        if isinstance(event, Joined):
            members[event.index] = event.provider
    return [members[index] for index in sorted(members)]


def _pay(history: BountyHistory, number: int, rejected: int, members: Sequence[Address]) -> tuple[Wei, Payouts]:
    earned: dict[Address, int] = {}
    for one in history.merged_rounds:
        if one.merged is not None and one.number < number:
            _add_round(earned, history, one.number, one.merged.claim.rejected)
    paid = _add_round(earned, history, number, rejected)
    return paid, [(member, Wei(earned.get(member, 0))) for member in members]


def _round(history: BountyHistory, number: int) -> RoundHistory:
    one = history.rounds.get(number)
    if one is None:
        raise ValueError(f"round {number} was never opened")
    return one


def _merge_of(history: BountyHistory, number: int) -> Merged:
    merged = _round(history, number).merged
    if merged is None:
        raise ValueError(f"round {number} was not merged, or its merge was voided")
    return merged


def _add_round(earned: dict[Address, int], history: BountyHistory, number: int, rejected: int) -> Wei:
    """Add one round's pay to `earned` and give its sum."""
    counted = [reveal for reveal in history.rounds[number].reveals if not rejected >> reveal.index & 1]
    divided = split_round(history.posted.terms, number, counted)
    for reveal, amount in zip(counted, divided.parts, strict=True):
        earned[reveal.provider] = earned.get(reveal.provider, 0) + amount
    return divided.paid
