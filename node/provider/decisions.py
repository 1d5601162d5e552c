"""What a provider does next. Pure: a view in, actions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.history import BountyHistory
from ledger.keccak import Hash32
from ledger.records import Address, Clock, Merged, Phase, Provider, Terms, Timestamp, Wei
from ledger.score_records import ScorePhase
from node.journal import MadeUpdate
from node.loop import Finish
from node.masking.update import Seat
from node.provider.masked_view import MaskedView
from node.scored_rounds import Due, Scoring, dues, pending
from node.targets import ending_in_words

_FREE = Timestamp(0)


@dataclass(frozen=True)
class ProviderView:
    """What a provider sees at one block.

    now:             the block's timestamp.
    open_commitment: the caller's unopened commitment on chain, None if there is none.
    forfeit_due:     whether it has to be forfeited first; one of a round that a void interrupted is just forgotten.
    held_until:      no stake leaves before, because of a proof or a demand.
    made:            the journal's update for the clock's round.
    earlier:         the journal's update for the latest round before that the account revealed in.
    scoring:         how rounds are divided by contribution, where they are.
    masked:          of the clock's round, where updates are masked.
    vested_total:    the caller's cumulative pay in the latest vested payout tree, 0 before the first.
    may_join:        whether the person agreed to join and has not left since.
    refusal:         why the data set's privacy budget lets no update out; empty if it does.
    unusable:        a round and the root of a merged state that nothing could be trained from in it; None if all could.
    """

    now: Timestamp
    account: Address
    terms: Terms
    clock: Clock
    standing: Provider
    open_commitment: Hash32 | None
    history: BountyHistory
    made: MadeUpdate | None
    vested_total: Wei
    may_join: bool = False
    refusal: str = ""
    unusable: tuple[int, Hash32] | None = None
    masked: MaskedView | None = None
    forfeit_due: bool = False
    held_until: Timestamp = _FREE
    earlier: MadeUpdate | None = None
    scoring: Scoring | None = None


@dataclass(frozen=True)
class Join:
    pass


@dataclass(frozen=True)
class Train:
    """Train from the state of `base` (None: the initial one) and write the update down for `round`.

    earlier: the update whose momentum goes on; None if there is none.
    """

    round: int
    base: Merged | None
    earlier: MadeUpdate | None = None


@dataclass(frozen=True)
class Commit:
    made: MadeUpdate


@dataclass(frozen=True)
class OpenRound:
    """Have a round opened that the clock has begun: the block that does it draws the groups of a masked round."""


@dataclass(frozen=True)
class Release:
    """Release shares of what a masked round's group is unmasked with."""

    round: int
    seat: Seat


@dataclass(frozen=True)
class Reveal:
    made: MadeUpdate


@dataclass(frozen=True)
class Forfeit:
    """Settle an own commitment that was not opened in time, so that the next round can be joined."""


@dataclass(frozen=True)
class Claim:
    merged: Merged
    cumulative: Wei


@dataclass(frozen=True)
class ClaimLapsed:
    round: int
    update_root: Hash32


@dataclass(frozen=True)
class SettleScored:
    """Have a round divided by contribution, as anyone may once the evaluators' time is over."""

    round: int


@dataclass(frozen=True)
class ClaimScored:
    """Take what an update earned in a round that was divided by contribution."""

    due: Due


@dataclass(frozen=True)
class Leave:
    pass


@dataclass(frozen=True)
class WithdrawStake:
    pass


Collection = Forfeit | Claim | ClaimLapsed | SettleScored | ClaimScored | Leave | WithdrawStake
"""The effects by which a provider takes out what is its own."""

Action = Join | OpenRound | Train | Commit | Reveal | Release | Collection

_RUNNING = (Phase.JOINING, Phase.COMMIT, Phase.REVEAL, Phase.MERGE, Phase.OPEN_MERGE)


def decide(view: ProviderView) -> Sequence[Action | Finish]:
    """Join, train, commit, reveal; after the end claim and take the stake back. Leave when the privacy budget is spent.

    While a voided round is merged again there is nothing to do: the round that ran was interrupted, the next one opens
    with the new state.
    """
    if view.clock.phase not in _RUNNING:
        return _wind_up(view)
    if view.standing.stake == 0 and view.may_join and not view.refusal:
        return [Join()]
    if view.standing.stake == 0 or view.standing.unlocks_at:
        return _wind_up(view)
    if view.clock.phase == Phase.COMMIT:
        return _commit(view)
    if view.clock.phase == Phase.REVEAL:
        return _reveal(view)
    return _release(view)


def _commit(view: ProviderView) -> Sequence[Action | Finish]:
    if view.standing.commit_round == view.clock.round:
        return []
    if view.forfeit_due:
        return [Forfeit()]
    if view.refusal:
        return [Leave()]
    if view.clock.commits >= view.terms.max_updates:
        return []
    if view.masked is not None and not view.masked.may_send(view.made):
        return [OpenRound()] if view.masked.unopened else []
    base = view.history.latest_merge()
    if view.made is None and base is not None and view.unusable == (view.clock.round, base.claim.state_root):
        return []
    if view.made is None:
        return [Train(view.clock.round, base, view.earlier)]
    return [Commit(view.made)]


def _reveal(view: ProviderView) -> Sequence[Action | Finish]:
    due = view.open_commitment is not None and view.standing.commit_round == view.clock.round
    return [Reveal(view.made)] if due and view.made is not None else []


def _release(view: ProviderView) -> Sequence[Action | Finish]:
    masked = view.masked
    if masked is None or masked.seat is None or not masked.release_due:
        return []
    return [Release(view.clock.round, masked.seat)]


def _wind_up(view: ProviderView) -> Sequence[Action | Finish]:
    """After the end, or after leaving: take all that is owed, then the stake, then finish."""
    owed = claims(view)
    if owed:
        return owed
    unsettled = pending(view.scoring, view.history, view.account) if view.scoring else {}
    if ScorePhase.DUE in unsettled.values():
        return [SettleScored(number) for number, phase in unsettled.items() if phase == ScorePhase.DUE]
    over = view.clock.phase in (Phase.ENDED, Phase.CANCELLED)
    if unsettled or (over and view.history.last_vests_at > view.now):
        return []
    if view.standing.stake == 0:
        ending = ending_in_words(view.history)
        return [Finish("everything that can be claimed was claimed" + (f"; {ending}" if ending else ""))]
    free = (over or view.standing.unlocks_at <= view.now) and view.held_until <= view.now
    return [WithdrawStake()] if free else []


def claims(view: ProviderView) -> list[Claim | ClaimLapsed | ClaimScored]:
    """The claims that would pay something now."""
    found: list[Claim | ClaimLapsed | ClaimScored] = []
    vested = view.history.latest_vested(view.now)
    if vested is not None and view.vested_total > view.standing.claimed:
        found.append(Claim(vested, view.vested_total))
    taken = {(event.round, event.update_root) for event in view.history.lapsed_claims}
    for one in view.history.rounds.values():
        mine = one.reveal_of(view.account)
        if one.lapsed is None or one.lapsed.share == 0 or mine is None or mine.index in one.disqualified:
            continue
        if (one.number, mine.update_root) not in taken:
            found.append(ClaimLapsed(one.number, mine.update_root))
    if view.scoring is not None:
        found += [ClaimScored(due) for due in dues(view.scoring, view.history, view.account)]
    return found
