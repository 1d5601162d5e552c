"""One event after the other: what each may follow, and what it does to a bounty's standing.

Each function holds one event to the rules of docs/PROTOCOL.md, notes faults in the standing, and then takes the event
as it is, so that one fault does not hide or cause others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from incentives import deposits, proofs
from incentives.deposits import seat_of
from incentives.rewards import weight_of
from incentives.shares import NOTHING, lapsed_share, round_share
from incentives.standing import MergeStanding, RoundStanding, Settlement, Status
from ledger.merge_records import REASON_BYTES
from ledger.records import (
    BondDeposited,
    BondForfeited,
    BondWithdrawn,
    Cancelled,
    Claimed,
    Committed,
    Ended,
    Event,
    Joined,
    Lapsed,
    LapsedClaimed,
    Left,
    Merged,
    MergeVoided,
    Refunded,
    Revealed,
    RewardRule,
    RoundOpened,
    ShareReleased,
    StakeForfeited,
    StakeWithdrawn,
    Timestamp,
    UpdateDisqualified,
    VestingExtended,
    Wei,
)


def apply(state: Settlement, event: Event) -> None:
    """Hold one event to the rules and bring the standing to the moment after it."""
    due, state.due = state.due[:1], state.due[1:]
    state.on_cue = (_label(event),) == due
    if due:
        state.expect(event, "the event that must come next", _label(event), due[0])
    step = _STEPS.get(type(event))
    if step is None:
        state.require(event, f"{type(event).__name__} can't come again", False)
    else:
        step(state, event)


def _label(event: Event) -> str:
    match event:
        case RoundOpened(round=number):
            return f"RoundOpened {number}"
        case Lapsed(round=number):
            return f"Lapsed {number}"
        case Left(provider=provider):
            return f"Left {provider}"
    return type(event).__name__


def _reach_target(state: Settlement) -> None:
    """No round follows. Should that be voided, the bounty goes on after the latest round that was opened."""
    state.live_round = state.last_round = state.last_round or state.live_round
    state.due = ("Ended",)


def _go_on(state: Settlement) -> None:
    """What follows a merged or lapsed round: rounds that were opened before it was voided are not opened again."""
    if state.last_round:
        state.live_round, state.last_round = state.last_round, 0
    number = state.live_round
    state.due = ("Ended" if number >= state.terms.rounds else f"RoundOpened {number + 1}",)


# --- rounds ---


def _round_opened(state: Settlement, event: RoundOpened) -> None:
    state.expect_status(event, Status.JOINING, Status.RUNNING)
    state.expect(event, "round", event.round, state.live_round + 1)
    state.expect_at_most(event, "round", event.round, state.terms.rounds)
    state.require(event, "a round opens when bond and quorum are there, or right after the one before", state.on_cue)
    _check_moment(state, event, event.opened_at)
    state.status = Status.RUNNING
    state.round = RoundStanding(event.round, event.opened_at)
    state.live_round = event.round


def _committed(state: Settlement, event: Committed) -> None:
    seat = seat_of(state, event, event.provider)
    state.expect_status(event, Status.RUNNING)
    state.expect(event, "round", event.round, state.round.number)
    state.require(event, f"{event.provider} is a member", seat.active)
    state.require(event, "there is no unopened commitment", not seat.open or seat.commit_round in state.interrupted)
    state.require(event, "there is one commitment a round", seat.commit_round != event.round)
    state.round.commits += 1
    state.expect_at_most(event, "commitments", state.round.commits, state.terms.max_updates)
    seat.commit_round, seat.open = event.round, True
    seat.weight = weight_of(Wei(seat.stake), state.terms)


def _revealed(state: Settlement, event: Revealed) -> None:
    seat = seat_of(state, event, event.provider)
    state.expect_status(event, Status.RUNNING)
    state.expect(event, "round", event.round, state.round.number)
    state.require(event, "a commitment of the round waits to be opened", seat.open and seat.commit_round == event.round)
    quorum = state.round.commits >= state.terms.min_updates
    state.require(event, "reveals begin when the quorum has committed", quorum)
    state.expect(event, "reveal index", event.index, len(state.round.reveals))
    state.expect(event, "weight", event.weight, seat.weight)
    state.expect_at_most(event, "squared norm", event.squared_norm, state.terms.squared_norm_bound)
    state.require(event, "an update root is revealed once a round", event.update_root not in state.round.reveals)
    state.round.reveals[event.update_root] = event.provider
    state.revealed[event.round, event.update_root] = event.provider
    seat.open = False


def _merged(state: Settlement, event: Merged) -> None:
    claim, reveals = event.claim, len(state.round.reveals)
    state.expect_status(event, Status.RUNNING)
    state.expect(event, "round", event.round, state.round.number)
    state.require(event, f"{event.aggregator} is bonded", state.bonds.get(event.aggregator, 0) > 0)
    state.expect(event, "reveals", event.reveals, reveals)
    state.require(event, "a merge needs the quorum of reveals", reveals >= state.terms.min_updates)
    state.expect(event, "merge that it builds on", event.previous, state.merged_round)
    state.expect_at_most(event, "payout leaves", claim.payout_leaves, len(state.seats))
    rejected = claim.rejected.bit_count()
    state.require(event, "only revealed updates are rejected", claim.rejected >> event.reveals == 0)
    state.expect(event, "bytes of reasons", len(claim.reasons), REASON_BYTES * rejected)
    most = 0 if rejected == reveals else _share(state, event.round)
    state.expect_at_most(event, "paid", claim.paid, most)
    vests_at = max(event.merged_at + state.terms.challenge_seconds, state.last_vests_at)
    state.expect(event, "time of vesting", event.vests_at, vests_at)
    state.require(event, "time goes on", event.merged_at >= state.round.opened_at)
    state.round.merged_at = event.merged_at
    state.merges[event.round] = MergeStanding(state.round, event.aggregator, claim.paid, event.previous)
    state.merged_round, state.last_vests_at = event.round, event.vests_at
    state.allocate(claim.paid)
    if state.terms.target and claim.metric >= state.terms.target:
        _reach_target(state)
    else:
        _go_on(state)


def _share(state: Settlement, number: int) -> Wei:
    return round_share(state.terms, number) if 1 <= number <= state.terms.rounds else NOTHING


def _lapsed(state: Settlement, event: Lapsed) -> None:
    taken_back = state.taken_back.pop(event.round, None)
    if taken_back is not None:
        state.take_back(taken_back.paid)
        _divide(state, event, taken_back.round, NOTHING)
        return
    reveals, bond = len(state.round.reveals), state.round.silent_bond
    state.expect_status(event, Status.RUNNING)
    state.expect(event, "round", event.round, state.round.number)
    state.require(event, "a round lapses after its commitments", state.round.commits >= state.terms.min_updates)
    silent = reveals >= state.terms.min_updates
    if silent and state.last_round == 0:
        state.require(event, "a round with the quorum lapses with the aggregator's bond", bond is not None)
    _divide(state, event, state.round, bond or NOTHING)
    if silent or bond is not None:
        state.due, state.last_round = ("Ended",), 0
    else:
        _go_on(state)


def _divide(state: Settlement, event: Lapsed, lapsed: RoundStanding, bond: Wei) -> None:
    """Each update of the round may take a part of its share, and of a silent aggregator's bond."""
    reveals = len(lapsed.reveals)
    state.expect(event, "reveals", event.reveals, reveals)
    share = lapsed_share(state.terms, lapsed.number, reveals, bond) if lapsed.number else 0
    state.expect(event, "share", event.share, share)
    waiting = {
        root: provider for root, provider in lapsed.reveals.items() if (event.round, root) not in state.disqualified
    }
    state.lapsed[event.round] = (event.share, waiting)
    state.allocate(event.share * event.reveals)


