"""What is shown for a demanded chunk: opened from the files of the merge. docs/PROTOCOL.md, section 10."""

from __future__ import annotations

import numpy as np

from incentives.payouts import pay_round
from ledger.cid import to_cid
from ledger.commitments import payout_tree, state_tree
from ledger.demands import ChunkKind, Demanded
from ledger.errors import ContentMismatch
from ledger.history import BountyHistory, accepted
from ledger.keccak import Hash32
from ledger.proofs import Opening, joined
from ledger.records import Merged, PrivacyMode
from ledger.trees import SUM_BYTES
from node.bounty_files import BountyFiles
from node.clip_files import Clipping, clip_file_bytes, decode_clip, pack_scales
from node.masked_updates import mapped_masked
from node.masking.judged import committed_masked
from node.masking.table import MOST_TABLE_BYTES
from node.merged_states import parameters_of
from node.openings import committed_update, open_distance, open_payout, open_state, open_update
from node.updates import HEADER


def shown_for(files: BountyFiles, history: BountyHistory, merged: Merged, demanded: Demanded) -> Opening:
    """The answer to a demand about a standing merge of one's own.

    Raises: ContentError where what the merge was made of can't be had any more.
    """
    terms, index = history.posted.terms, demanded.index
    match demanded.kind:
        case ChunkKind.STATE:
            planes_PD = files.state(merged, terms)
            return open_state(planes_PD, state_tree(planes_PD), index)
        case ChunkKind.UPDATE:
            find = _masked_update if terms.privacy == PrivacyMode.MASKED else _update
            return find(files, history, demanded)
        case ChunkKind.MASKS:
            return Opening(_table(files, history, merged), b"")
        case ChunkKind.PAYOUT:
            payouts = pay_round(history, merged.round, merged.claim.rejected)[1][: merged.claim.payout_leaves]
            return open_payout(payouts, payout_tree(payouts), index)
        case ChunkKind.CLIP:
            clipping = _clipping(files, history, merged)
            return Opening(pack_scales(clipping.scales), _roots(clipping))
        case ChunkKind.DISTANCE:
            clipping = _clipping(files, history, merged)
            pair = int.from_bytes(demanded.key, "big")
            sums = [int(one) for one in clipping.distances_PC[pair]]
            opened = open_distance(sums, clipping.trees()[pair], index)
            return Opening(opened.content + _roots(clipping), opened.siblings)


def _update(files: BountyFiles, history: BountyHistory, demanded: Demanded) -> Opening:
    root: Hash32 = demanded.key
    (shown,) = [one for one in history.rounds[demanded.round].reveals if one.update_root == root]
    data = np.memmap(files.update(shown, history.posted.terms), dtype=np.uint8, mode="r")
    update = committed_update(np.frombuffer(data.data, dtype="<i2", offset=HEADER.size), root)
    if update is None:
        raise ContentMismatch(to_cid(shown.cid), f"its root is not 0x{root.hex()}")
    opened = open_update(update, demanded.index)
    content = opened.opening.content + opened.sum.to_bytes(SUM_BYTES, "big")
    return Opening(content, opened.opening.siblings)


def _masked_update(files: BountyFiles, history: BountyHistory, demanded: Demanded) -> Opening:
    terms = history.posted.terms
    (shown,) = [one for one in history.rounds[demanded.round].reveals if one.update_root == demanded.key]
    file = mapped_masked(files.published_update(shown, terms), shown, terms.chunks).file
    update = committed_masked(file.masked_D, file.leaf.encode(), shown.update_root)
    if update is None:
        raise ContentMismatch(to_cid(shown.cid), f"its root is not 0x{demanded.key.hex()}")
    return update.open(demanded.index)


def _table(files: BountyFiles, history: BountyHistory, merged: Merged) -> bytes:
    """The mask table of a merge; none was published where nothing was accepted."""
    if not accepted(merged, history.rounds[merged.round].reveals):
        return b""
    return files.file(merged.claim.clip_cid, MOST_TABLE_BYTES).read_bytes()


def _clipping(files: BountyFiles, history: BountyHistory, merged: Merged) -> Clipping:
    terms = history.posted.terms
    parameters = parameters_of(terms)
    counted = len(accepted(merged, history.rounds[merged.round].reveals))
    pairs = -(-counted // parameters.bucket) * parameters.iterations
    path = files.file(merged.claim.clip_cid, clip_file_bytes(pairs, terms.chunks))
    return decode_clip(path.read_bytes(), pairs, terms.chunks)


def _roots(clipping: Clipping) -> bytes:
    return joined([tree.root for tree in clipping.trees()])
