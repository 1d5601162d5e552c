"""The first thing that is provably wrong with a merge. Pure: all that is known in, one fault out."""

from __future__ import annotations

from itertools import zip_longest

import numpy as np
from eth_utils.address import to_checksum_address

from ledger.commitments import CHUNK, chunk_squares, payout_root, payout_tree
from ledger.demands import ChunkKind
from ledger.keccak import ZERO_HASH
from ledger.merge_parameters import PROVABLE
from ledger.merge_records import RECORD_HASH_BYTES, Reason
from ledger.proofs import Opening
from ledger.records import Address, Wei
from ledger.trees import SUM_BYTES
from node.challenger.bisection import Answer, next_demand
from node.challenger.clip_differences import clip_fault
from node.challenger.evidence import Case, Ours, SeenUpdate
from node.challenger.faults import (
    Fault,
    FaultyAccepted,
    FaultyLeaf,
    OnlyReexecuted,
    Undrawn,
    Withheld,
    WrongCoordinate,
    WrongPaid,
    WrongPayout,
    WrongRejection,
)
from node.challenger.mask_faults import MaskFault
from node.challenger.masked import mask_fault
from node.model import locate
from node.openings import OFF_GRID, read_state_chunk

ADDRESS_BYTES = 20


def first_fault(case: Case) -> Fault | None:
    """What can be proven at once, else what is to be demanded next; None where all is right.

    What costs least to prove comes first, and last what no proof reaches. An update rejected over its file alone
    (`unavailable` and the like) can be judged by nobody afterwards, and is no fault here.
    """
    found = [
        fault
        for find in (_undrawn, _acceptance, _leaf, _rejection, _paid, _payout, _withheld_update, _masks, _state)
        if (fault := find(case)) is not None
    ]
    return min(found, key=_hardness, default=None)


def _hardness(fault: Fault) -> int:
    return 2 if isinstance(fault, OnlyReexecuted) else 1 if isinstance(fault, Withheld) else 0


# --- which updates count ---


def _undrawn(case: Case) -> Undrawn | None:
    return Undrawn(case.round) if case.undrawn else None


def _acceptance(case: Case) -> FaultyAccepted | None:
    for seen in case.accepted:
        if seen.revealed.index in case.disqualified:
            return FaultyAccepted(case.round, seen.revealed.index, seen.revealed.update_root)
    return None


def _leaf(case: Case) -> FaultyLeaf | None:
    """Under a mask nobody can say what a chunk holds."""
    for seen in case.accepted if case.masks is None else ():
        fault = _file_fault(case.round, seen) or _answer_fault(case, seen)
        if fault is not None:
            return fault
    return None


def _file_fault(number: int, seen: SeenUpdate) -> FaultyLeaf | None:
    update, shown = seen.committed, seen.revealed
    if update is None or update.faulty is None:
        return None
    (follows,) = chunk_squares(update.update_D[update.faulty * CHUNK : (update.faulty + 1) * CHUNK])
    claimed = update.sums[update.faulty]
    return FaultyLeaf(number, shown.index, shown.update_root, update.faulty, claimed, follows)


def _answer_fault(case: Case, seen: SeenUpdate) -> FaultyLeaf | None:
    """A chunk that was shown on demand may be wrong where no file can be had."""
    shown = seen.revealed
    for chunk, opening in case.answers(ChunkKind.UPDATE, shown.update_root).items():
        values_K = np.frombuffer(opening.content[:-SUM_BYTES], dtype="<i2")
        claimed = int.from_bytes(opening.content[-SUM_BYTES:], "big")
        (follows,) = chunk_squares(values_K)
        if claimed != follows or (values_K == OFF_GRID).any():
            return FaultyLeaf(case.round, shown.index, shown.update_root, chunk, claimed, follows)
    return None


def _rejection(case: Case) -> WrongRejection | None:
    for seen, reason in case.rejected:
        index = seen.revealed.index
        fault = WrongRejection(case.round, index, reason.code, reason.label, reason.chunk)
        if reason.code == 0 or reason.code > Reason.UNMASKABLE:
            return fault
        if not reason.is_judged:
            continue
        if case.masks is not None or reason.chunk >= case.terms.chunks:
            return fault  # a masked chunk can't have these faults
        if index not in case.disqualified and _is_unfounded(seen, reason.code, reason.chunk):
            return fault
    return None


def _is_unfounded(seen: SeenUpdate, code: int, chunk: int) -> bool:
    """Whether the chunk shows no fault of the kind; unknown counts as founded."""
    if seen.committed is None:
        return False
    part_K = seen.committed.update_D[chunk * CHUNK : (chunk + 1) * CHUNK]
    if code == Reason.OUT_OF_RANGE:
        return not bool((part_K == OFF_GRID).any())
    return chunk_squares(part_K) == [seen.committed.sums[chunk]]


def _withheld_update(case: Case) -> Withheld | None:
    for seen in case.accepted if case.masks is None else ():
        if seen.committed is None:
            root = seen.revealed.update_root
            answers = case.answers(ChunkKind.UPDATE, root)
            index = next((chunk for chunk in range(case.terms.chunks) if chunk not in answers), None)
            if index is not None:
                return Withheld(case.round, ChunkKind.UPDATE, root, index)
    return None