def _ended(state: Settlement, event: Ended) -> None:
    state.expect_status(event, Status.RUNNING)
    if not state.on_cue:
        quorum = state.round.commits >= state.terms.min_updates
        state.require(event, "a bounty expires only where too few have committed", not quorum)
        patience = state.terms.patience * state.terms.commit_seconds
        state.expect(event, "end by expiry", event.ended_at, state.round.opened_at + patience)
    _check_moment(state, event, event.ended_at)
    state.status = Status.ENDED


def _check_moment(state: Settlement, event: Event, moment: Timestamp) -> None:
    """A merge ends its round at once; nothing happens before the round opened."""
    if state.round.merged_at is not None:
        state.expect(event, "moment of the merge", moment, state.round.merged_at)
    state.require(event, "time goes on", moment >= state.round.opened_at)


# --- money out ---


def _claimed(state: Settlement, event: Claimed) -> None:
    seat = seat_of(state, event, event.provider)
    state.require(event, f"{event.provider} has committed an update", seat.commit_round > 0)
    state.require(event, "a claim is more than nothing", event.amount > 0)
    state.claimed[event.provider] = state.claimed.get(event.provider, 0) + event.amount
    state.owed -= event.amount
    state.payouts += event.amount


def _lapsed_claimed(state: Settlement, event: LapsedClaimed) -> None:
    share, waiting = state.lapsed.get(event.round, (0, {}))
    due = share if waiting.pop(event.update_root, None) == event.provider else 0
    state.expect(event, "share of a lapsed round", event.amount, due)
    state.owed -= event.amount
    state.payouts += event.amount


