"""The first page: every bounty in one line, those that run first. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ledger.history import BountyHistory, accepted
from ledger.records import Address, BountyId


class Stage(StrEnum):
    """How far a bounty is, as its events tell."""

    RUNNING = "running"
    OPEN = "open"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class BountyLine:
    """name: by its manifest, empty while that is not at hand; last_round: opened last, 0 before the first."""

    bounty: BountyId
    name: str
    stage: Stage
    last_round: int
    rounds: int
    members: int
    accepted: int
    rejected: int
    pot: int
    paid: int
    owner: Address


@dataclass(frozen=True)
class Group:
    stage: Stage
    title: str
    empty: str
    lines: tuple[BountyLine, ...]


_GROUPS = (
    (Stage.RUNNING, "Running", "No bounty is running now."),
    (Stage.OPEN, "Open", "No bounty is waiting for providers now."),
    (Stage.ENDED, "Ended", "No bounty has ended yet."),
    (Stage.CANCELLED, "Cancelled", ""),
)


def stage_of(history: BountyHistory) -> Stage:
    if history.cancelled is not None:
        return Stage.CANCELLED
    if history.ended is not None:
        return Stage.ENDED
    return Stage.RUNNING if history.rounds else Stage.OPEN


def bounty_line(history: BountyHistory, name: str) -> BountyLine:
    counted = [(one.merged, accepted(one.merged, one.reveals)) for one in history.merged_rounds if one.merged]
    shown = sum(merged.reveals for merged, _ in counted)
    taken = sum(len(updates) for _, updates in counted)
    return BountyLine(
        bounty=history.bounty,
        name=name,
        stage=stage_of(history),
        last_round=max(history.rounds, default=0),
        rounds=history.posted.terms.rounds,
        members=len(history.members),
        accepted=taken,
        rejected=shown - taken,
        pot=history.posted.terms.pot,
        paid=sum(merged.claim.paid for merged, _ in counted),
        owner=history.posted.owner,
    )


def grouped(lines: Sequence[BountyLine]) -> list[Group]:
    """By stage, the newest first; a stage without a word for being empty is left out when it is."""
    newest = sorted(lines, key=lambda line: -line.bounty)
    groups = [
        Group(stage, title, empty, tuple(line for line in newest if line.stage == stage))
        for stage, title, empty in _GROUPS
    ]
    return [group for group in groups if group.lines or group.empty]
