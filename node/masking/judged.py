"""What the contract can be shown of masks, judged as it judges them: the twin of `MaskLib`. Pure.

docs/PROTOCOL.md, section 16. Both are held to `tests/fixtures/masks.json` and to a fuzzed comparison.

Shape suffix: D coordinates, padding included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ledger.keccak import Hash32, keccak
from ledger.proofs import Opening, joined
from ledger.trees import SumTree, Tag, leaf_hash, leaf_hashes
from node.errors import MalformedUpdate
from node.masking.errors import BadTable
from node.masking.files import CHUNK_BYTES
from node.masking.groups import MOST_GROUP
from node.masking.key_leaf import KEY_LEAF_BYTES, SELF, KeyLeaf, decode_key_leaf
from node.masking.masks import mask_word
from node.masking.table import TableEntry, TableRow, decode_table

__all__ = ["CHUNK_BYTES", "KEY_LEAF_BYTES", "CommittedMasked", "committed_masked", "key_leaf_of", "read_table"]


@dataclass(frozen=True)
class CommittedMasked:
    """A masked update's bytes, any of whose leaves can be opened.

    keys:  the key leaf's bytes, well-formed or not.
    tree:  what the provider committed to; None where all is known from `shown`.
    shown: openings of all leaves, by index.

    Shapes: masked_D (chunks * CHUNK,) uint32.
    """

    masked_D: NDArray[np.uint32]  # noqa: N815 - shape suffix
    keys: bytes
    tree: SumTree | None
    shown: Mapping[int, Opening] = field(default_factory=dict)

    def open(self, index: int) -> Opening:
        """A chunk, or behind the last one the key leaf."""
        if self.tree is None:
            return self.shown[index]
        start = index * CHUNK_BYTES // 4
        part_K = self.masked_D[start : start + CHUNK_BYTES // 4]
        content = np.ascontiguousarray(part_K, dtype="<u4").tobytes() or self.keys
        return Opening(content, joined(self.tree.proof(index)))

    def open_keys(self) -> Opening:
        return self.open(len(self.masked_D) * 4 // CHUNK_BYTES)


def committed_masked(masked_D: NDArray[np.uint32], keys: bytes, root: Hash32) -> CommittedMasked | None:
    """Bytes under the root that was revealed; None if these are other bytes.

    Shapes: masked_D (chunks * CHUNK,) uint32.
    """
    hashes = leaf_hashes(Tag.MASKED, np.ascontiguousarray(masked_D, dtype="<u4").data, CHUNK_BYTES)
    hashes.append(leaf_hash(Tag.MASK_KEYS, len(hashes), keys))
    tree = SumTree(hashes, [0] * len(hashes))
    return CommittedMasked(masked_D, keys, tree) if tree.root == root else None


def shown_masked(shown: Mapping[int, Opening], chunks: int) -> CommittedMasked | None:
    """An update put together from its leaves, all of them shown on demand; None while some are not."""
    if any(index not in shown for index in range(chunks + 1)):
        return None
    content = b"".join(shown[chunk].content for chunk in range(chunks))
    return CommittedMasked(np.frombuffer(content, dtype="<u4"), shown[chunks].content, None, shown)


# --- the table ---


def read_table(table: bytes, updates: int) -> tuple[TableRow, ...] | None:
    """The rows of the accepted updates; None if the table does not have its form."""
    try:
        rows = decode_table(table, updates)
    except BadTable:
        return None
    known = 0
    for row in rows:
        if row.group > known or not _are_masks(row.entries):
            return None
        known = max(known, row.group + 1)
    return rows


def _are_masks(entries: Sequence[TableEntry]) -> bool:
    """Whether slots rise and exist, and one's own mask, if it is there, was added."""
    slots = [entry.slot for entry in entries]
    exist = all(slot < MOST_GROUP - 1 or slot == SELF for slot in slots)
    signed = all(entry.is_added for entry in entries if entry.slot == SELF)
    return bool(slots) and exist and signed and slots == sorted(set(slots))


def key_leaf_of(keys: bytes, member: int) -> KeyLeaf | None:
    """A member's key leaf; None if it is not well-formed, or another's."""
    try:
        leaf = decode_key_leaf(keys)
    except MalformedUpdate:
        return None
    return leaf if leaf.own == member else None


def are_right_masks(rows: Sequence[TableRow], members: Sequence[int], position: int, leaf: KeyLeaf) -> bool:
    """Whether an update loses exactly its own mask and those of peers who are not accepted, and has its accepted peers,
    and nobody else, in its group.

    members: the accepted updates' member indices.
    """
    own = rows[position]
    peers = [index for index, _ in leaf.peers]
    others = [(member, row) for place, (member, row) in enumerate(zip(members, rows, strict=True)) if place != position]
    if any((member in peers) != (row.group == own.group) for member, row in others):
        return False
    there = {member for member, _ in others}
    expected = [slot for slot, peer in enumerate(peers) if peer not in there]
    return [entry.slot for entry in own.entries] == [*expected, SELF]


def is_right_seed(entry: TableEntry, leaf: KeyLeaf) -> bool:
    """Whether a mask has the committed seed and the sign that follows from both members.

    Raises: IndexError for a slot without a peer, which `are_right_masks` refuses.
    """
    is_added = entry.slot == SELF or leaf.own < leaf.peers[entry.slot][0]
    return keccak(entry.seed) == leaf.seed_hash(entry.slot) and entry.is_added == is_added


def group_sums(rows: Sequence[TableRow], coordinate: int, values: Sequence[int]) -> list[tuple[int, int]]:
    """What one coordinate's masked values leave of each group without the table's masks, and of how many updates.

    Holds: -2**31 <= sum < 2**31; it is not clamped yet.
    """
    sums = [[0, 0] for _ in range(max((row.group + 1 for row in rows), default=0))]
    for row, value in zip(rows, values, strict=True):
        for entry in row.entries:
            mask = mask_word(entry.seed, coordinate)
            value += -mask if entry.is_added else mask
        sums[row.group][0] += value
        sums[row.group][1] += 1
    return [((total + 2**31) % 2**32 - 2**31, count) for total, count in sums]
