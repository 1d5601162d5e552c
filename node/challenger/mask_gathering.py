"""Bringing together what is known of a merge's masks: masked files, the table, and what was shown on demand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ledger.demands import ChunkKind
from ledger.history import BountyHistory
from ledger.records import Revealed, Terms
from node.bounty_files import BountyFiles
from node.challenger.evidence import Case
from node.challenger.fetching import or_none
from node.challenger.masked import AcceptedMasked, MaskEvidence, recorded_table
from node.masking.judged import CHUNK_BYTES, KEY_LEAF_BYTES, CommittedMasked, committed_masked, shown_masked
from node.masking.table import MOST_TABLE_BYTES
from node.round_updates import FETCHES_AT_ONCE
from node.updates import HEADER


def gather_masks(
    files: BountyFiles, history: BountyHistory, case: Case, known: MaskEvidence | None = None
) -> MaskEvidence:
    """The masked updates that a merge accepted, and its table.

    known:  what was fetched, or could not be, before the last answers came; it is not fetched again.
    Raises: ContentUnreachable: an endpoint that is down is nobody's fault.
    """
    members = {member.provider: member.index for member in history.members}
    fetched = {one.index: one.committed for one in known.updates} if known is not None else None

    def see(revealed: Revealed) -> AcceptedMasked:
        root = revealed.update_root
        found = _fetched(files, case.terms, revealed) if fetched is None else fetched[revealed.index]
        found = found or shown_masked(case.answers(ChunkKind.UPDATE, root), case.terms.chunks)
        return AcceptedMasked(revealed.index, root, members[revealed.provider], found)

    with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
        updates = tuple(pool.map(see, [seen.revealed for seen in case.accepted]))
    return MaskEvidence(updates, known.table if known and known.table is not None else _table(files, case, known))


def _fetched(files: BountyFiles, terms: Terms, revealed: Revealed) -> CommittedMasked | None:
    """The committed bytes, whatever stands around them in the file; None where they can't be had."""
    path = or_none(lambda: files.published_update(revealed, terms))
    start = HEADER.size + terms.chunks * CHUNK_BYTES
    if path is None or path.stat().st_size < start + KEY_LEAF_BYTES:
        return None
    data = np.memmap(path, dtype=np.uint8, mode="r")
    masked_D = np.frombuffer(data.data, dtype="<u4", count=(start - HEADER.size) // 4, offset=HEADER.size)
    return committed_masked(masked_D, data[start : start + KEY_LEAF_BYTES].tobytes(), revealed.update_root)


def _table(files: BountyFiles, case: Case, known: MaskEvidence | None) -> bytes | None:
    """The recorded table: none is needed for no update; from its file, unless that was tried before; from an answer."""
    claim = case.merged.claim
    answer = case.answers(ChunkKind.MASKS).get(0)
    shown = [b"", None if answer is None else answer.content]
    found = recorded_table(shown, claim.scales_hash)
    if found is not None or known is not None:
        return found
    file = or_none(lambda: files.file(claim.clip_cid, MOST_TABLE_BYTES).read_bytes())
    return recorded_table([file], claim.scales_hash)
