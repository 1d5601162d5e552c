"""A bounty's money: the replay of its events against the contract's purses and the payout trees."""

from __future__ import annotations

from incentives.payouts import cumulative_payouts
from incentives.settlement import Settlement
from ledger.history import BountyHistory
from ledger.records import Money
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
    """Providers whose claims add up to no amount that a merged round's payout tree gives them."""
    trees = [dict(cumulative_payouts(history, one.number)) for one in history.merged_rounds]
    found = []
    for account, claimed in settlement.claimed.items():
        amounts = sorted({tree.get(account, 0) for tree in trees} | {0})
        if claimed not in amounts:
            found.append(Difference(0, f"money (claims of {account})", str(claimed), f"one of {amounts}"))
    return found
