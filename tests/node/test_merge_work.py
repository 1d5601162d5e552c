"""One round's merge on real files: what is posted, and what a report says."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from incentives.payouts import cumulative_payouts
from ledger.commitments import payout_root, payout_tree, state_tree, update_tree
from ledger.content import ContentStore
from ledger.history import BountyHistory, build_history
from ledger.keccak import ZERO_HASH, Hash32
from ledger.kubo import IpfsDaemon
from ledger.merge_records import Reason
from ledger.records import Revealed
from ledger.unixfs import digest_of
from node import manifest as manifests
from node.aggregator.merge_work import MergeWork
from node.bounty_files import BountyFiles
from node.merging import merge_mean
from node.updates import encode_update
from tests import builders as make
from tests.node import samples

pytestmark = pytest.mark.integration

MANIFEST = samples.manifest()
CHUNKS = manifests.chunks(MANIFEST)
TERMS = make.terms(chunks=CHUNKS)


@pytest.fixture
def files(ipfs: IpfsDaemon, tmp_path: Path) -> BountyFiles:
    return BountyFiles(ContentStore(ipfs.api), tmp_path / "cache", fetch_seconds=1.0)


def update(index: int) -> NDArray[np.int16]:
    update_D = np.zeros(CHUNKS * 128, dtype=np.int16)
    update_D[: manifests.coordinates(MANIFEST)] = np.random.default_rng(index).integers(
        -999, 999, manifests.coordinates(MANIFEST)
    )
    return update_D


def revealed(files: BountyFiles, index: int) -> Revealed:
    tree = update_tree(update(index))
    plain = make.revealed((make.ALICE, make.BOB)[index], 1, index, 5)
    cid = files.store.add(encode_update(update(index)))
    return replace(plain, cid=cid, update_root=tree.root, squared_norm=tree.total)


def history(reveals: list[Revealed]) -> BountyHistory:
    members = [make.joined(make.ALICE, 0), make.joined(make.BOB, 1)]
    commits = [make.committed(who, 1, 4) for who in (make.ALICE, make.BOB)]
    return build_history([replace(make.posted(), terms=TERMS), *members, make.opened(1, 3), *commits, *reveals])


def report_of(files: BountyFiles, cid: Hash32) -> dict[str, object]:
    found: dict[str, object] = json.loads(files.report(make.merged(1, 9, report_cid=cid)))
    return found


def test_merge__when_all_is_right__then_the_claim_follows_from_the_bytes(files: BountyFiles) -> None:
    story = history([revealed(files, 0), revealed(files, 1)])
    made = MergeWork(files, TERMS, MANIFEST, None).merge(story, 1)
    zero_D = np.zeros(CHUNKS * 128, dtype=np.int32)
    expected_D = merge_mean(zero_D, [update(0), update(1)], MANIFEST.merge.rate_units)
    assert made.claim.state_root == state_tree(expected_D[None]).root
    merged = make.merged(1, 9, state_root=made.claim.state_root, state_cid=made.claim.state_cid, reveals=2)
    assert np.array_equal(files.state(merged, TERMS), expected_D[None])
    assert (made.claim.paid, made.claim.rejected, made.claim.reasons) == (300, 0, b"")
    story.rounds[1].merged = replace(merged, claim=made.claim)
    assert made.claim.payout_root == payout_root(payout_tree(cumulative_payouts(story, 1)))
    assert made.claim.payout_leaves == 2
    assert (made.claim.scales_hash, made.claim.distances_hash, made.claim.clip_cid) == (ZERO_HASH,) * 3
    assert {made.claim.state_cid, made.claim.report_cid} <= files.store.pinned()
    assert report_of(files, Hash32(made.claim.report_cid)) == {
        "format": 1,
        "bounty": make.BOUNTY,
        "round": 1,
        "metrics": {},
        "payouts": ["150", "150"],
        "rejections": [],
    }


def test_merge__when_an_update_is_gone__then_it_is_rejected_and_the_report_says_why(files: BountyFiles) -> None:
    gone = replace(revealed(files, 0), cid=digest_of(os.urandom(9)))
    made = MergeWork(files, TERMS, MANIFEST, None).merge(history([gone, revealed(files, 1)]), 1)
    assert (made.claim.rejected, made.claim.reasons) == (0b01, make.reasons(Reason.UNAVAILABLE))
    assert made.claim.paid == 300
    (rejection,) = report_of(files, Hash32(made.claim.report_cid))["rejections"]  # type: ignore[misc]
    assert (rejection["index"], rejection["provider"], rejection["reason"]) == (0, make.ALICE, "unavailable")


def test_merge__when_the_manifest_screens_and_one_copies__then_the_later_commit_is_unpaid(files: BountyFiles) -> None:
    """Bob reveals three times Alice's update; Alice committed first."""
    first = revealed(files, 0)
    tripled = (3 * update(0)).astype("<i2")
    tree = update_tree(tripled)
    cid = files.store.add(encode_update(tripled))
    copy = replace(revealed(files, 1), cid=cid, update_root=tree.root, squared_norm=tree.total)
    screening = samples.manifest(screening={"copy_cosine": 0.99})
    made = MergeWork(files, TERMS, screening, None).merge(history([first, copy]), 1)
    assert (made.claim.rejected, made.claim.reasons) == (0b10, make.reasons((Reason.COPIED, 0)))
    assert made.claim.paid == 300
    (rejection,) = report_of(files, Hash32(made.claim.report_cid))["rejections"]  # type: ignore[misc]
    assert rejection["detail"] == "it is a copy of update 0, which was committed before it"
    assert MergeWork(files, TERMS, MANIFEST, None).merge(history([first, copy]), 1).claim.rejected == 0


def test_merge__when_repeated__then_the_same_claim(files: BountyFiles) -> None:
    work, story = MergeWork(files, TERMS, MANIFEST, None), history([revealed(files, 0), revealed(files, 1)])
    assert work.merge(story, 1).claim == work.merge(story, 1).claim


def test_prefetch__when_nothing_can_be_had__then_it_waits_once_and_not_for_each(files: BountyFiles) -> None:
    gone = [replace(revealed(files, 0), index=index, cid=digest_of(os.urandom(9))) for index in range(6)]
    started = time.monotonic()
    MergeWork(files, TERMS, MANIFEST, None).prefetch(gone)
    assert time.monotonic() - started < 4.0


def test_prefetch__when_some_are_gone__then_the_others_are_at_hand(files: BountyFiles) -> None:
    here, gone = revealed(files, 0), replace(revealed(files, 1), cid=digest_of(os.urandom(9)))
    MergeWork(files, TERMS, MANIFEST, None).prefetch([gone, here])
    files.store = ContentStore("http://127.0.0.1:1")
    assert files.update(here, TERMS).read_bytes() == encode_update(update(0))
