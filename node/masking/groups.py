"""The groups of a round: public, and drawn by the block that opened it. Pure. docs/PROTOCOL.md, section 16."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.keccak import Hash32
from node.masking.seeds import is_well_formed
from node.merge_arithmetic import bucket_order

LEAST_GROUP = 3
"""In a smaller group the sum would tell each of two members the other's update."""

MOST_GROUP = 15
"""As many peers as a key leaf has room for, and the member itself."""


@dataclass(frozen=True)
class Member:
    """A provider that may take part: its member index and the X25519 public key that it announced."""

    index: int
    key: bytes


@dataclass(frozen=True)
class Group:
    """Members by rising index, and how many of them have to live for its sum to be found."""

    members: tuple[Member, ...]
    threshold: int

    @property
    def indices(self) -> tuple[int, ...]:
        return tuple(member.index for member in self.members)

    def peers_of(self, own: int) -> tuple[Member, ...]:
        """The others, by rising index: the slots of the member's key leaf."""
        return tuple(member for member in self.members if member.index != own)


def draw_groups(members: Sequence[Member], size: int, threshold: int, seed: Hash32) -> tuple[Group, ...]:
    """Cut the members with well-formed keys into groups of about `size`, at random.

    threshold: of a group of `size`; it is scaled to the real one.
    Holds:     each group has 3 to 15 members, their sizes differ by one at most; too few members: no group.
    """
    usable = sorted((one for one in members if is_well_formed(one.key)), key=lambda one: one.index)
    if len(usable) < LEAST_GROUP:
        return ()
    shuffled = [usable[place] for place in bucket_order(len(usable), seed)]
    count = group_count(len(usable), size)
    least, longer = divmod(len(usable), count)
    groups, start = [], 0
    for number in range(count):
        end = start + least + (number < longer)
        chosen = tuple(sorted(shuffled[start:end], key=lambda one: one.index))
        groups.append(Group(chosen, scaled_threshold(threshold, size, len(chosen))))
        start = end
    return tuple(groups)


def group_count(members: int, size: int) -> int:
    """How many groups so many members (3 or more) make."""
    wanted = (2 * members + size) // (2 * size)
    return max(1, min(max(wanted, -(-members // MOST_GROUP)), members // LEAST_GROUP))


def scaled_threshold(threshold: int, size: int, members: int) -> int:
    """The threshold of a group of another size than the nominal one.

    Holds: more than half, so that the two kinds of share can't both be collected; fewer than all, so that one member
           may be away.
    """
    scaled = min(-(-threshold * members // size), members - 1)
    return max(2, members // 2 + 1, scaled)


def group_of(groups: Sequence[Group], index: int) -> tuple[int, Group] | None:
    """The number and the group of a member; None if it is in none."""
    return next(((number, group) for number, group in enumerate(groups) if index in group.indices), None)
