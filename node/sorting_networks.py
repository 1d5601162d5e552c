"""Comparators that put the middle of some values in the middle, for sums of it.

A network compares the same places whatever the values are, so whole rows go through it at once.
Source: D. Knuth, The Art of Computer Programming, volume 3, algorithm 5.2.2M (Batcher's odd-even merge sort).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, Flag, auto
from functools import lru_cache


class Keep(Flag):
    """Which of a comparator's results anything after it looks at."""

    LOW = auto()
    HIGH = auto()


Comparator = tuple[int, int, Keep]
"""The smaller value goes to the first place, the greater one to the second."""


class _Use(Enum):
    NONE = auto()
    SUM = auto()  # its sum with all others of this use
    VALUE = auto()


@lru_cache(maxsize=64)
def middle_network(count: int, dropped: int) -> tuple[Comparator, ...]:
    """After these, the places `dropped` .. `count - dropped - 1` hold the values that sorting puts there, in any order.

    From the end backwards, comparators go whose results nobody looks at, and those between two places of which only
    the sum matters.
    """
    uses = [_Use.SUM if dropped <= place < count - dropped else _Use.NONE for place in range(count)]
    kept: list[Comparator] = []
    for low, high in reversed(list(_sorting_network(count))):
        used = {uses[low], uses[high]}
        if used in ({_Use.NONE}, {_Use.SUM}):
            continue
        keep = (Keep.LOW if uses[low] != _Use.NONE else Keep(0)) | (Keep.HIGH if uses[high] != _Use.NONE else Keep(0))
        kept.append((low, high, keep))
        uses[low] = uses[high] = _Use.VALUE
    return tuple(reversed(kept))


def _sorting_network(count: int) -> Iterator[tuple[int, int]]:
    """The comparators that sort `count` values."""
    merged = 1
    while merged < count:
        distance = merged
        while distance >= 1:
            for start in range(distance % merged, count - distance, 2 * distance):
                for low in range(start, min(start + distance, count - distance)):
                    if low // (2 * merged) == (low + distance) // (2 * merged):
                        yield low, low + distance
            distance //= 2
        merged *= 2