def _share_released(state: Settlement, event: ShareReleased) -> None:
    merge = state.merges.get(event.round)
    by_contribution = state.terms.reward_rule == RewardRule.CONTRIBUTION
    state.require(event, "shares are released where pay is by contribution", by_contribution)
    state.require(event, f"round {event.round} has a merge", merge is not None)
    state.require(event, "a share is released once", event.round not in state.released)
    state.expect(event, "released share", event.amount, min(merge.paid if merge else 0, max(state.owed, 0)))
    state.released.add(event.round)
    state.owed -= event.amount
    state.payouts += event.amount


def _cancelled(state: Settlement, event: Cancelled) -> None:
    state.expect_status(event, Status.JOINING)
    state.expect(event, "refund", event.refunded, state.free)
    state.free -= event.refunded
    state.refunds += event.refunded
    state.status = Status.CANCELLED


def _refunded(state: Settlement, event: Refunded) -> None:
    state.expect_status(event, Status.ENDED)
    state.expect(event, "owner", event.owner, state.posted.owner)
    state.expect(event, "refund", event.amount, state.free)
    state.require(event, "a refund is more than nothing", event.amount > 0)
    state.free -= event.amount
    state.refunds += event.amount


_STEPS: dict[type[Event], Callable[[Settlement, Any], None]] = {
    Joined: deposits.joined,
    Left: deposits.left,
    StakeWithdrawn: deposits.stake_withdrawn,
    StakeForfeited: deposits.stake_forfeited,
    RoundOpened: _round_opened,
    Committed: _committed,
    Revealed: _revealed,
    Merged: _merged,
    MergeVoided: proofs.merge_voided,
    UpdateDisqualified: proofs.update_disqualified,
    VestingExtended: proofs.vesting_extended,
    Lapsed: _lapsed,
    Ended: _ended,
    BondDeposited: deposits.bond_deposited,
    BondWithdrawn: deposits.bond_withdrawn,
    BondForfeited: deposits.bond_forfeited,
    Claimed: _claimed,
    LapsedClaimed: _lapsed_claimed,
    ShareReleased: _share_released,
    Cancelled: _cancelled,
    Refunded: _refunded,
}
