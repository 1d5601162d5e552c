"""The explorer's verification of updates, and what it does while chain or IPFS are away."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ledger.chain import Block
from ledger.cid import Digest
from ledger.commitments import CHUNK, update_tree
from ledger.content import ContentStore
from ledger.errors import ChainUnreachable
from ledger.mirror import Mirror, Progress, SyncResult
from ledger.records import Revealed, Terms, Timestamp
from ledger.trees import node_sum
from node.bounty_files import BountyFiles
from node.explorer.feed import Feed
from node.explorer.shelf import Missing, Shelf
from node.explorer.steps import Outcome, verdict
from node.explorer.update_check import FetchedFile, LiveReveal, update_steps
from node.updates import encode_update
from tests import builders as make

NOBODY = "http://127.0.0.1:9"
BLOCK = Block(50, make.word("block"), Timestamp(2000))
CHUNKS = 3
UPDATE_D = np.random.default_rng(5).integers(-900, 900, CHUNKS * CHUNK).astype(np.int16)


def revealed() -> Revealed:
    root = update_tree(UPDATE_D).root
    return replace(make.revealed(make.ALICE, 1, 0, 6), update_root=root, squared_norm=node_sum(root))


def terms() -> Terms:
    return make.terms(chunks=CHUNKS)


def fetched(folder: Path, data: bytes) -> FetchedFile:
    path = folder / "update"
    path.write_bytes(data)
    return FetchedFile(path)


@pytest.mark.unit
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_update_steps__when_the_file_is_the_committed_one__then_every_chunk_leads_to_the_root(
    tmp_path: Path, chunk: int
) -> None:
    file = fetched(tmp_path, encode_update(UPDATE_D))
    steps = update_steps(revealed(), terms(), chunk, LiveReveal(revealed(), BLOCK), file)
    assert verdict(steps) == Outcome.OK
    (rungs,) = [step.rungs for step in steps if step.rungs]
    assert rungs[-1].parent == revealed().update_root
    assert rungs[-1].parent_sum == revealed().squared_norm
    assert all((one.node_sum or 0) + (one.sibling_sum or 0) == one.parent_sum for one in rungs)


@pytest.mark.unit
def test_update_steps__when_something_is_not_as_committed__then_the_step_says_so(tmp_path: Path) -> None:
    other = UPDATE_D.copy()
    other[200] += 1
    known, live, bound = revealed(), LiveReveal(revealed(), BLOCK), revealed().squared_norm - 1
    good, bad = encode_update(UPDATE_D), encode_update(other)
    reorganised = LiveReveal(replace(known, cid=Digest(bytes(32))), BLOCK)
    cases = [
        (terms(), live, bad, {"Compare the root with what was revealed", "Hold the norm to the bound"}),
        (terms(), live, good[:-2], {"Read the file"}),
        (terms(), LiveReveal(None, BLOCK), good, {"Read the reveal from the chain"}),
        (terms(), reorganised, good, {"Read the reveal from the chain"}),
        (replace(terms(), squared_norm_bound=bound), live, good, {"Hold the norm to the bound"}),
    ]
    for rules, seen, data, expected in cases:
        steps = update_steps(known, rules, 0, seen, fetched(tmp_path, data))
        assert {step.title for step in steps if step.outcome == Outcome.MISMATCH} == expected
        assert verdict(steps) == Outcome.MISMATCH


@pytest.mark.unit
def test_update_steps__when_nobody_serves_the_file__then_its_cid_is_named() -> None:
    steps = update_steps(revealed(), terms(), 0, LiveReveal(revealed(), BLOCK), FetchedFile(None, "nobody has it"))
    assert (verdict(steps), steps[-1].text) == (Outcome.UNAVAILABLE, "nobody has it")
    assert steps[-1].values[0][0] == "CID"


@pytest.mark.integration
def test_shelf__when_ipfs_is_away__then_pages_go_on_and_learn_why(tmp_path: Path) -> None:
    told: list[int] = []
    shelf = Shelf(BountyFiles(ContentStore(NOBODY), tmp_path, 1.0), lambda: told.append(1))
    shelf.start()
    try:
        first = shelf.manifest(make.BOUNTY, make.terms())
        assert isinstance(first, Missing)
        deadline = time.monotonic() + 20
        while not told and time.monotonic() < deadline:
            time.sleep(0.02)
        later = shelf.manifest(make.BOUNTY, make.terms())
        assert isinstance(later, Missing)
        assert (later.cid, NOBODY in later.why) == (first.cid, True)
    finally:
        shelf.stop()


@pytest.mark.unit
def test_feed__when_the_chain_goes_away_and_comes_back__then_open_pages_hear_of_both(tmp_path: Path) -> None:
    answers: list[SyncResult | ChainUnreachable] = [
        SyncResult(0, 5, logs=3),
        SyncResult(6, 6, logs=0),
        ChainUnreachable("http://chain", "refused"),
        ChainUnreachable("http://chain", "refused"),
        SyncResult(7, 7, logs=0, removed=2),
    ]

    def sync(progress: Progress) -> SyncResult:
        answer = answers.pop(0)
        if isinstance(answer, ChainUnreachable):
            raise answer
        return answer

    mirror = Mirror.open(tmp_path / "mirror", 1, [make.OWNER])
    feed, seen = Feed(mirror, sync, 1.0), []
    start = feed.version
    while answers:
        feed.follow()
        seen.append((feed.version - start, bool(feed.trouble)))
    mirror.close()
    assert seen == [(1, False), (1, False), (2, True), (2, True), (4, False)]
