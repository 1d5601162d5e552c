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


def next_demand(own: OwnTree, leaves: int, answers: Mapping[int, Sequence[bytes]]) -> int | Culprit:
    """The leaf to demand next, or the wrong one.

    leaves:  how many the tree must have.
    answers: by leaf index, the siblings shown, from the leaf up.
    Holds:   asks for no leaf twice, and for at most depth + 1 of them.
    """
    index, height, stray = 0, len(own.proof(0)), False
    while index in answers:
        shown, mine = answers[index], own.proof(index)
        if len(shown) != len(mine):
            return Culprit(index)
        beside = [((index >> k) ^ 1) << k for k in range(height)]
        wrong = [k for k in reversed(range(height)) if bytes(shown[k]) != bytes(mine[k])]
        stray = stray or any(beside[k] >= leaves for k in wrong)
        level = next((k for k in wrong if beside[k] < leaves), None)
        if level is None:
            return Culprit(index, stray)
        index, height = beside[level], level
    return index
