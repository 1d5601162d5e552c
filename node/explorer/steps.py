"""A verification as a reader follows it: one step after the other, with every value that went in and came out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ledger.keccak import Hash32, keccak
from ledger.trees import SumNode, node_sum, sum_node

MOST_DRAWN_LEAVES = 32


class Outcome(StrEnum):
    """How a step ended. `done`: something was computed, and there was nothing to compare it with."""

    DONE = "done"
    OK = "ok"
    MISMATCH = "mismatch"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Rung:
    """One level of a proof: the running node and its sibling, and what they hash to.

    left:      whether the running node stands on the left.
    node_sum, sibling_sum, parent_sum: None in trees without sums.
    """

    level: int
    left: bool
    node: bytes
    sibling: bytes
    parent: bytes
    node_sum: int | None = None
    sibling_sum: int | None = None
    parent_sum: int | None = None


@dataclass(frozen=True)
class Step:
    """values: (name, value) pairs, to be shown in full."""

    title: str
    outcome: Outcome
    text: str
    values: tuple[tuple[str, str], ...] = ()
    rungs: tuple[Rung, ...] = ()


def verdict(steps: Sequence[Step]) -> Outcome:
    """The worst of all steps."""
    found = {step.outcome for step in steps}
    for worst in (Outcome.MISMATCH, Outcome.UNAVAILABLE):
        if worst in found:
            return worst
    return Outcome.OK


def compared(same: bool) -> Outcome:
    return Outcome.OK if same else Outcome.MISMATCH


def chunk_rungs(leaf: Hash32, index: int, proof: Sequence[Hash32]) -> tuple[Rung, ...]:
    """Climb a chunk tree; the last rung's parent is the root."""
    rungs: list[Rung] = []
    node = leaf
    for level, sibling in enumerate(proof):
        left = not index >> level & 1
        parent = keccak(node + sibling if left else sibling + node)
        rungs.append(Rung(level, left, node, sibling, parent))
        node = parent
    return tuple(rungs)


def sum_rungs(leaf: SumNode, index: int, proof: Sequence[SumNode]) -> tuple[Rung, ...]:
    """Climb a sum tree; the last rung's parent is the root."""
    rungs: list[Rung] = []
    node = leaf
    for level, sibling in enumerate(proof):
        left = not index >> level & 1
        total = node_sum(node) + node_sum(sibling)
        parent = sum_node(keccak(node + sibling if left else sibling + node), total)
        rungs.append(Rung(level, left, node, sibling, parent, node_sum(node), node_sum(sibling), total))
        node = parent
    return tuple(rungs)


@dataclass(frozen=True)
class DrawnNode:
    """A node of a drawn tree. role: `path`, `sibling`, `empty` (appended to an odd level) or `other`."""

    x: float
    y: float
    role: str
    label: str
    parent: tuple[float, float] | None


@dataclass(frozen=True)
class DrawnTree:
    width: int
    height: int
    nodes: tuple[DrawnNode, ...]


_ACROSS, _DOWN, _MARGIN = 36, 46, 18


def draw_tree(leaves: int, index: int) -> DrawnTree | None:
    """Where the nodes of a tree stand, and which of them a proof of leaf `index` shows; None for a large tree."""
    if leaves > MOST_DRAWN_LEAVES:
        return None
    counts = [leaves]
    while counts[-1] > 1:
        counts.append(-(-counts[-1] // 2))
    slots = counts[0] + (counts[0] % 2 if leaves > 1 else 0)
    places = [[_MARGIN + position * _ACROSS + 0.0 for position in range(slots)]]
    for count in counts[1:]:
        below = places[-1]
        wide = count + (count % 2 if count > 1 else 0)
        row = [(below[2 * i] + below[2 * i + 1]) / 2 for i in range(count)]
        places.append(row + [row[-1] + 2 * (below[1] - below[0]) for _ in range(wide - count)])
    nodes: list[DrawnNode] = []
    for level in reversed(range(len(counts))):
        y = _MARGIN + (len(counts) - 1 - level) * _DOWN
        for position, x in enumerate(places[level]):
            top = (places[level + 1][position // 2], y - _DOWN) if level + 1 < len(counts) else None
            role = _role(level, position, counts[level], index)
            label = "root" if top is None else str(position) if level == 0 and role != "empty" else ""
            nodes.append(DrawnNode(x, y, role, label, top))
    width = round(max(x for row in places for x in row)) + _MARGIN
    return DrawnTree(width, 2 * _MARGIN + (len(counts) - 1) * _DOWN + 14, tuple(nodes))


def _role(level: int, position: int, count: int, index: int) -> str:
    if position == index >> level:
        return "path"
    if position == index >> level ^ 1 and count > 1:
        return "sibling"
    return "empty" if position >= count else "other"
