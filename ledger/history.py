"""A bounty's events folded into its story: who joined, what each round held, how it ended. Pure.

A merge stands until it is voided. Voiding one voids all later ones and the round that was running; the story then goes
on where it was before, except that rounds which were opened since are over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ledger.errors import ProtocolFault
from ledger.merge_records import GivenReason, unpack_reasons
from ledger.records import (
    Address,
    BountyId,
    Cancelled,
    Committed,
    Ended,
    Event,
    Joined,
    Lapsed,
    LapsedClaimed,
    Merged,
    MergeVoided,
    Posted,
    Revealed,
    RoundOpened,
    Timestamp,
    UpdateDisqualified,
    VestingExtended,
)


class BrokenHistory(ProtocolFault):
    """Events that no correct contract emits in this order."""

    def __init__(self, event: Event, detail: str) -> None:
        self.event, self.detail = event, detail
        super().__init__(
            f"{type(event).__name__} in block {event.at.block} of bounty {event.bounty} does not follow from what was "
            f"before it: {detail}."
        )


@dataclass
class RoundHistory:
    """One round's records.

    commits:      by provider.
    reveals:      by reveal index.
    merged:       the standing merge, with the time from which its pay can be claimed now; None if there is none.
    voided:       its merges that were voided, in order.
    lapsed:       None unless it ended without a merge, or with a void one that is not repeated.
    interrupted:  whether the merge that it was built on was voided while it ran.
    disqualified: reveal indices of updates that were proven faulty.
    """

    number: int
    opened_at: Timestamp
    commits: dict[Address, Committed] = field(default_factory=dict)
    reveals: list[Revealed] = field(default_factory=list)
    merged: Merged | None = None
    voided: list[Merged] = field(default_factory=list)
    lapsed: Lapsed | None = None
    interrupted: bool = False
    disqualified: set[int] = field(default_factory=set)

    @property
    def state(self) -> str:
        """In one word: `merged`, `lapsed`, `voided` (its merge was, and it waits for another), `running`."""
        if self.merged is not None:
            return "merged"
        if self.lapsed is not None:
            return "lapsed"
        return "voided" if self.voided else "running"

    def reveal_of(self, provider: Address) -> Revealed | None:
        return next((reveal for reveal in self.reveals if reveal.provider == provider), None)


@dataclass
class BountyHistory:
    """A bounty from its posting on.

    members: the latest `Joined` of each provider, by member index; those that left included.
    rounds:  by round number.
    ended:   None while rounds run, also again after the last merges were voided.
    """

    posted: Posted
    members: list[Joined] = field(default_factory=list)
    rounds: dict[int, RoundHistory] = field(default_factory=dict)
    ended: Ended | None = None
    cancelled: Cancelled | None = None
    events: list[Event] = field(default_factory=list)

    @property
    def bounty(self) -> BountyId:
        return self.posted.bounty

    @property
    def lapsed_claims(self) -> list[LapsedClaimed]:
        return [event for event in self.events if isinstance(event, LapsedClaimed)]

    @property
    def merged_rounds(self) -> list[RoundHistory]:
        """Rounds with a standing merge, in order."""
        return [one for _, one in sorted(self.rounds.items()) if one.merged is not None]

    def latest_merge(self, before_round: int | None = None) -> Merged | None:
        """The last standing merge, or the last before `before_round`."""
        merges = [one.merged for one in self.merged_rounds if before_round is None or one.number < before_round]
        return merges[-1] if merges else None

    @property
    def target_round(self) -> int | None:
        """The round whose standing merge claims to have reached the bounty's target; None if none does."""
        target, merged = self.posted.terms.target, self.latest_merge()
        return merged.round if merged and 0 < target <= merged.claim.metric else None

    @property
    def last_vests_at(self) -> Timestamp:
        """When all that was ever merged has vested; 0 before the first merge. A void brings nothing forward."""
        moments = [event.vests_at for event in self.events if isinstance(event, Merged)]
        moments += [event.until for event in self.events if isinstance(event, VestingExtended)]
        return Timestamp(max(moments, default=0))

    def latest_vested(self, now: Timestamp) -> Merged | None:
        """The last standing merge whose pay has vested at `now`."""
        vested = [one.merged for one in self.merged_rounds if one.merged and one.merged.vests_at <= now]
        return vested[-1] if vested else None


def accepted(merged: Merged, reveals: Sequence[Revealed]) -> list[Revealed]:
    """The updates that a merge counts, by reveal index."""
    return [reveal for reveal in reveals[: merged.reveals] if not merged.claim.rejected >> reveal.index & 1]


def rejections(merged: Merged, reveals: Sequence[Revealed]) -> list[tuple[Revealed, GivenReason]]:
    """The updates that a merge leaves out, each with the reason that it gives."""
    out = [reveal for reveal in reveals[: merged.reveals] if merged.claim.rejected >> reveal.index & 1]
    return list(zip(out, unpack_reasons(merged.claim.reasons), strict=False))


def build_history(events: Iterable[Event]) -> BountyHistory:
    """Fold the events of one bounty, in the order of execution.

    Raises: BrokenHistory where an event cannot follow from those before it; ValueError without events.
    """
    ordered = iter(events)
    first = next(ordered, None)
    if first is None:
        raise ValueError("a history needs events")
    if not isinstance(first, Posted):
        raise BrokenHistory(first, "the first event must be Posted")
    history = BountyHistory(first, events=[first])
    for event in ordered:
        _apply(history, event)
        history.events.append(event)
    return history


def _apply(history: BountyHistory, event: Event) -> None:
    match event:
        case Joined():
            _apply_joined(history, event)
        case RoundOpened():
            if event.round != len(history.rounds) + 1:
                raise BrokenHistory(event, f"round {len(history.rounds) + 1} comes next")
            history.rounds[event.round] = RoundHistory(event.round, event.opened_at)
        case Committed():
            _round(history, event, event.round).commits[event.provider] = event
        case Revealed():
            reveals = _round(history, event, event.round).reveals
            if event.index != len(reveals):
                raise BrokenHistory(event, f"reveal index {len(reveals)} comes next")
            reveals.append(event)
        case Merged() | MergeVoided() | VestingExtended():
            _apply_to_merges(history, event)
        case UpdateDisqualified():
            one = _round(history, event, event.round)
            one.disqualified |= {shown.index for shown in one.reveals if shown.update_root == event.update_root}
        case Lapsed():
            _round(history, event, event.round).lapsed = event
        case Ended():
            history.ended = event
        case Cancelled():
            history.cancelled = event


def _apply_to_merges(history: BountyHistory, event: Merged | MergeVoided | VestingExtended) -> None:
    one = _round(history, event, event.round)
    match event:
        case Merged():
            if event.reveals != len(one.reveals) or one.merged is not None:
                raise BrokenHistory(event, f"the round has {len(one.reveals)} reveals and can be merged once")
            one.merged = event
        case MergeVoided():
            _apply_voided(history, event)
        case VestingExtended():
            for later in history.merged_rounds:
                if later.merged is not None and later.number >= event.round:
                    vests_at = max(later.merged.vests_at, event.until)
                    later.merged = replace(later.merged, vests_at=vests_at)


def _apply_voided(history: BountyHistory, event: MergeVoided) -> None:
    if _round(history, event, event.round).merged is None:
        raise BrokenHistory(event, f"round {event.round} has no merge that stands")
    for later in history.merged_rounds:
        if later.merged is not None and later.number >= event.round:
            later.voided.append(later.merged)
            later.merged = None
    running = _round(history, event, event.interrupted)
    if not running.voided and running.lapsed is None:
        running.interrupted = True
    history.ended = None


def _apply_joined(history: BountyHistory, event: Joined) -> None:
    known = len(history.members)
    if event.index > known:
        raise BrokenHistory(event, f"member index {known} comes next")
    if event.index == known:
        history.members.append(event)
    elif history.members[event.index].provider != event.provider:
        raise BrokenHistory(event, f"member index {event.index} belongs to {history.members[event.index].provider}")
    else:
        history.members[event.index] = event


def _round(history: BountyHistory, event: Event, number: int) -> RoundHistory:
    one = history.rounds.get(number)
    if one is None:
        raise BrokenHistory(event, f"round {number} was never opened")
    return one
