"""What a proven fraud does to a bounty's standing. See `incentives.transitions`; docs/PROTOCOL.md, section 10."""

from __future__ import annotations

from dataclasses import replace

from incentives.standing import MergeStanding, Seat, Settlement, Status
from ledger.records import MergeVoided, UpdateDisqualified, VestingExtended, Wei


def merge_voided(state: Settlement, event: MergeVoided) -> None:
    """The merge and all that was built on it is taken back; its round waits to be merged again."""
    voided = state.merges.get(event.round)
    state.expect_status(event, Status.RUNNING, Status.ENDED)
    state.require(event, f"round {event.round} has a merge", voided is not None)
    state.expect(event, "interrupted round", event.interrupted, state.live_round)
    if voided is None:
        return
    state.expect(event, "aggregator", event.aggregator, voided.aggregator)
    bond = state.bonds.pop(event.aggregator, 0)
    state.expect(event, "bond", event.bond, bond)
    state.expect(event, "reward", event.reward, event.bond // 2)
    state.free += bond - event.reward
    state.rewards += event.reward
    _take_back(state, event.round)
    _interrupt(state, event.round)
    state.due = tuple(f"Lapsed {number}" for number in state.taken_back)
    _reopen(state, event.round, voided)


def _take_back(state: Settlement, number: int) -> None:
    """The later merges' allocations are taken back one by one, each just before its round lapses."""
    state.take_back(state.merges.pop(number).paid)
    for later in sorted(one for one in state.merges if one > number):
        state.taken_back[later] = state.merges.pop(later)


def _interrupt(state: Settlement, number: int) -> None:
    running = state.round
    if state.live_round == number:
        return
    state.interrupted.add(state.live_round)
    if state.status == Status.RUNNING and running.reveals:
        nothing = MergeStanding(running, state.terms.aggregator, Wei(0), previous=0)
        state.taken_back[running.number] = nothing


def _reopen(state: Settlement, number: int, voided: MergeStanding) -> None:
    if state.last_round == 0:
        state.last_round = state.terms.rounds if state.status == Status.ENDED else state.live_round
    state.status = Status.RUNNING
    state.live_round = number
    state.merged_round = voided.previous
    state.round = replace(voided.round, merged_at=None)


def update_disqualified(state: Settlement, event: UpdateDisqualified) -> None:
    """The provider loses its whole stake and its membership, half of it to the prover."""
    what = (event.round, event.update_root)
    provider = state.revealed.get(what)
    state.require(event, "the update was revealed", provider is not None)
    state.require(event, "an update is disqualified once", what not in state.disqualified)
    state.expect(event, "provider", event.provider, provider or event.provider)
    seat = state.seats.get(event.provider) or Seat(len(state.seats))
    state.expect(event, "stake", event.stake, seat.stake)
    state.expect(event, "reward", event.reward, event.stake // 2)
    if seat.stake:
        # what can't be opened any more is no part of a quorum
        if seat.open and seat.commit_round == state.round.number and state.round.commits < state.terms.min_updates:
            state.round.commits -= 1
        seat.leaving = seat.open = False
    state.free += seat.stake - event.reward
    state.rewards += event.reward
    seat.stake = 0
    state.disqualified.add(what)
    state.lapsed.get(event.round, (0, {}))[1].pop(event.update_root, None)


def vesting_extended(state: Settlement, event: VestingExtended) -> None:
    state.require(event, f"round {event.round} has a merge", event.round in state.merges)
    state.last_vests_at = max(state.last_vests_at, event.until)
