"""Bringing together all that is known of one merge: fetched, checked against its root, recomputed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ledger.demands import ChunkKind, Demand
from ledger.history import BountyHistory
from ledger.keccak import Hash32
from ledger.proofs import Opening
from ledger.records import Merged, PrivacyMode, Revealed, Terms
from ledger.trees import SUM_BYTES
from node.bounty_files import BountyFiles
from node.challenger.clip_differences import clip_of, matches
from node.challenger.evidence import Case, Ours, Posted, SeenUpdate, Shown
from node.challenger.fetching import or_none
from node.challenger.mask_gathering import gather_masks
from node.challenger.masked import mask_fault, merged_masked
from node.challenger.pay import pay_of
from node.challenger.recompute import needs_seed, recompute
from node.clip_files import Clipping, clip_file_bytes, decode_clip
from node.model import Layout
from node.openings import CommittedUpdate, committed_update
from node.round_updates import FETCHES_AT_ONCE
from node.updates import HEADER, update_file_bytes


@dataclass(frozen=True)
class Sources:
    """Where a challenger looks. history: of the merge's bounty; seed: of its round, None where none was drawn."""

    files: BountyFiles
    history: BountyHistory
    layout: Layout
    seed: Hash32 | None


def gather(
    sources: Sources, merged: Merged, before_PD: NDArray[np.int32], shown: Shown, known: Case | None = None
) -> Case:
    """All that can be known of a merge now.

    known:  the case of the same merge before the last answers came: what was fetched, or could not be, is not fetched
            again.

    Shapes: before_PD (planes, chunks * CHUNK) int32, the state that it builds on.
    Raises: ContentUnreachable: an endpoint that is down is nobody's fault.
    """
    history, files = sources.history, sources.files
    terms, one = history.posted.terms, history.rounds[merged.round]

    def see(revealed: Revealed) -> SeenUpdate:
        if terms.privacy == PrivacyMode.MASKED:
            return SeenUpdate(revealed, None)
        found = _fetched(files, terms, revealed) if known is None else known.updates[revealed.index].committed
        answers = shown.get((ChunkKind.UPDATE, revealed.update_root), {})
        return SeenUpdate(revealed, found or assembled(answers, terms.chunks, revealed))

    with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
        updates = tuple(pool.map(see, one.reveals[: merged.reveals]))
    case = Case(
        terms=terms,
        merged=merged,
        previous=history.rounds[merged.previous].merged if merged.previous else None,
        layout=sources.layout,
        updates=updates,
        disqualified=frozenset(one.disqualified),
        before_PD=before_PD,
        ours=None,
        pay=known.pay if known else pay_of(history, merged, or_none(lambda: files.report(merged))),
        shown=shown,
        undrawn=sources.seed is None and needs_seed(terms),
    )
    if terms.privacy == PrivacyMode.MASKED:
        return _completed_masked(case, sources, known)
    return _completed(case, sources)


def _completed(case: Case, sources: Sources) -> Case:
    """The case with what follows from its updates, if they are all there, and with what was posted instead."""
    taken = [(seen.revealed.index, seen.committed.update_D) for seen in case.accepted if seen.committed is not None]
    if case.undrawn or len(taken) < len(case.accepted):
        return case
    ours = recompute(case.terms, case.before_PD, taken, sources.seed)
    return replace(case, ours=ours, posted=_posted(sources.files, case, ours))


def _completed_masked(case: Case, sources: Sources, known: Case | None) -> Case:
    """The case with its masks, and with what follows if these are all there and right."""
    before = known.masks if known is not None else None
    masks = gather_masks(sources.files, sources.history, case, before)
    case = replace(case, masks=masks)
    if mask_fault(case.round, masks, case.terms.chunks, case.shown_updates()) is not None:
        return case
    planes_PD = merged_masked(case.terms, case.before_PD, masks)
    assert planes_PD is not None, "the table was found right"
    ours = Ours(planes_PD, tuple(one.index for one in masks.updates))
    return replace(case, ours=ours, posted=_posted(sources.files, case, ours))


def shown_of(demands: Sequence[Demand]) -> Shown:
    """The answers among demands about one merge, by what they open."""
    found: dict[tuple[ChunkKind, Hash32], dict[int, Opening]] = {}
    for one in demands:
        if one.answer is not None:
            found.setdefault((one.demanded.kind, one.demanded.key), {})[one.demanded.index] = one.answer
    return found


def _fetched(files: BountyFiles, terms: Terms, revealed: Revealed) -> CommittedUpdate | None:
    """The committed bytes, whatever stands in the file's header; None where they can't be had."""
    path = or_none(lambda: files.update(revealed, terms))
    if path is None or path.stat().st_size != update_file_bytes(terms.chunks):
        return None
    data = np.memmap(path, dtype=np.uint8, mode="r")
    return committed_update(np.frombuffer(data.data, dtype="<i2", offset=HEADER.size), revealed.update_root)


def assembled(answers: Mapping[int, Opening], chunks: int, revealed: Revealed) -> CommittedUpdate | None:
    """An update put together from its chunks, all of them shown on demand; None while some are not."""
    if any(chunk not in answers for chunk in range(chunks)):
        return None
    update_D = np.frombuffer(b"".join(answers[chunk].content[:-SUM_BYTES] for chunk in range(chunks)), dtype="<i2")
    return committed_update(update_D, revealed.update_root)


def _posted(files: BountyFiles, case: Case, ours: Ours) -> Posted:
    """What the aggregator published; what follows anyway need not be fetched."""
    claim = case.merged.claim
    if ours.tree().root == claim.state_root:
        planes_PD: NDArray[np.int32] | None = ours.planes_PD
    else:
        planes_PD = or_none(lambda: files.state(case.merged, case.terms))
    if ours.clipping is None:
        return Posted(planes_PD)
    right = clip_of(ours.clipping)
    if matches(right, claim.scales_hash, claim.distances_hash):
        return Posted(planes_PD, right, ours.clipping)
    clipping = or_none(lambda: _clipping(files, case, len(ours.clipping.scales) if ours.clipping else 0))
    clip = clip_of(clipping) if clipping else None
    if clip is None or not matches(clip, claim.scales_hash, claim.distances_hash):
        return Posted(planes_PD)
    return Posted(planes_PD, clip, clipping)


def _clipping(files: BountyFiles, case: Case, pairs: int) -> Clipping:
    path = files.file(case.merged.claim.clip_cid, clip_file_bytes(pairs, case.terms.chunks))
    return decode_clip(path.read_bytes(), pairs, case.terms.chunks)
