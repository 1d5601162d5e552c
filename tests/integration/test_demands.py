"""What nobody serves is shown on chain, chunk by chunk, by the party that merged; and the command line that asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.demands import ChunkDemands
from ledger.kubo import IpfsDaemon, start_ipfs
from ledger.records import MergeVoided
from node.challenger.journal import RIGHT
from node.posting import publish_package, read_package
from tests.canary import CHUNKS, UPDATES, Canary, Kind
from tests.canary_game import build_packages, challenge, challenger_of, gather_cast, merge_once, play, with_package
from tests.integration.commands import fedbounty
from tests.integration.world import TOKEN, World

pytestmark = pytest.mark.integration

ROUND: dict[str, Any] = {"rounds": 1, "min_updates": UPDATES, "max_updates": UPDATES}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build_packages(tmp_path_factory.mktemp("demanded"))


def merged_by(world: World, packages: dict[str, Path], kind: Kind, ipfs: IpfsDaemon | None = None) -> Any:
    """A bounty whose one round a canary merged, and its aggregator."""
    cast, merger = gather_cast(world, packages, ipfs), world.party("merger", ipfs)
    bounty = with_package(world, packages["mean"]).post(cast.owner, merger, **ROUND)
    work: Any = Canary(world.merge_work(merger, bounty), kind, 3, merger.home)
    aggregator = world.aggregator(merger, bounty, work)
    merge_once(cast, bounty, aggregator, 3)
    return bounty, aggregator


def test_aggregator__when_its_updates_vanish_from_ipfs__then_it_shows_every_chunk_and_its_merge_stands(
    world: World, packages: dict[str, Path], tmp_path: Path
) -> None:
    with start_ipfs(tmp_path / "gone") as gone:
        bounty, aggregator = merged_by(world, packages, Kind.HONEST, gone)
    stranger = world.party("stranger")
    publish_package(stranger.store, packages["mean"], read_package(packages["mean"]))
    watcher, journal = challenger_of(world, stranger, bounty)
    challenge(world, watcher, bounty, aggregator)
    verdicts = list(journal.verdicts().values())
    journal.close()
    asked = ChunkDemands(world.chain, world.market.judges()[1]).of(bounty)
    assert len(asked) == UPDATES * CHUNKS
    assert all(one.answer is not None for one in asked)
    assert [one.verdict for one in verdicts] == [RIGHT]
    assert world.merged(bounty, 1)


def test_audit__when_told_to_challenge_a_lie__then_it_says_what_is_wrong_and_takes_the_bond(
    world: World, packages: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    bounty, _ = merged_by(world, packages, Kind.UNIT)
    auditor = world.party("auditor")
    done = fedbounty(capsys, auditor, "audit", str(bounty), "--challenge", "--json")
    assert done.code == 1
    report = done.json()
    assert report["bonds_taken"] == str(7 * TOKEN)
    assert report["rewards"] == str(7 * TOKEN // 2)
    assert "follows from the updates" in report["proven"][0]
    assert [one for one in world.history(bounty).events if isinstance(one, MergeVoided)]
    again = fedbounty(capsys, auditor, "audit", str(bounty), "--challenge")
    assert again.code == 0
    assert "nothing that can still be challenged is wrong" in " ".join(again.out.split())


def test_challenger__when_it_is_started_again__then_it_does_not_look_at_a_merge_twice(
    world: World, packages: dict[str, Path]
) -> None:
    cast = gather_cast(world, packages)
    game = play(cast, Kind.HONEST, seed=5)
    watcher, journal = challenger_of(world, cast.challenger, game.bounty)
    actions = [type(one).__name__ for one in watcher.decide(watcher.observe())]
    journal.close()
    assert actions == ["Finish"]
