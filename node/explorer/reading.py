"""How far the mirror has read, and when to look again. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.chain import Block
from node.explorer.display import duration, number

SOONEST, LATEST = 2, 60
"""Seconds after which a page looks again."""


@dataclass(frozen=True)
class Reading:
    """A mirror on its way.

    at:   the last mirrored block; goal: the block to get to.
    left: seconds until then, as fast as it went so far; None where that can't be told.
    """

    at: int
    goal: int
    left: int | None

    @property
    def again(self) -> int:
        """When to look again, in seconds."""
        return LATEST if self.left is None else min(max(self.left, SOONEST), LATEST)

    def in_words(self) -> str:
        pace = f"; the rest takes about {duration(self.left)}" if self.left is not None else ""
        return f"The mirror is at block {number(self.at)} of {number(self.goal)}{pace}."


def reading(first: int, at: int, goal: int, seconds: float) -> Reading | None:
    """How a mirror that was at block `first` stands after so many seconds; None where it is at its goal."""
    if at >= goal:
        return None
    done = at - first
    return Reading(at, goal, round((goal - at) * seconds / done) if done > 0 else None)


@dataclass(frozen=True)
class Awaited:
    """Why what is on the chain is not mirrored yet. again: when to look again, in seconds."""

    why: str
    again: int


def awaited(read: Reading | None, head: Block | None, newest: Block | None, confirmations: int) -> Awaited:
    """read: None unless the mirror is on its way; head: the last mirrored block; newest: the chain's."""
    if read is not None:
        return Awaited(read.in_words(), read.again)
    if head is None or newest is None or newest.number <= head.number or not confirmations:
        return Awaited("The mirror reads on within seconds.", SOONEST)
    pace = (newest.timestamp - head.timestamp) / (newest.number - head.number)
    left = round(confirmations * pace)
    why = (
        f"The mirror is at block {number(head.number)} and the chain at block {number(newest.number)}: "
        f"a block is mirrored when {confirmations} are above it, which takes about {duration(left)}."
    )
    return Awaited(why, min(max(left, SOONEST), LATEST))
