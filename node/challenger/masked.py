"""The first thing that is provably wrong with how a merge took masks away, and what follows where nothing is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ledger.demands import ChunkKind
from ledger.keccak import ZERO_HASH, Hash32, keccak
from ledger.proofs import Opening
from ledger.records import Terms
from node.challenger.faults import Withheld
from node.challenger.mask_faults import MaskFault, WrongMasks, WrongSeed, WrongTable
from node.masking.judged import CommittedMasked, are_right_masks, is_right_seed, key_leaf_of, read_table
from node.masking.sums import GroupSum, merge_sums, unmask_sum
from node.masking.table import TableRow
from node.merged_states import parameters_of


@dataclass(frozen=True)
class AcceptedMasked:
    """An accepted update. index: of its reveal. committed: None where its bytes can't be had."""

    index: int
    root: Hash32
    member: int
    committed: CommittedMasked | None


@dataclass(frozen=True)
class MaskEvidence:
    """What is known of a merge's masks.

    updates: the accepted ones, by rising reveal index.
    table:   what the merge recorded; None where it can't be had.
    """

    updates: tuple[AcceptedMasked, ...]
    table: bytes | None

    def openings(self, chunk: int) -> list[Opening]:
        """The chunk of every accepted update.

        Holds: all of them are there, since a wrong coordinate was found.
        """
        return [one.committed.open(chunk) for one in self.updates if one.committed is not None]

    def recorded(self) -> bytes:
        """The table, where something was found wrong with it or by it."""
        assert self.table is not None, "a fault in what is withheld was never found"
        return self.table

    def keys(self, position: int) -> Opening:
        """The key leaf of the accepted update at this position."""
        committed = self.updates[position].committed
        assert committed is not None, "a fault in what is withheld was never found"
        return committed.open_keys()


def recorded_table(candidates: Sequence[bytes | None], scales_hash: Hash32) -> bytes | None:
    """The one that the merge recorded, if it is among them."""
    return next((one for one in candidates if one is not None and keccak(one) == scales_hash), None)


def mask_fault(
    number: int, masks: MaskEvidence, chunks: int, shown: Mapping[Hash32, Mapping[int, Opening]]
) -> MaskFault | Withheld | None:
    """What can be proven of the masks of round `number`, else what is to be demanded next; None where all is right.

    shown: answers to demands for updates, by root and leaf.
    """
    for one in masks.updates:
        if one.committed is None:
            known = shown.get(one.root, {})
            index = next((leaf for leaf in range(chunks + 1) if leaf not in known), chunks)
            return Withheld(number, ChunkKind.UPDATE, one.root, index)
    if masks.table is None:
        return Withheld(number, ChunkKind.MASKS, ZERO_HASH, 0)
    rows = read_table(masks.table, len(masks.updates))
    if rows is None:
        return WrongTable(number)
    for position in range(len(rows)):
        fault = _row_fault(number, masks, rows, position)
        if fault is not None:
            return fault
    return None


def _row_fault(
    number: int, masks: MaskEvidence, rows: Sequence[TableRow], position: int
) -> WrongMasks | WrongSeed | None:
    one = masks.updates[position]
    assert one.committed is not None, "updates that can't be had were demanded before"
    leaf = key_leaf_of(one.committed.keys, one.member)
    members = [other.member for other in masks.updates]
    if leaf is None or not are_right_masks(rows, members, position, leaf):
        return WrongMasks(number, one.index, position, leaf is None)
    for mask, entry in enumerate(rows[position].entries):
        if not is_right_seed(entry, leaf):
            return WrongSeed(number, one.index, position, mask, entry.slot)
    return None


def merged_masked(terms: Terms, before_PD: NDArray[np.int32], masks: MaskEvidence) -> NDArray[np.int32] | None:
    """The state that follows from the masked updates and the table; None where it does not have its form.

    Shapes: before_PD (planes, D) int32 -> (planes, D) int32.
    """
    rows = read_table(masks.table, len(masks.updates)) if masks.table is not None else None
    if rows is None:
        return None
    sums = []
    for group in range(max((row.group + 1 for row in rows), default=0)):
        inside = [(one, row) for one, row in zip(masks.updates, rows, strict=True) if row.group == group]
        values = [one.committed.masked_D for one, _ in inside if one.committed is not None]
        removals = [entry.removal for _, row in inside for entry in row.entries]
        sums.append(GroupSum(unmask_sum(values, removals), len(inside)))
    return merge_sums(parameters_of(terms), before_PD, sums)
