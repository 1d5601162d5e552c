"""From what members released to the seeds of a group, each held against its committed hash. Pure.

docs/PROTOCOL.md, section 16.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from ledger.keccak import keccak
from node.masking.errors import NotUnmaskable
from node.masking.groups import Group
from node.masking.key_leaf import SELF, KeyLeaf
from node.masking.masks import pair_mask
from node.masking.shares import combine_shares
from node.masking.table import TableEntry, TableRow
from node.masking.unmasking import Lists, Released

MOST_TRIES = 576
"""Choices of shares that are tried for one seed: all with up to three wrong ones of 15 are among them."""


@dataclass(frozen=True)
class Recovered:
    """The seeds that unmask a group: (revealed member, slot) -> seed.

    culprits: members whose released shares were wrong, though enough others were right.
    """

    seeds: Mapping[tuple[int, int], bytes]
    culprits: tuple[int, ...] = ()


@dataclass
class _Suspects:
    """Holders whose shares were found to be wrong; they are tried last."""

    known: set[int] = field(default_factory=set)

    def trusted_first(self, holders: Iterable[int]) -> list[int]:
        return sorted(holders, key=lambda holder: (holder in self.known, holder))


def recover(group: Group, lists: Lists, leaves: Mapping[int, KeyLeaf], released: Sequence[Released]) -> Recovered:
    """Find every seed that is needed to unmask a group.

    leaves:   by revealed member.
    released: by different members of the group; what is not wanted is ignored.
    Raises:   NotUnmaskable if a seed can't be had from these shares (yet).
    """
    suspects, seeds = _Suspects(), {}
    by_holder = {one.holder: one.shares for one in released if one.holder in group.indices}
    for dealer, peer in lists.wanted():
        leaf = leaves[dealer]
        slot = SELF if peer is None else leaf.slot_of(peer)
        offered = {holder: shares[dealer, slot] for holder, shares in by_holder.items() if (dealer, slot) in shares}
        seeds[dealer, slot] = _seed(leaf, slot, group.threshold, offered, suspects)
    return Recovered(seeds, tuple(sorted(suspects.known)))


def _seed(leaf: KeyLeaf, slot: int, threshold: int, offered: dict[int, bytes], suspects: _Suspects) -> bytes:
    """One seed, from `threshold` shares that lead to the committed hash."""
    wanted = leaf.seed_hash(slot)
    if len(offered) < threshold:
        whose = "self seed" if slot == SELF else f"seed with member {leaf.peers[slot][0]}"
        detail = f"{len(offered)} of {threshold} shares of member {leaf.own}'s {whose} were released"
        raise NotUnmaskable(detail, tuple(sorted(suspects.known)))
    numbers = {holder: leaf.holders.index(holder) + 1 for holder in offered}
    for chosen in _choices(suspects.trusted_first(offered), threshold):
        seed = combine_shares({numbers[holder]: offered[holder] for holder in chosen})
        if keccak(seed) == wanted:
            left_out = [holder for holder in offered if holder not in chosen]
            base = {numbers[holder]: offered[holder] for holder in chosen[1:]}
            if suspects.known or chosen != tuple(sorted(offered)[:threshold]):
                wrong = [one for one in left_out if combine_shares({**base, numbers[one]: offered[one]}) != seed]
                suspects.known.update(wrong)
            return seed
    detail = f"the shares of member {leaf.own}'s seeds do not lead to what it committed to"
    raise NotUnmaskable(detail, tuple(sorted(suspects.known)))


def _choices(holders: Sequence[int], threshold: int) -> Iterator[tuple[int, ...]]:
    """Choices of shares to try: the first ones without nobody, without one, without two, and so on.

    Holds: where k shares are wrong and k + threshold are there, leaving out these k is among the choices, unless
           `MOST_TRIES` come before; k <= 3 is always reached.
    """
    tried = set()
    for size in range(len(holders) - threshold + 1):
        for left_out in combinations(holders, size):
            chosen = tuple(one for one in holders if one not in left_out)[:threshold]
            if chosen not in tried:
                tried.add(chosen)
                yield chosen
            if len(tried) == MOST_TRIES:
                return


def table_row(number: int, leaf: KeyLeaf, lists: Lists, recovered: Recovered) -> TableRow:
    """The masks of a revealed member's update that don't cancel in its group's sum.

    number: of the group.
    """
    own = TableEntry(SELF, True, recovered.seeds[leaf.own, SELF])
    slots = sorted(leaf.slot_of(peer) for peer in lists.dropped)
    entries = [
        TableEntry(slot, pair_mask(b"", leaf.own, leaf.peers[slot][0]).is_added, recovered.seeds[leaf.own, slot])
        for slot in slots
    ]
    return TableRow(number, (*entries, own))
