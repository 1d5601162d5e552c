"""Recomputing one merge from bytes, and naming what differs. Pure but for the files that it is handed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from incentives.payouts import cumulative_payouts, expected_paid, least_leaves
from ledger.cid import to_cid
from ledger.commitments import payout_root, payout_tree
from ledger.history import BountyHistory, RoundHistory
from ledger.keccak import ZERO_HASH
from ledger.merge_records import record_hash, record_of
from ledger.records import Merged
from ledger.unixfs import digest_of
from node.auditor.report import Difference
from node.clip_files import encode_clip
from node.manifest import Manifest
from node.merged_states import MergedState
from node.model import layout, locate
from node.state_files import encode_state
from node.targets import is_as_measured, measured_units, metric_value


def pay_differences(history: BountyHistory, one: RoundHistory) -> list[Difference]:
    """What the merge pays and records against what the rules give for the updates that it counts."""
    merged = one.merged
    assert merged is not None, "only merged rounds are compared"
    found = []
    paid = expected_paid(history, one.number)
    if merged.claim.paid != paid:
        found.append(Difference(one.number, "paid", str(merged.claim.paid), str(paid)))
    leaves = least_leaves(history, one.number)
    if merged.claim.payout_leaves < leaves:
        found.append(Difference(one.number, "payout leaves", str(merged.claim.payout_leaves), f"at least {leaves}"))
    else:
        root = payout_root(payout_tree(cumulative_payouts(history, one.number)))
        if merged.claim.payout_root != root:
            found.append(Difference(one.number, "payouts", "0x" + merged.claim.payout_root.hex(), "0x" + root.hex()))
    record = record_hash(record_of(merged))
    if merged.record_hash != record:
        found.append(Difference(one.number, "record", "0x" + merged.record_hash.hex(), "0x" + record.hex()))
    return found


def clip_differences(merged: Merged, ours: MergedState) -> list[Difference]:
    """Whether a right merge commits to the right scales and distances, and to the CID of their file."""
    claim = merged.claim
    file = digest_of(encode_clip(ours.clipping)) if ours.clipping else ZERO_HASH
    return [
        Difference(merged.round, what, "0x" + claimed.hex(), "0x" + expected.hex())
        for what, claimed, expected in (
            ("scales", claim.scales_hash, ours.clip_hashes[0]),
            ("distances", claim.distances_hash, ours.clip_hashes[1]),
            ("clip file", claim.clip_cid, file),
        )
        if claimed != expected
    ]


def metric_difference(merged: Merged, measured: Mapping[str, float], manifest: Manifest) -> list[Difference]:
    """Whether the claimed metric is the one measured here, which decides if the target ends the bounty.

    Without a target a claim of 0 says that nothing was measured.
    """
    is_silent = manifest.target is None and merged.claim.metric == 0
    if not measured or is_silent or is_as_measured(merged.claim, measured, manifest):
        return []
    metric = manifest.task.metric
    claimed, own = (metric_value(units, metric) for units in (merged.claim.metric, measured_units(measured, manifest)))
    return [Difference(merged.round, metric, f"{claimed:.6f}", f"{own:.6f}")]


def state_file_difference(merged: Merged, ours: MergedState) -> list[Difference]:
    """Whether the CID that a right merge records is that of the right state's file."""
    digest = digest_of(encode_state(ours.planes_PD))
    if digest == merged.claim.state_cid:
        return []
    return [Difference(merged.round, "state file", to_cid(merged.claim.state_cid), to_cid(digest))]


def state_difference(
    merged: Merged, ours: MergedState, published_PD: NDArray[np.int32] | None, manifest: Manifest
) -> Difference:
    """Where a wrong state first differs, if its file can be had; else that its root does.

    The second plane, the previous aggregate, has the coordinates of the first.
    """
    if published_PD is None or np.array_equal(published_PD, ours.planes_PD):
        return Difference(merged.round, "state", "0x" + merged.claim.state_root.hex(), "0x" + ours.root.hex())
    plane, coordinate = (int(one) for one in np.argwhere(published_PD != ours.planes_PD)[0])
    tensor, index = locate(layout(manifest), coordinate)
    where = f"{tensor}[{', '.join(map(str, index))}]" if index else tensor
    claimed, expected = str(published_PD[plane, coordinate]), str(ours.planes_PD[plane, coordinate])
    what = "previous aggregate" if plane else "state"
    return Difference(merged.round, what, claimed, expected, coordinate=coordinate, tensor=where)
