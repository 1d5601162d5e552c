"""A provider's stake in one bounty: what is locked, what was lost, when it is free. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.records import Phase, StakeWithdrawn, Timestamp, Wei
from node.explaining.receipt import RoundReceipt, StakeReceipt
from node.provider.decisions import ProviderView


def stake_receipt(view: ProviderView, rounds: Sequence[RoundReceipt]) -> StakeReceipt:
    """rounds: all of the bounty."""
    mine = [event for event in view.history.events if getattr(event, "provider", None) == view.account]
    return StakeReceipt(
        locked=view.standing.stake,
        forfeited=Wei(sum(one.forfeited for one in rounds)),
        seized=Wei(sum(one.seized for one in rounds)),
        returned=Wei(sum(event.amount for event in mine if isinstance(event, StakeWithdrawn))),
        free_at=stake_free_at(view),
        forfeit_due=view.forfeit_due,
        has_left=bool(view.standing.unlocks_at),
    )


def stake_free_at(view: ProviderView) -> Timestamp | None:
    """When the stake can be withdrawn; None: no time frees it yet. The Solidity twin is `BountyLib.stakeFreeAt`."""
    if view.clock.phase == Phase.CANCELLED:
        return Timestamp(0)
    moments = [view.standing.unlocks_at] if view.standing.unlocks_at else []
    if view.clock.phase == Phase.ENDED:
        moments.append(view.history.last_vests_at)
    return Timestamp(max(min(moments), view.held_until)) if moments else None
