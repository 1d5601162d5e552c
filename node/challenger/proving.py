"""From a fault to the transaction that proves it: what must be opened, and the call that takes it."""

from __future__ import annotations

from ledger.commitments import CHUNK, payout_tree, state_tree
from ledger.demands import ChunkKind
from ledger.keccak import Hash32
from ledger.mask_proofs import MaskProofWriter
from ledger.proofs import Clip, OpenedPayout, OpenedUpdate, Opening, ProofWriter, joined
from ledger.records import Wei
from ledger.transactions import Receipt
from ledger.trees import SUM_BYTES
from node.challenger.clip_differences import posted_clip
from node.challenger.evidence import Case, pair_key
from node.challenger.faults import (
    FaultyAccepted,
    FaultyLeaf,
    Proven,
    Undrawn,
    WrongCoordinate,
    WrongDistance,
    WrongPaid,
    WrongPayout,
    WrongRejection,
    WrongScale,
)
from node.challenger.mask_faults import MaskFault, WrongMasks, WrongSeed, WrongTable
from node.challenger.masked import MaskEvidence
from node.openings import open_distance, open_state, open_update


def prove(writer: ProofWriter, masks: MaskProofWriter, case: Case, fault: Proven) -> Receipt:
    """Send the proof of a fault.

    masks: of the contract that judges what was done with masks.
    Raises: Reverted, above all where another party was faster; as `ProofWriter`.
    """
    disputed = case.disputed()
    match fault:
        case WrongCoordinate() if case.masks is not None:
            return _prove_masked_coordinate(masks, case, case.masks, fault)
        case WrongTable() | WrongMasks() | WrongSeed():
            assert case.masks is not None, "these are faults of masked merges"
            return _prove_mask_fault(masks, case, case.masks, fault)
        case WrongCoordinate():
            return _prove_coordinate(writer, case, fault)
        case FaultyLeaf():
            leaf = leaf_of(case, fault.update_root, fault.chunk)
            return writer.prove_leaf(disputed.bounty, fault.round, fault.chunk, leaf)
        case FaultyAccepted():
            return writer.prove_acceptance(disputed, fault.update_root)
        case WrongRejection():
            return _prove_rejection(writer, case, fault)
        case WrongPayout():
            return writer.prove_payout(disputed, payout_of(case, fault), accepted_roots(case))
        case WrongPaid():
            return writer.prove_paid(disputed, accepted_roots(case), case.pay.leafless or case.merged.aggregator)
        case WrongScale():
            return writer.prove_scale(disputed, fault.pair, clip_at_hand(case))
        case WrongDistance():
            return _prove_distance(writer, case, fault)
        case Undrawn():
            return writer.prove_undrawn(disputed)


def _prove_coordinate(writer: ProofWriter, case: Case, fault: WrongCoordinate) -> Receipt:
    chunk, within = divmod(fault.coordinate, CHUNK)
    states = (before_of(case, chunk), after_of(case, chunk))
    scales = clip_at_hand(case).scales
    return writer.prove_coordinate(case.disputed(), (chunk, within), states, updates_of(case, chunk), scales)


def _prove_masked_coordinate(
    writer: MaskProofWriter, case: Case, masks: MaskEvidence, fault: WrongCoordinate
) -> Receipt:
    chunk, within = divmod(fault.coordinate, CHUNK)
    states = (before_of(case, chunk), after_of(case, chunk))
    return writer.prove_coordinate(case.disputed(), (chunk, within), states, masks.openings(chunk), masks.recorded())


def _prove_mask_fault(writer: MaskProofWriter, case: Case, masks: MaskEvidence, fault: MaskFault) -> Receipt:
    disputed, table = case.disputed(), masks.recorded()
    match fault:
        case WrongTable():
            return writer.prove_table(disputed, table)
        case WrongMasks(position=position):
            return writer.prove_masks(disputed, position, accepted_roots(case), masks.keys(position), table)
        case WrongSeed(position=position, mask=mask):
            root, keys = masks.updates[position].root, masks.keys(position)
            return writer.prove_seed(disputed, (position, mask), root, keys, table)


