"""Stakes and bonds: who may lock what, when it is free, and who loses it. See `incentives.transitions`."""

from __future__ import annotations

from incentives.standing import Seat, Settlement, Status
from ledger.records import (
    Address,
    BondDeposited,
    BondForfeited,
    BondWithdrawn,
    Event,
    Joined,
    Left,
    StakeForfeited,
    StakeWithdrawn,
)

UNFINISHED = (Status.JOINING, Status.RUNNING)


def seat_of(state: Settlement, event: Event, provider: Address) -> Seat:
    """The provider's seat; a fault and an empty one if it never joined."""
    seat = state.seats.get(provider)
    if seat is None:
        state.require(event, f"{provider} has joined", False)
        seat = state.seats[provider] = Seat(len(state.seats))
    return seat


def _open_when_ready(state: Settlement) -> None:
    """The transaction that completes the quorum and the bond opens round 1."""
    ready = state.members >= state.terms.min_updates and state.bonds.get(state.terms.aggregator, 0) > 0
    if state.status == Status.JOINING and ready:
        state.due = ("RoundOpened 1",)


# --- membership ---


def joined(state: Settlement, event: Joined) -> None:
    seat = state.seats.setdefault(event.provider, Seat(len(state.seats)))
    state.expect_status(event, *UNFINISHED)
    state.expect(event, "member index", event.index, seat.index)
    state.expect(event, "stake before joining", seat.stake, 0)
    state.require(event, f"the stake is at least {state.terms.stake}", event.stake >= state.terms.stake)
    seat.stake += event.stake
    seat.leaving = False
    state.deposits += event.stake
    _open_when_ready(state)


def left(state: Settlement, event: Left) -> None:
    seat = seat_of(state, event, event.provider)
    state.expect_status(event, *UNFINISHED, Status.ENDED, Status.CANCELLED)
    state.require(event, f"{event.provider} is a member", seat.active or state.on_cue)
    seat.leaving = True


def stake_withdrawn(state: Settlement, event: StakeWithdrawn) -> None:
    seat = seat_of(state, event, event.provider)
    over = state.status in (Status.ENDED, Status.CANCELLED)
    state.require(event, "a stake is free after leaving or after the end", seat.leaving or over)
    waits = seat.open and seat.commit_round not in state.interrupted
    unopened = waits and (seat.commit_round != state.round.number or state.round.commits >= state.terms.min_updates)
    state.require(event, "an unopened commitment is forfeited first", not unopened)
    state.expect(event, "stake", event.amount, seat.stake)
    seat.stake -= event.amount
    seat.leaving = False
    state.returned += event.amount


def stake_forfeited(state: Settlement, event: StakeForfeited) -> None:
    seat = seat_of(state, event, event.provider)
    state.require(event, "there is an unopened commitment", seat.open)
    state.expect(event, "round of the unopened commitment", event.round, seat.commit_round)
    state.expect(event, "forfeit", event.amount, state.terms.forfeit)
    seat.open = False
    seat.stake -= event.amount
    state.free += event.amount
    if seat.stake < event.amount and not seat.leaving:
        state.due = (f"Left {event.provider}",)


# --- bonds ---


def bond_deposited(state: Settlement, event: BondDeposited) -> None:
    state.expect_status(event, *UNFINISHED)
    state.expect(event, "bond before the deposit", state.bonds.get(event.account, 0), 0)
    state.expect(event, "bond", event.amount, state.terms.bond)
    state.bonds[event.account] = state.bonds.get(event.account, 0) + event.amount
    state.deposits += event.amount
    _open_when_ready(state)


def bond_withdrawn(state: Settlement, event: BondWithdrawn) -> None:
    on_duty = event.account == state.terms.aggregator and state.status == Status.RUNNING
    state.require(event, "the named aggregator's bond is locked while rounds run", not on_duty)
    state.expect(event, "bond", event.amount, state.bonds.get(event.account, 0))
    state.bonds[event.account] = state.bonds.get(event.account, 0) - event.amount
    state.returned += event.amount


def bond_forfeited(state: Settlement, event: BondForfeited) -> None:
    state.expect_status(event, Status.RUNNING)
    state.expect(event, "round", event.round, state.round.number)
    state.require(event, "only the named aggregator's bond can be forfeited", event.account == state.terms.aggregator)
    state.require(event, "a round that is merged again is nobody's duty", state.last_round == 0)
    quorum = len(state.round.reveals) >= state.terms.min_updates
    state.require(event, "silence is punished where there was something to merge", quorum)
    state.expect(event, "bond", event.amount, state.bonds.get(event.account, 0))
    state.bonds[event.account] = state.bonds.get(event.account, 0) - event.amount
    state.free += event.amount
    state.round.silent_bond = event.amount
    state.due = (f"Lapsed {event.round}",)
