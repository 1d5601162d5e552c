"""Cumulative pay over a bounty's merged rounds, one amount a member. docs/PROTOCOL.md, section 7.

These are the leaves of the payout tree, recomputed from events alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incentives.shares import divide, round_share
from ledger.history import BountyHistory, accepted
from ledger.records import Address, Merged, Revealed, Terms, Wei

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

    The number of leaves is the merge's `member_count`: members that joined later are not in it.
    Raises: ValueError if that round was not merged.
    """
    one = history.rounds.get(through_round)
    if one is None or one.merged is None:
        raise ValueError(f"round {through_round} was not merged")
    return _payouts(
        history, [each.merged for each in history.merged_rounds if each.number <= through_round and each.merged]
    )


def next_payouts(history: BountyHistory, round_number: int, counted: Sequence[Revealed], members: int) -> Payouts:
    """The leaves that a merge of `round_number` must have, if it counts the given updates.

    members: providers that ever joined, at the merge.
    """
    earlier = [each.merged for each in history.merged_rounds if each.number < round_number and each.merged]
    pay = round_pay(history.posted.terms, round_number, counted).amounts
    before = dict(_payouts(history, earlier))
    accounts = [member.provider for member in history.members[:members]]
    return [(account, Wei(before.get(account, 0) + pay.get(account, 0))) for account in accounts]


def _payouts(history: BountyHistory, merges: Sequence[Merged]) -> Payouts:
    totals: dict[Address, int] = {}
    for merged in merges:
        counted = accepted(merged, history.rounds[merged.round].reveals)
        for account, amount in round_pay(history.posted.terms, merged.round, counted).amounts.items():
            totals[account] = totals.get(account, 0) + amount
    members = merges[-1].member_count if merges else 0
    return [(member.provider, Wei(totals.get(member.provider, 0))) for member in history.members[:members]]
