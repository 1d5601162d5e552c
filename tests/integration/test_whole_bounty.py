"""A whole bounty: trained, merged, paid to the wei, audited, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.kubo import start_ipfs
from ledger.records import BountyId, Phase, RewardRule
from node.auditor.report import Verdict
from node.connections import connect_peer
from tests.integration.world import PURSE, TOKEN, Party, World

pytestmark = pytest.mark.integration


def run(world: World, stakes: list[int], **changes: object) -> tuple[BountyId, Party, Party, list[Party]]:
    owner, merger = world.party("owner"), world.party("merger")
    bounty = world.post(owner, merger, **changes)
    providers = [world.party(f"p{number}") for number in range(len(stakes))]
    daemons = [
        world.provider(party, bounty, seed=number, stake=stake)
        for number, (party, stake) in enumerate(zip(providers, stakes, strict=True))
    ]
    world.play(bounty, [*daemons, world.aggregator(merger, bounty)])
    return bounty, owner, merger, providers


def assert_all_is_home(world: World, bounty: BountyId) -> None:
    assert world.phase(bounty)[0] == Phase.ENDED
    assert world.market.money(bounty).escrow == 0
    assert world.balance(world.market.address) == 0


def test_bounty__with_equal_rewards__then_each_update_earns_the_same_to_the_wei(world: World) -> None:
    bounty, owner, merger, providers = run(world, [10 * TOKEN] * 3)
    terms = world.terms(bounty)
    shares = [terms.pot // 2, terms.pot - terms.pot // 2]
    earned = sum(share // 3 for share in shares)
    assert [world.balance(party) for party in providers] == [PURSE + earned] * 3
    assert world.balance(owner) == PURSE - 3 * earned
    assert world.balance(merger) == PURSE
    assert_all_is_home(world, bounty)
    report = world.audit(world.party("auditor"), bounty)
    assert report.verdict == Verdict.OK, report.all_differences
    assert [(one.state, one.accepted) for one in report.rounds] == [("merged", 3)] * 2
    assert report.rounds[-1].metrics["accuracy"] > report.metrics_start["accuracy"]


def test_bounty__with_stake_rewards__then_pay_follows_the_capped_weights(world: World) -> None:
    rules = {"reward_rule": RewardRule.STAKE, "max_weight": 3, "pot": 50 * TOKEN + 3, "rounds": 1}
    bounty, owner, _, providers = run(world, [10 * TOKEN, 29 * TOKEN, 100 * TOKEN], **rules)
    pot = world.terms(bounty).pot
    earned = [pot * weight // 6 for weight in (1, 2, 3)]
    assert [world.balance(party) for party in providers] == [PURSE + pay for pay in earned]
    assert world.balance(owner) == PURSE - sum(earned)
    assert_all_is_home(world, bounty)
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK


def test_bounty__with_a_node_for_each_party__then_files_travel_between_them(world: World, tmp_path: Path) -> None:
    with start_ipfs(tmp_path / "node") as node, start_ipfs(tmp_path / "other") as other:
        owner, merger = world.party("owner"), world.party("merger")
        bounty = world.post(owner, merger, min_updates=1, rounds=1)
        party, auditor = world.party("p0", ipfs=node), world.party("auditor", ipfs=other)
        assert connect_peer(party.store, world.stage.ipfs.peer)
        world.play(bounty, [world.provider(party, bounty), world.aggregator(merger, bounty)])
        assert connect_peer(auditor.store, world.stage.ipfs.peer)
        assert world.audit(auditor, bounty).verdict == Verdict.OK
