"""Auditing a masked merge: its groups, its table of masks and the sums that follow. docs/PROTOCOL.md, section 16."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ledger.cid import to_cid
from ledger.errors import ContentError, ContentUnreachable
from ledger.history import BountyHistory, accepted
from ledger.keccak import ZERO_HASH, Hash32, keccak
from ledger.merge_records import Reason
from ledger.records import Address, Merged
from node.auditor.rejections import given_reasons, rejection_differences
from node.auditor.report import Difference
from node.bounty_files import Artefacts
from node.manifest import Manifest
from node.masked_rounds import MaskedRound, candidates, masked_round, merge_masked, opening_block, sums_of
from node.masked_updates import VerifiedMasked
from node.masking.errors import BadTable
from node.masking.table import MOST_TABLE_BYTES, TableRow, decode_table, table_faults
from node.merged_states import MergedState
from node.round_updates import Checked
from node.verification import Rejection


@dataclass(frozen=True)
class MaskedAgain:
    """A masked merge done again. merged: None where it can't be."""

    merged: MergedState | None
    differences: tuple[Difference, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class MaskedJudge:
    """Judges the merges of one masked bounty.

    place:     chain id and market.
    opened_in: the hash of a block.
    """

    files: Artefacts
    history: BountyHistory
    manifest: Manifest
    place: tuple[int, Address]
    opened_in: Callable[[int], Hash32]

    def groups(self, merged: Merged) -> int:
        """How many groups the merge counts."""
        masked = self._round(merged.round)
        counted = accepted(merged, self.history.rounds[merged.round].reveals)
        places = [masked.place_of(one.provider) for one in counted]
        return len({place[0] for place in places if place is not None})

    def rejections(self, merged: Merged, checked: Sequence[Checked]) -> list[Difference]:
        """What the merge counted although its file or its group is at fault, or left out without a reason.

        Holds: who is called unavailable or unmaskable is not judged, for files and shares may have come since; nor is
               a group of which a file can't be had here.
        """
        masked = self._round(merged.round)
        _, ours = candidates(masked, [one for one in checked if isinstance(one, VerifiedMasked | Rejection)])
        given = given_reasons(merged)
        judged: list[Checked] = []
        for one in checked:
            index = one.revealed.index
            found = ours.get(index, one)
            excused = index in given and given[index].code == Reason.UNMASKABLE
            if not excused and not self._is_obscured(masked, found, checked):
                judged.append(found)
        return [*rejection_differences(merged, judged), *self._parted(merged, masked)]

    def merge(self, merged: Merged, counted: Sequence[VerifiedMasked], before_PD: NDArray[np.int32]) -> MaskedAgain:
        """Take the masks off as the merge's table says, if it is the one that the updates commit to, and merge again.

        Shapes: before_PD (planes, D) int32.
        Raises: ContentUnreachable.
        """
        cid = merged.claim.clip_cid
        found = self._unused(merged, bool(counted))
        try:
            data = self.files.file(cid, MOST_TABLE_BYTES).read_bytes() if counted else b""
        except ContentUnreachable:
            raise
        except ContentError:
            return MaskedAgain(None, tuple(found), (to_cid(cid),))
        if keccak(data) != merged.claim.scales_hash:
            claimed = "0x" + merged.claim.scales_hash.hex()
            wrong = Difference(merged.round, "mask table", claimed, "0x" + keccak(data).hex())
            return MaskedAgain(None, (*found, wrong))
        try:
            rows = decode_table(data, len(counted))
        except BadTable as error:
            wrong = Difference(merged.round, "mask table", error.detail, f"a table of {len(counted)} updates")
            return MaskedAgain(None, (*found, wrong))
        faults = table_faults(rows, [one.file.leaf for one in counted])
        if faults:
            found += [Difference(merged.round, "mask table", "right", fault) for fault in faults]
            return MaskedAgain(None, tuple(found))
        return self._merge(merged, counted, rows, before_PD, found)

    def _merge(
        self,
        merged: Merged,
        counted: Sequence[VerifiedMasked],
        rows: Sequence[TableRow],
        before_PD: NDArray[np.int32],
        found: list[Difference],
    ) -> MaskedAgain:
        terms = self.history.posted.terms
        sums = sums_of(counted, rows)
        faults = [one.fault(terms.squared_norm_bound) for one in sums]
        found += [Difference(merged.round, "group sum", "accepted", fault) for fault in faults if fault]
        return MaskedAgain(merge_masked(terms, before_PD, sums), tuple(found))

    def _unused(self, merged: Merged, counts: bool) -> list[Difference]:
        """What a masked merge commits to without need."""
        claim = merged.claim
        fields: list[tuple[str, Hash32]] = [("distances", claim.distances_hash)]
        fields += [] if counts else [("mask table's file", Hash32(claim.clip_cid))]
        return [
            Difference(merged.round, what, "0x" + value.hex(), "0x" + ZERO_HASH.hex())
            for what, value in fields
            if value != ZERO_HASH
        ]

    def _parted(self, merged: Merged, masked: MaskedRound) -> list[Difference]:
        """Groups that the merge counts in part: a group is accepted or left out as a whole."""
        reveals = self.history.rounds[merged.round].reveals[: merged.reveals]
        found = []
        for group in masked.groups:
            inside = [one for one in reveals if masked.indices.get(one.provider) in group.indices]
            out = [one for one in inside if merged.claim.rejected >> one.index & 1]
            if out and len(out) < len(inside):
                claimed = f"left out of a group of which {len(inside) - len(out)} are counted"
                found.append(Difference(merged.round, "group", claimed, "all or none", update=out[0].index))
        return found

    def _is_obscured(self, masked: MaskedRound, one: Checked, checked: Sequence[Checked]) -> bool:
        """Whether nothing is wrong with an update itself, but a file of its group can't be had here."""
        if isinstance(one, Rejection) and one.reason not in (Reason.UNAVAILABLE, Reason.UNMASKABLE):
            return False
        place = masked.place_of(one.revealed.provider)
        missing = [
            masked.indices.get(other.revealed.provider)
            for other in checked
            if isinstance(other, Rejection) and other.reason == Reason.UNAVAILABLE
        ]
        return place is not None and any(index in place[1].indices for index in missing if index is not None)

    def _round(self, number: int) -> MaskedRound:
        block = opening_block(self.history, number)
        assert block is not None, "a merged round was opened"
        assert self.manifest.masking is not None, "terms and manifest agree on the privacy mode"
        return masked_round(self.history, number, self.place, self.opened_in(block), self.manifest.masking)
