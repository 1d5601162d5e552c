"""A bounty's events replayed: every transition held to the protocol, every unit of money accounted for.

docs/PROTOCOL.md, sections 6, 7 and 10. This is the reference model of the contract's state machine. Events carry few
times, so what depends on the clock alone is checked only where an event says when it happened.
"""

from __future__ import annotations

from collections.abc import Iterable

from incentives.standing import Settlement, SettlementFault
from incentives.transitions import apply
from ledger.records import Event, Posted

__all__ = ["Settlement", "SettlementFault", "open_settlement", "settle", "settle_next"]


def settle(events: Iterable[Event]) -> Settlement:
    """Replay one bounty's events in the order of execution.

    Holds:  no faults for what the contract emits; after every event deposits = payouts + refunds + rewards + returned +
            held and no purse is below 0, or a fault says where not.
    Raises: ValueError if the first event is not `Posted`.
    """
    ordered = iter(events)
    first = next(ordered, None)
    if not isinstance(first, Posted):
        raise ValueError("a bounty's first event is Posted")
    state = open_settlement(first)
    for event in ordered:
        settle_next(state, event)
    return state


def open_settlement(posted: Posted) -> Settlement:
    """Where a bounty stands when it was posted."""
    return Settlement(posted, free=posted.terms.pot, deposits=posted.terms.pot)


def settle_next(state: Settlement, event: Event) -> None:
    """Go on by one event; what the protocol does not allow becomes a fault of `state`."""
    apply(state, event)
    _check_conservation(state, event)


def _check_conservation(state: Settlement, event: Event) -> None:
    out = state.payouts + state.refunds + state.rewards + state.returned
    state.expect(event, "money held after the event", state.held, state.deposits - out)
    for purse, amount in (("owed", state.owed), ("free", state.free), ("stakes", state.stakes)):
        if amount < 0:
            state.expect(event, f"the purse `{purse}` after the event", amount, "0 or more")
