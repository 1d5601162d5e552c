"""Closing in on the wrong leaf of a tree that is withheld, chunk by demanded chunk. Pure.

One's own tree is complete; of the posted one only the root and the answered chunks are known. An answer's siblings are
nodes of the posted tree: the highest one that differs from one's own has a wrong leaf below it, and if none differs
the answered chunk itself is wrong. So `depth + 1` demands suffice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class OwnTree(Protocol):
    """A tree that one has whole."""

    def proof(self, index: int) -> Sequence[bytes]:
        """The siblings of a leaf, from the leaf up."""


@dataclass(frozen=True)
class Culprit:
    """The leaf whose opening shows the fault. stray: beside it stands something where the tree must be empty."""

    index: int
    stray: bool = False


@dataclass(frozen=True)
class Answer:
    """A leaf that was shown. siblings: from the leaf up; is_right: whether its content is what one has oneself."""

    siblings: Sequence[bytes]
    is_right: bool


def next_demand(own: OwnTree, leaves: int, answers: Mapping[int, Answer]) -> int | Culprit | None:
    """The leaf to demand next, or the wrong one; None where all that was shown is right.

    leaves:  how many the tree must have.
    answers: by leaf index.
    Holds:   asks for no leaf twice, and for at most depth + 1 of them where nothing stands beyond the last leaf.
    """
    strays: list[int] = []
    found = _search(own, leaves, answers, (0, len(own.proof(0))), strays)
    if found is None and strays:
        return Culprit(strays[0], stray=True)
    return found


def _search(
    own: OwnTree, leaves: int, answers: Mapping[int, Answer], place: tuple[int, int], strays: list[int]
) -> int | Culprit | None:
    """Look below a node, given by its first leaf and its height; `strays` takes what stands beyond the last leaf."""
    index, height = place
    if index not in answers:
        return index
    shown, mine = answers[index].siblings, own.proof(index)
    if len(shown) != len(mine):
        return Culprit(index)
    for level in reversed(range(height)):
        beside = ((index >> level) ^ 1) << level
        if bytes(shown[level]) == bytes(mine[level]):
            continue
        if beside >= leaves:
            strays.append(index)
            continue
        found = _search(own, leaves, answers, (beside, level), strays)
        if found is not None:
            return found
    return None if answers[index].is_right else Culprit(index)