# --- masks ---


def _masks(case: Case) -> MaskFault | Withheld | None:
    if case.masks is None:
        return None
    return mask_fault(case.round, case.masks, case.terms.chunks, case.shown_updates())


# --- pay ---


def _paid(case: Case) -> WrongPaid | None:
    follows, claimed = Wei(sum(case.pay.earned.values()) + case.pay.released), case.merged.claim.paid
    leaves = case.merged.claim.payout_leaves
    uncovered = next((seat for seat, amount in sorted(case.pay.earned.items()) if amount and seat >= leaves), None)
    if claimed != follows:
        return WrongPaid(case.round, claimed, follows)
    if uncovered is None and case.previous is not None and case.previous.claim.payout_leaves > leaves:
        uncovered = leaves  # its member had a leaf before, and would start at 0 again
    return None if uncovered is None else WrongPaid(case.round, claimed, follows, uncovered)


def _payout(case: Case) -> WrongPayout | Withheld | None:
    pay = case.pay
    if not pay.follows:
        return None
    own = payout_tree(list(pay.follows))
    if payout_root(own)[:RECORD_HASH_BYTES] == case.merged.claim.payout_root[:RECORD_HASH_BYTES]:
        return None
    if pay.posted is not None:
        for seat, ((account, claimed), (member, follows)) in enumerate(zip(pay.posted, pay.follows, strict=True)):
            if (account, claimed) != (member, follows):
                return WrongPayout(case.round, seat, account, claimed, follows)
    shown = {seat: read_payout(one) for seat, one in case.answers(ChunkKind.PAYOUT).items()}
    answers = {
        seat: Answer(one.nodes, shown[seat] == pay.follows[seat])
        for seat, one in case.answers(ChunkKind.PAYOUT).items()
    }
    found = next_demand(own, len(pay.follows), answers)
    if isinstance(found, int):
        return Withheld(case.round, ChunkKind.PAYOUT, ZERO_HASH, found)
    if found is None:
        return None
    return WrongPayout(case.round, found.index, *shown[found.index], pay.follows[found.index][1], found.stray)


def read_payout(opening: Opening) -> tuple[Address, Wei]:
    """The account and the amount in a leaf that was shown."""
    account, amount = opening.content[:ADDRESS_BYTES], opening.content[ADDRESS_BYTES:]
    return Address(to_checksum_address(account)), Wei(int.from_bytes(amount, "big"))


# --- the state ---


def _state(case: Case) -> Fault | None:
    if case.ours is None:
        return None
    clipped = clip_fault(case, case.ours)
    if clipped is not None:
        return clipped
    if case.ours.tree().root == case.merged.claim.state_root:
        return None
    if case.posted.planes_PD is not None:
        wrong = np.flatnonzero((case.posted.planes_PD != case.ours.planes_PD).any(axis=0))
        return _wrong_state(case, int(wrong[0]), case.posted.planes_PD[:, wrong[0]].tolist())
    return _shown_state(case, case.ours)


def _shown_state(case: Case, ours: Ours) -> WrongCoordinate | OnlyReexecuted | Withheld | None:
    """What the chunks that were shown on demand say. A tree of another form over right chunks is no fault."""
    shown = {chunk: read_state_chunk(one.content) for chunk, one in case.answers(ChunkKind.STATE).items()}
    wrong = {
        chunk: np.flatnonzero((shown_PK != ours.planes_PD[:, chunk * CHUNK : (chunk + 1) * CHUNK]).any(axis=0))
        for chunk, shown_PK in shown.items()
    }
    answers = {chunk: Answer(one.nodes, not len(wrong[chunk])) for chunk, one in case.answers(ChunkKind.STATE).items()}
    found = next_demand(ours.tree(), case.terms.chunks, answers)
    if isinstance(found, int):
        return Withheld(case.round, ChunkKind.STATE, ZERO_HASH, found)
    if found is None or found.stray:
        return None
    within = int(wrong[found.index][0])
    return _wrong_state(case, found.index * CHUNK + within, shown[found.index][:, within].tolist())


def _wrong_state(case: Case, coordinate: int, claimed: list[int]) -> WrongCoordinate | OnlyReexecuted:
    fault, rule = wrong_coordinate(case, coordinate, claimed), case.terms.merge_rule
    return fault if rule in PROVABLE else OnlyReexecuted(fault, rule)


def wrong_coordinate(case: Case, coordinate: int, claimed: list[int]) -> WrongCoordinate:
    """Name a coordinate whose values in the posted state are `claimed`, a plane each."""
    assert case.ours is not None, "what follows was computed"
    follows = case.ours.planes_PD[:, coordinate].tolist()
    tensor, index = locate(case.layout, coordinate)
    where = f"{tensor}[{', '.join(map(str, index))}]" if index else tensor
    pairs = zip_longest(claimed, follows, fillvalue=0)
    (now, right), (before, right_before) = [*pairs, (0, 0)][:2]
    return WrongCoordinate(case.round, coordinate, where, now, right, before, right_before)