def _prove_rejection(writer: ProofWriter, case: Case, fault: WrongRejection) -> Receipt:
    seen = case.updates[fault.update]
    judged = seen.committed is not None and fault.chunk < case.terms.chunks
    leaf = open_update(seen.committed, fault.chunk) if judged and seen.committed else None
    return writer.prove_rejection(case.disputed(), case.merged.claim.reasons, seen.revealed.update_root, leaf)


def _prove_distance(writer: ProofWriter, case: Case, fault: WrongDistance) -> Receipt:
    updates = updates_of(case, fault.chunk)
    assert case.ours is not None, "what follows was computed"
    bucket = case.ours.bucket
    if fault.pair * bucket < len(updates):  # the first iteration: no other bucket matters
        updates = updates[fault.pair * bucket : (fault.pair + 1) * bucket]
    opened = (distance_of(case, fault.pair, fault.chunk), before_of(case, fault.chunk))
    return writer.prove_distance(case.disputed(), (fault.pair, fault.chunk), clip_at_hand(case), opened, updates)


# --- openings ---


def before_of(case: Case, chunk: int) -> Opening:
    """The chunk in the state that the merge builds on."""
    return open_state(case.before_PD, state_tree(case.before_PD), chunk)


def after_of(case: Case, chunk: int) -> Opening:
    """The chunk in the merged state, from its file or from an answer."""
    planes_PD = case.posted.planes_PD
    if planes_PD is None:
        return case.answers(ChunkKind.STATE)[chunk]
    return open_state(planes_PD, state_tree(planes_PD), chunk)


def updates_of(case: Case, chunk: int) -> list[OpenedUpdate]:
    """The chunk of every accepted update, in the order in which the rule takes them."""
    assert case.ours is not None, "what follows was computed"
    by_index = {seen.revealed.index: seen.committed for seen in case.accepted}
    taken = [by_index[index] for index in case.ours.order]
    return [open_update(update, chunk) for update in taken if update is not None]


def leaf_of(case: Case, root: Hash32, chunk: int) -> OpenedUpdate:
    """A chunk of an update with its committed sum, from its file or from an answer."""
    for seen in case.accepted:
        if seen.revealed.update_root == root and seen.committed is not None:
            return open_update(seen.committed, chunk)
    shown = case.answers(ChunkKind.UPDATE, root)[chunk]
    content, total = shown.content[:-SUM_BYTES], int.from_bytes(shown.content[-SUM_BYTES:], "big")
    return OpenedUpdate(Opening(content, shown.siblings), total)


def payout_of(case: Case, fault: WrongPayout) -> OpenedPayout:
    """The leaf in the posted tree, and the same member's in the tree before."""
    pay, seat = case.pay, fault.seat
    if pay.posted is not None:
        siblings = joined(payout_tree(list(pay.posted)).proof(seat))
    else:
        siblings = case.answers(ChunkKind.PAYOUT)[seat].siblings
    had, way = Wei(0), b""
    if seat < len(pay.before):
        had, way = pay.before[seat][1], joined(payout_tree(list(pay.before)).proof(seat))
    return OpenedPayout(seat, fault.account, fault.claimed, siblings, had, way)


def distance_of(case: Case, pair: int, chunk: int) -> Opening:
    """A leaf of a posted distance tree."""
    clipping = case.posted.clipping
    if clipping is not None:
        sums = [int(one) for one in clipping.distances_PC[pair]]
        return open_distance(sums, clipping.trees()[pair], chunk)
    shown = case.answers(ChunkKind.DISTANCE, pair_key(pair))[chunk]
    return Opening(shown.content[:SUM_BYTES], shown.siblings)


def clip_at_hand(case: Case) -> Clip:
    """The posted scales and roots; empty for a rule that does not clip."""
    if case.ours is None or case.ours.clipping is None:
        return Clip()
    clip = posted_clip(case)
    assert clip is not None, "a fault in what is withheld was never found"
    return clip


def accepted_roots(case: Case) -> list[Hash32]:
    """The accepted updates, by rising reveal index."""
    return [seen.revealed.update_root for seen in case.accepted]
