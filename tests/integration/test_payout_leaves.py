"""Payout trees of a wrong size: with a leaf for a stranger beyond the last member, or without one for a member."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incentives.payouts import pay_round
from ledger.commitments import payout_root, payout_tree
from ledger.demands import ChunkDemands, DemandWriter
from ledger.history import BountyHistory
from ledger.merge_records import record_of
from ledger.records import BountyId, MergeClaim, MergeVoided, Wei
from ledger.trees import ChunkTree
from node.aggregator.merge_work import MergeWork
from node.openings import open_payout
from tests.canary import UPDATES
from tests.canary_game import build_packages, challenger_of, gather_cast, merge_once, with_package
from tests.integration.liars import Liar, lying
from tests.integration.world import TOKEN, Party, World, step, steps

pytestmark = pytest.mark.integration


class Hider(Liar):
    """Hides a leaf for an accomplice behind those of the members."""

    def __init__(self, honest: MergeWork, accomplice: Party) -> None:
        super().__init__(honest, self._hide)
        self._accomplice = accomplice
        self.tree: ChunkTree | None = None
        self.payouts: Any = None

    def _hide(self, work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
        self.payouts = pay_round(history, number, 0)[1][:UPDATES]
        self.tree = payout_tree([*self.payouts, (self._accomplice.address, Wei(20 * TOKEN))])
        return replace(claim, payout_root=payout_root(self.tree), payout_leaves=UPDATES)


def shortened(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    """Leaves out the last provider's leaf."""
    payouts = pay_round(history, number, 0)[1][: UPDATES - 1]
    return replace(claim, payout_root=payout_root(payout_tree(payouts)), payout_leaves=UPDATES - 1)


def test_challenger__when_a_payout_tree_lacks_a_leaf__then_it_falls(world: World, tmp_path: Path) -> None:
    cast = gather_cast(world, build_packages(tmp_path / "packages"))
    liar = world.party("liar")
    given: dict[str, Any] = {"rounds": 1, "min_updates": UPDATES, "max_updates": UPDATES}
    bounty = with_package(world, cast.packages["mean"]).post(cast.owner, liar, **given)
    for number, party in enumerate(cast.providers):
        steps(world.provider(party, bounty, number), "Join")
    work = lying(world.merge_work(liar, bounty), shortened)
    merge_once(cast, bounty, world.aggregator(liar, bounty, work), 1)

    watcher, journal = challenger_of(world, cast.challenger, bounty)
    stepped: Any = watcher
    while "Finish" not in step(stepped):
        pass
    journal.close()
    (sentence,) = watcher.taken.found
    assert "must have a payout leaf" in sentence
    assert [one.round for one in world.history(bounty).events if isinstance(one, MergeVoided)] == [1]


def test_challenger__when_a_payout_tree_hides_a_leaf__then_it_falls(world: World, tmp_path: Path) -> None:
    cast = gather_cast(world, build_packages(tmp_path / "packages"))
    liar, accomplice = world.party("liar"), world.party("accomplice")
    given: dict[str, Any] = {"rounds": 1, "min_updates": UPDATES, "max_updates": UPDATES}
    bounty = with_package(world, cast.packages["mean"]).post(cast.owner, liar, **given)
    for number, party in enumerate(cast.providers):
        steps(world.provider(party, bounty, number), "Join")
    steps(world.provider(accomplice, bounty, 9), "Join")
    work: Any = Hider(world.merge_work(liar, bounty), accomplice)
    merge_once(cast, bounty, world.aggregator(liar, bounty, work), 1)

    watcher, journal = challenger_of(world, cast.challenger, bounty)
    stepped: Any = watcher
    for _ in range(20):
        done = step(stepped)
        if "Finish" in done:
            break
        if not done:
            _answer(world, liar, bounty, work)
    journal.close()
    (sentence,) = watcher.taken.found
    assert "beyond the last member" in sentence
    assert [one.round for one in world.history(bounty).events if isinstance(one, MergeVoided)] == [1]


def _answer(world: World, liar: Party, bounty: BountyId, work: Hider) -> None:
    """The liar shows the leaves of its members, which are right."""
    demands = ChunkDemands(world.chain, world.market.judges()[1])
    writer = DemandWriter(demands, world.account(liar).transactor)
    assert work.tree is not None
    for one in demands.of(bounty):
        if one.is_open:
            shown = open_payout(work.payouts, work.tree, one.demanded.index)
            writer.answer(one, record_of(world.merged(bounty, 1)), shown)
