"""Liars in masked rounds, and whoever challenges them: wrong sums, wrong masks, and what nobody serves."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.cid import Digest
from ledger.demands import ChunkDemands, ChunkKind
from ledger.history import BountyHistory
from ledger.keccak import keccak
from ledger.kubo import start_ipfs
from ledger.records import MergeClaim, MergeVoided
from node.aggregator.daemon import AggregatorDaemon
from node.aggregator.merge_work import MergeWork
from node.challenger.journal import RIGHT
from node.connections import open_ledgers
from node.mirrors import open_mirror, sync_mirror
from node.posting import publish_package
from node.settings import load_settings
from tests.canary_game import challenge, challenger_of
from tests.integration import liars
from tests.integration.test_masked import Cast
from tests.integration.world import TOKEN, Party, World, step, steps

pytestmark = pytest.mark.integration

REVEALED = 5
ENTRY = 34
SEED_BYTE = 2 + ENTRY - 1
"""The last byte of the first update's first seed."""


def with_table(work: MergeWork, claim: MergeClaim, table: bytes) -> MergeClaim:
    return replace(claim, scales_hash=keccak(table), clip_cid=work.files.publish(table))


def table_of(work: MergeWork, claim: MergeClaim) -> bytes:
    return work.files.file(claim.clip_cid, 10**6).read_bytes()


def another_seed(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    """The first seed of the table is another one; the state is right."""
    table = bytearray(table_of(work, claim))
    table[SEED_BYTE] ^= 1
    return with_table(work, claim, bytes(table))


def a_mask_less(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    """The first update keeps its mask with the member that dropped."""
    table = table_of(work, claim)
    return with_table(work, claim, bytes([table[0], table[1] - 1]) + table[2 + ENTRY :])


def half_a_table(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    return with_table(work, claim, table_of(work, claim)[:-1])


def no_table(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    """Nobody has what the recorded hash stands for."""
    return replace(claim, scales_hash=keccak(b"nothing"), clip_cid=Digest(keccak(b"nowhere")))


def merges(world: World, cast: Cast, aggregator: AggregatorDaemon) -> None:
    """Step an aggregator that may have to bond and to gather first."""
    for _ in range(6):
        if world.history(cast.bounty).merged_rounds:
            return
        step(aggregator)
    raise AssertionError("nothing was merged")


def judged(world: World, cast: Cast, watcher: Party, answerer: AggregatorDaemon | None = None) -> tuple[str, int]:
    """What a challenger says of the merge that stands, and what it took."""
    challenger, journal = challenger_of(world, watcher, cast.bounty)
    challenge(world, challenger, cast.bounty, answerer)
    journal.close()
    return " ".join(challenger.taken.found), challenger.taken.bonds


def test_challenger__when_parties_lie_about_sums_and_masks__then_each_loses_its_bond_until_one_is_honest(
    world: World,
) -> None:
    cast = Cast(world, group=6, threshold=4, lie=liars.one_unit)
    cast.reveal(range(REVEALED))
    for place in range(REVEALED):
        steps(cast.daemons[place], "Release")
    watcher = world.party("watcher")
    merges(world, cast, cast.aggregator)
    found, taken = judged(world, cast, watcher)
    assert "coordinate 6" in found
    bond = 7 * TOKEN
    assert taken == bond

    lies: list[tuple[liars.Lie, str]] = [
        (another_seed, "seed or sign"),
        (a_mask_less, "takes other masks"),
        (half_a_table, "well-formed row"),
        (no_table, "not shown in time"),
    ]
    for number, (lie, sentence) in enumerate(lies):
        liar = world.party(f"liar{number}")
        work = liars.lying(world.merge_work(liar, cast.bounty), lie)
        merges(world, cast, world.aggregator(liar, cast.bounty, work))
        found, taken = judged(world, cast, watcher)
        assert sentence in found
        assert taken == bond
    assert len([one for one in world.history(cast.bounty).events if isinstance(one, MergeVoided)]) == 1 + len(lies)

    honest = world.party("honest")
    merges(world, cast, world.aggregator(honest, cast.bounty))
    assert judged(world, cast, watcher) == ("", 0)
    kinds = mirrored(cast, watcher)
    assert kinds["Announced"] == REVEALED
    assert {"MaskedCoordinateProven", "SeedProven", "MasksProven", "TableProven", "DemandEnded"} <= set(kinds)


def mirrored(cast: Cast, party: Party) -> Counter[str]:
    """What the bounty's transactions were for, as a mirror tells it."""
    settings = load_settings(party.config)
    ledgers = open_ledgers(settings)
    with closing(open_mirror(settings, ledgers)) as mirror:
        sync_mirror(settings, ledgers, mirror)
        kinds: Counter[str] = Counter()
        for use in mirror.gas_by_bounty(cast.bounty):
            kinds[use.kind] += use.transactions
        return kinds


def test_aggregator__when_masked_files_vanish_from_ipfs__then_it_shows_every_leaf_and_the_table(
    world: World, tmp_path: Path
) -> None:
    with start_ipfs(tmp_path / "gone") as gone:
        cast = Cast(world, group=6, threshold=4, ipfs=gone)
        cast.reveal(range(REVEALED))
        for place in range(REVEALED):
            steps(cast.daemons[place], "Release")
        merges(world, cast, cast.aggregator)
        manifest = world.files(cast.merger).manifest(world.terms(cast.bounty))
    stranger = world.party("stranger")
    publish_package(stranger.store, world.stage.package, manifest)
    challenger, journal = challenger_of(world, stranger, cast.bounty)
    challenge(world, challenger, cast.bounty, cast.aggregator)
    verdicts: list[Any] = [one.verdict for one in journal.verdicts().values()]
    journal.close()
    asked = ChunkDemands(world.chain, world.market.judges()[1]).of(cast.bounty)
    leaves = world.terms(cast.bounty).chunks + 1
    assert [one.demanded.kind for one in asked].count(ChunkKind.MASKS) == 1
    assert len(asked) == REVEALED * leaves + 1
    assert all(one.answer is not None for one in asked)
    assert verdicts == [RIGHT]
