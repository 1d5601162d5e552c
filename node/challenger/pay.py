"""What a merge's payout tree must hold, judged as the contract judges it: from the tree before and what was earned.

A tree has leaves for the first so many members, as many as its merge says. docs/PROTOCOL.md, section 7.
"""

from __future__ import annotations

import orjson

from incentives.payouts import split_round
from incentives.rewards import Split
from ledger.commitments import payout_root, payout_tree
from ledger.history import BountyHistory, accepted
from ledger.merge_records import RECORD_HASH_BYTES
from ledger.records import Address, Merged, Wei
from node.challenger.evidence import Pay, Payouts

MOST_DIGITS = 29
"""A uint96 has no more."""


def earned_in(history: BountyHistory, merged: Merged) -> dict[int, int]:
    """What each member earns in one round, by seat; those that earn nothing are left out."""
    seats = {member.provider: member.index for member in history.members}
    counted = accepted(merged, history.rounds[merged.round].reveals)
    parts = split_of(history, merged).parts
    earned: dict[int, int] = {}
    for reveal, amount in zip(counted, parts, strict=True):
        seat = seats[reveal.provider]
        earned[seat] = earned.get(seat, 0) + amount
    return earned


def split_of(history: BountyHistory, merged: Merged) -> Split:
    counted = accepted(merged, history.rounds[merged.round].reveals)
    return split_round(history.posted.terms, merged.round, counted)


def follows_from(history: BountyHistory, merged: Merged, before: Payouts) -> Payouts:
    """The payouts after a merge, over those of the tree before it."""
    earned = earned_in(history, merged)
    return [
        (member.provider, Wei((before[seat][1] if seat < len(before) else 0) + earned.get(seat, 0)))
        for seat, member in enumerate(history.members[: merged.claim.payout_leaves])
    ]


def recorded_payouts(history: BountyHistory, merged: Merged | None) -> Payouts:
    """The payouts that a merge that is taken for right stands for, followed from the first merge on."""
    if merged is None:
        return []
    previous = history.rounds[merged.previous].merged if merged.previous else None
    return follows_from(history, merged, recorded_payouts(history, previous))


def pay_of(history: BountyHistory, merged: Merged, report: bytes | None) -> Pay:
    """All that is known of a merge's pay. report: None where it can't be had."""
    previous = history.rounds[merged.previous].merged if merged.previous else None
    before = recorded_payouts(history, previous)
    members = [member.provider for member in history.members[: merged.claim.payout_leaves]]
    posted = None if report is None else listed_payouts(report, members)
    if posted is not None and not is_under(posted, merged):
        posted = None
    earned, leaves = earned_in(history, merged), merged.claim.payout_leaves
    leafless = next((one.provider for one in history.members[leaves:] if earned.get(one.index)), None)
    released = split_of(history, merged).released
    return Pay(follows_from(history, merged, before), before, earned, posted, leafless, released)


def is_under(payouts: Payouts, merged: Merged) -> bool:
    """Whether a list has the recorded root."""
    if not payouts:
        return False
    root = payout_root(payout_tree(list(payouts)))
    return root[:RECORD_HASH_BYTES] == merged.claim.payout_root[:RECORD_HASH_BYTES]


def listed_payouts(report: bytes, members: list[Address]) -> Payouts | None:
    """The payouts that a merge report lists, by seat; None where it lists none that could be meant.

    The report is hostile text: an amount is at most 29 decimal digits, a list exactly as long as there are members.
    """
    try:
        document = orjson.loads(report)
    except orjson.JSONDecodeError:
        return None
    listed = document.get("payouts") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) != len(members):
        return None
    if not all(isinstance(one, str) and one.isascii() and one.isdigit() and len(one) <= MOST_DIGITS for one in listed):
        return None
    amounts = [int(one) for one in listed]
    if any(amount >= 2**96 for amount in amounts):
        return None
    return [(member, Wei(amount)) for member, amount in zip(members, amounts, strict=True)]
