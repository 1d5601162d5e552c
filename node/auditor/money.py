"""A bounty's money: the replay of its events against the contract's purses and the payout trees."""

from __future__ import annotations

from incentives.payouts import split_round
from incentives.settlement import Settlement
from ledger.history import BountyHistory, accepted
from ledger.records import Address, Money
from node.auditor.report import Difference


def money_differences(history: BountyHistory, settlement: Settlement, on_chain: Money) -> list[Difference]:
    """Amounts that are not what the rules give, at any event or in the end."""
    found = [
        Difference(
            getattr(fault.event, "round", 0),
            f"money ({fault.what}, {type(fault.event).__name__} in block {fault.event.at.block})",
            str(fault.claimed),
            str(fault.expected),
        )
        for fault in settlement.faults
    ]
    for purse, claimed, expected in (
        ("owed", on_chain.owed, settlement.owed),
        ("free", on_chain.free, settlement.free),
    ):
        if claimed != expected:
            found.append(Difference(0, f"money ({purse})", str(claimed), str(expected)))
    return found + _claim_differences(history, settlement)


def _claim_differences(history: BountyHistory, settlement: Settlement) -> list[Difference]:
    """Providers whose claims add up to no amount that a merged round's payout tree gave them."""
    totals: dict[Address, int] = {}
    given: dict[Address, set[int]] = {}
    for one in history.merged_rounds:
        if one.merged is None:
            continue
        counted = accepted(one.merged, one.reveals)
        parts = split_round(history.posted.terms, one.number, counted).parts
        for reveal, amount in zip(counted, parts, strict=True):
            totals[reveal.provider] = totals.get(reveal.provider, 0) + amount
            given.setdefault(reveal.provider, set()).add(totals[reveal.provider])
    return [
        Difference(0, f"money (claims of {account})", str(claimed), f"one of {sorted(given.get(account, set()))}")
        for account, claimed in settlement.claimed.items()
        if claimed and claimed not in given.get(account, set())
    ]
