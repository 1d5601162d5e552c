"""A provider that lost its process or its IPFS repository between two steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ledger.content import ContentStore
from ledger.kubo import start_ipfs
from ledger.records import Phase
from node.auditor.report import Verdict
from node.connections import connect_peer
from tests.integration.world import World, step, steps

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("survived", [0, 1, 2, 3], ids=["joined", "trained", "committed", "revealed"])
def test_provider__when_its_daemon_is_dropped_after_a_step__then_a_new_one_goes_on(world: World, survived: int) -> None:
    merger, party = world.party("merger"), world.party("p0")
    bounty = world.post(world.party("owner"), merger, min_updates=1, max_updates=1, rounds=1)
    first, aggregator = world.provider(party, bounty), world.aggregator(merger, bounty)
    steps(aggregator, "DepositBond")
    done = ("Join", "Train", "Commit", "Reveal")
    steps(first, *done[: survived + 1])
    made = first.observe().made
    second = world.provider(party, bounty)
    assert second.observe().made == made
    steps(second, *done[survived + 1 :])
    assert step(second) == []
    steps(aggregator, "Merge")
    assert made is None or world.history(bounty).rounds[1].reveals[0].update_root == made.root


def test_provider__when_its_ipfs_repository_is_lost__then_it_adds_its_file_again(world: World, tmp_path: Path) -> None:
    merger = world.party("merger")
    bounty = world.post(world.party("owner"), merger, min_updates=1, max_updates=1, rounds=1)
    aggregator = world.aggregator(merger, bounty)
    with start_ipfs(tmp_path / "before") as node:
        party = world.party("p0", ipfs=node)
        connect_peer(party.store, world.stage.ipfs.peer)
        provider = world.provider(party, bounty)
        steps(aggregator, "DepositBond")
        steps(provider, "Join", "Train", "Commit")
    with start_ipfs(tmp_path / "after") as node:
        moved = replace(party, store=ContentStore(node.api))
        connect_peer(moved.store, world.stage.ipfs.peer)
        assert world.phase(bounty)[0] == Phase.REVEAL
        steps(world.provider(moved, bounty), "Reveal")
        steps(aggregator, "Merge")
    assert world.merged(bounty, 1).claim.rejected == 0
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK
