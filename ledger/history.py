"""A bounty's events folded into its story: who joined, what each round held, how it ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ledger.errors import ProtocolFault
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
    Posted,
    Reason,
    Revealed,
    RoundOpened,
    Timestamp,
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

    commits: by provider.
    reveals: by reveal index.
    merged:  None until the round is merged; lapsed: None unless it ended without a merge.
    """

    number: int
    opened_at: Timestamp
    commits: dict[Address, Committed] = field(default_factory=dict)
    reveals: list[Revealed] = field(default_factory=list)
    merged: Merged | None = None
    lapsed: Lapsed | None = None

    def reveal_of(self, provider: Address) -> Revealed | None:
        return next((reveal for reveal in self.reveals if reveal.provider == provider), None)


@dataclass
class BountyHistory:
    """A bounty from its posting on.

    members: the latest `Joined` of each provider, by member index; those that left included.
    rounds:  by round number.
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
        """Rounds that were merged, in order."""
        return [one for _, one in sorted(self.rounds.items()) if one.merged is not None]

    def latest_merge(self, before_round: int | None = None) -> Merged | None:
        """The last merge, or the last before `before_round`."""
        merges = [one.merged for one in self.merged_rounds if before_round is None or one.number < before_round]
        return merges[-1] if merges else None

    def latest_vested(self, now: Timestamp) -> Merged | None:
        """The last merge whose pay has vested at `now`."""
        vested = [one.merged for one in self.merged_rounds if one.merged and one.merged.vests_at <= now]
        return vested[-1] if vested else None


def accepted(merged: Merged, reveals: Sequence[Revealed]) -> list[Revealed]:
    """The updates that a merge counts, by reveal index."""
    return [reveal for reveal in reveals[: merged.reveals] if not merged.rejected >> reveal.index & 1]


def rejections(merged: Merged, reveals: Sequence[Revealed]) -> list[tuple[Revealed, int]]:
    """The updates that a merge leaves out, each with its reason code (see `Reason`; unknown codes are possible)."""
    out = [reveal for reveal in reveals[: merged.reveals] if merged.rejected >> reveal.index & 1]
    return list(zip(out, merged.reasons, strict=False))


def reason_label(code: int) -> str:
    """A reason code as people read it."""
    return Reason(code).label if code in Reason.__members__.values() else f"unknown-{code}"


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
        case Merged():
            one = _round(history, event, event.round)
            if event.reveals != len(one.reveals) or one.merged is not None:
                raise BrokenHistory(event, f"the round has {len(one.reveals)} reveals and can be merged once")
            one.merged = event
        case Lapsed():
            _round(history, event, event.round).lapsed = event
        case Ended():
            history.ended = event
        case Cancelled():
            history.cancelled = event


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
