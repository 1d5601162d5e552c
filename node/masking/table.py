"""The mask table of a merge: what else is needed to take the masks away. docs/PROTOCOL.md, section 16."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.keccak import keccak
from node.masking.errors import BadTable
from node.masking.groups import MOST_GROUP
from node.masking.key_leaf import SELF, KeyLeaf
from node.masking.masks import Mask

_ROW = struct.Struct(">BB")
_ENTRY = struct.Struct(">BB32s")

MOST_TABLE_BYTES = 256 * (_ROW.size + MOST_GROUP * _ENTRY.size)


@dataclass(frozen=True)
class TableEntry:
    """A mask that an update has: which, how it was applied, and its seed.

    slot:     `SELF`, or the peer's position in the key leaf.
    is_added: whether the update has the mask added, so that it is to be taken away.
    """

    slot: int
    is_added: bool
    seed: bytes

    @property
    def removal(self) -> Mask:
        """The mask as it has to be applied to be gone."""
        return Mask(self.seed, not self.is_added)


@dataclass(frozen=True)
class TableRow:
    """An accepted update's masks by rising slot: those with peers whose updates are not accepted, its own last."""

    group: int
    entries: tuple[TableEntry, ...]


def encode_table(rows: Sequence[TableRow]) -> bytes:
    """The rows of the accepted updates, by rising reveal index."""
    parts = []
    for row in rows:
        parts.append(_ROW.pack(row.group, len(row.entries)))
        parts += [_ENTRY.pack(entry.slot, 0 if entry.is_added else 1, entry.seed) for entry in row.entries]
    return b"".join(parts)


def decode_table(data: bytes, updates: int) -> tuple[TableRow, ...]:
    """Read the table of so many accepted updates; anyone may have written it.

    Raises: BadTable.
    """
    rows, at = [], 0
    try:
        for _ in range(updates):
            group, count = _ROW.unpack_from(data, at)
            at += _ROW.size
            found = [_ENTRY.unpack_from(data, at + place * _ENTRY.size) for place in range(count)]
            at += count * _ENTRY.size
            if any(sign > 1 for _, sign, _ in found):
                raise BadTable("a sign is neither 0 nor 1")
            rows.append(TableRow(group, tuple(TableEntry(slot, sign == 0, seed) for slot, sign, seed in found)))
    except struct.error:
        raise BadTable(f"it ends in the row of update {len(rows)} of {updates}") from None
    if at != len(data):
        raise BadTable(f"it has {len(data)} bytes, {at} for {updates} updates")
    return tuple(rows)


def table_faults(rows: Sequence[TableRow], leaves: Sequence[KeyLeaf]) -> list[str]:
    """What is wrong with a table, held against the accepted updates' key leaves; empty if nothing is.

    Holds: these are the faults that the contract can be shown, in its order: groups, lists of masks, seeds and signs.
    """
    group_of = {leaf.own: row.group for row, leaf in zip(rows, leaves, strict=True)}
    faults = _group_faults(rows, leaves, group_of)
    for row, leaf in zip(rows, leaves, strict=True):
        wanted = (*(slot for slot, (peer, _) in enumerate(leaf.peers) if peer not in group_of), SELF)
        if tuple(entry.slot for entry in row.entries) != wanted:
            faults.append(f"the masks listed for member {leaf.own} are not its own and those with left out peers")
            continue
        for entry in row.entries:
            name = "its own" if entry.slot == SELF else f"that with member {leaf.peers[entry.slot][0]}"
            if keccak(entry.seed) != leaf.seed_hash(entry.slot):
                faults.append(f"of member {leaf.own}'s seeds {name} is not the committed one")
            if entry.is_added != (entry.slot == SELF or leaf.own < leaf.peers[entry.slot][0]):
                faults.append(f"of member {leaf.own}'s masks {name} has the wrong sign")
    return faults


def _group_faults(rows: Sequence[TableRow], leaves: Sequence[KeyLeaf], group_of: dict[int, int]) -> list[str]:
    faults, known = [], 0
    members: dict[int, set[int]] = {}
    for index, group in group_of.items():
        members.setdefault(group, set()).add(index)
    for row, leaf in zip(rows, leaves, strict=True):
        if row.group > known:
            faults.append(f"group {row.group} of member {leaf.own} is not counted by first appearance")
        known = max(known, row.group + 1)
        if members[row.group] != {leaf.own, *(peer for peer, _ in leaf.peers if peer in group_of)}:
            faults.append(f"group {row.group} is not of member {leaf.own} and its peers")
    return faults
