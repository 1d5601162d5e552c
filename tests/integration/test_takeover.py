"""The named aggregator dies for good, in whatever phase: another party finishes, or the money goes home by itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ledger.records import BountyId, Phase
from node.auditor.report import Verdict
from node.provider.daemon import ProviderDaemon
from tests.integration.world import PURSE, Party, World, step, steps

pytestmark = pytest.mark.integration

PHASES = (Phase.JOINING, Phase.COMMIT, Phase.REVEAL, Phase.MERGE)


def dead_in(world: World, phase: Phase) -> tuple[BountyId, Party, list[Party], list[ProviderDaemon]]:
    """A bounty of two rounds whose aggregator bonds and is gone once `phase` has come in round 1."""
    owner, dead = world.party("owner"), world.party("dead")
    bounty = world.post(owner, dead, rounds=2, min_updates=2, max_updates=2)
    parties = [world.party(f"p{number}") for number in range(2)]
    providers = [world.provider(party, bounty, number) for number, party in enumerate(parties)]
    aggregator = world.aggregator(dead, bounty)
    steps(providers[0], "Join")
    steps(aggregator, "DepositBond")
    _bring_to(world, bounty, phase, providers)
    assert world.phase(bounty)[0] == phase
    world.release(dead)
    return bounty, owner, parties, providers


def _bring_to(world: World, bounty: BountyId, phase: Phase, providers: Sequence[ProviderDaemon]) -> None:
    for _ in range(20):
        for daemon in providers:
            if world.phase(bounty)[0] == phase:
                return
            step(daemon)


@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name.lower())
def test_aggregator__when_it_is_dead_for_good__then_another_bonded_party_finishes_and_all_are_paid(
    world: World, phase: Phase
) -> None:
    bounty, owner, parties, providers = dead_in(world, phase)
    other = world.party("other")
    world.play(bounty, [*providers, world.aggregator(other, bounty)])
    terms = world.terms(bounty)
    assert [world.merged(bounty, number).aggregator for number in (1, 2)] == [other.address] * 2
    assert world.balance(other) == PURSE
    each = terms.pot // 2 // 2 + (terms.pot - terms.pot // 2) // 2
    assert [world.balance(party) for party in parties] == [PURSE + each] * 2
    assert world.balance(owner) == PURSE - 2 * each
    assert world.balance(world.market.address) == terms.bond, "the dead party's own"
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK


@pytest.mark.parametrize("phase", [Phase.COMMIT, Phase.MERGE], ids=lambda phase: phase.name.lower())
def test_bounty__when_nobody_is_left_to_merge__then_it_expires_and_pays_to_the_wei(world: World, phase: Phase) -> None:
    bounty, owner, parties, providers = dead_in(world, phase)
    world.play(bounty, providers, until=lambda: _is_over(world, bounty))
    world.play(bounty, [*providers, world.aggregator(owner, bounty)])
    terms = world.terms(bounty)
    each = (terms.pot // 2 + terms.bond) // 2
    assert [world.balance(party) for party in parties] == [PURSE + each] * 2
    assert world.balance(owner) == PURSE + terms.bond - 2 * each
    assert world.balance(world.market.address) == 0
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK


def _is_over(world: World, bounty: BountyId) -> bool:
    return world.phase(bounty)[0] == Phase.ENDED
