"""Recomputing one merge from bytes, and naming what differs. Pure but for the files that it is handed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from incentives.payouts import cumulative_payouts, expected_paid
from ledger.cid import to_cid
from ledger.commitments import payout_tree, state_tree
from ledger.history import BountyHistory, RoundHistory, reason_label
from ledger.keccak import Hash32
from ledger.market import record_hash
from ledger.records import Merged, Reason
from ledger.unixfs import digest_of
from node.auditor.report import Difference
from node.manifest import Manifest
from node.merging import merge_mean
from node.model import layout, locate
from node.state_files import encode_state
from node.verification import Rejection, VerifiedUpdate


@dataclass(frozen=True)
class Recomputed:
    """What follows from the bytes.

    Shapes: state_D (chunks * CHUNK,) int32.
    """

    state_D: NDArray[np.int32]  # noqa: N815 - shape suffix
    root: Hash32


def recompute(before_D: NDArray[np.int32], counted: Sequence[VerifiedUpdate], manifest: Manifest) -> Recomputed:
    """Merge the counted updates into the state before."""
    state_D = merge_mean(before_D, [one.update for one in counted], manifest.merge.rate_units)
    return Recomputed(state_D, state_tree(state_D[None]).root)


def rejection_differences(merged: Merged, checked: Sequence[VerifiedUpdate | Rejection]) -> list[Difference]:
    """Updates that were left out without cause, or counted in spite of one.

    A rejection as `unavailable` can't be judged later: the file may have come since.
    """
    found = []
    reasons = dict(zip((i for i in range(merged.reveals) if merged.rejected >> i & 1), merged.reasons, strict=False))
    for one in checked:
        index = one.revealed.index
        claimed = reason_label(reasons[index]) if index in reasons else "accepted"
        expected = one.reason.label if isinstance(one, Rejection) else "accepted"
        if claimed != expected and claimed != Reason.UNAVAILABLE.label:
            found.append(Difference(merged.round, "rejection", claimed, expected, update=index))
    return found


def pay_differences(history: BountyHistory, one: RoundHistory) -> list[Difference]:
    """What the merge pays and records against what the rules give for the updates that it counts."""
    merged = one.merged
    assert merged is not None, "only merged rounds are compared"
    found = []
    paid = expected_paid(history, one.number)
    if merged.paid != paid:
        found.append(Difference(one.number, "paid", str(merged.paid), str(paid)))
    root = payout_tree(cumulative_payouts(history, one.number)).root
    if merged.payout_root != root:
        found.append(Difference(one.number, "payouts", "0x" + merged.payout_root.hex(), "0x" + root.hex()))
    before = history.latest_merge(before_round=one.number)
    record = record_hash(merged, before.round if before else 0)
    if merged.record_hash != record:
        found.append(Difference(one.number, "record", "0x" + merged.record_hash.hex(), "0x" + record.hex()))
    return found


def state_file_difference(merged: Merged, ours: Recomputed) -> list[Difference]:
    """Whether the CID that a right merge records is that of the right state's file."""
    digest = digest_of(encode_state(ours.state_D[None]))
    if digest == merged.state_cid:
        return []
    return [Difference(merged.round, "state file", to_cid(merged.state_cid), to_cid(digest))]


def state_difference(
    merged: Merged, ours: Recomputed, published_D: NDArray[np.int32] | None, manifest: Manifest
) -> Difference:
    """Where a wrong state first differs, if its file can be had; else that its root does."""
    if published_D is None or np.array_equal(published_D, ours.state_D):
        return Difference(merged.round, "state", "0x" + merged.state_root.hex(), "0x" + ours.root.hex())
    coordinate = int(np.flatnonzero(published_D != ours.state_D)[0])
    tensor, index = locate(layout(manifest), coordinate)
    where = f"{tensor}[{', '.join(map(str, index))}]" if index else tensor
    claimed, expected = str(published_D[coordinate]), str(ours.state_D[coordinate])
    return Difference(merged.round, "state", claimed, expected, coordinate=coordinate, tensor=where)
