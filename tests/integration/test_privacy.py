"""Bounties with noise on a real chain: what is recorded, what a budget stops, and what a crash costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from ledger.cid import to_cid
from ledger.records import BountyId
from node.auditor.report import Verdict
from node.journal import MadeUpdate
from node.privacy.accounting import Bare, SampledGaussian, epsilon
from node.privacy.budget import BudgetBook, Limit
from node.privacy.purses import data_set, open_book
from node.provider.daemon import ProviderDaemon
from node.provider.local_work import LocalWork
from tests.integration.package import FIELDS
from tests.integration.world import Party, World, step, steps

pytestmark = pytest.mark.integration

DELTA = 1e-3
RECORD = {"noise_multiplier": 1.0, "sample_rate": 0.25, "steps": 4, "clip_norm": 1.0}
TRAINING = {name: value for name, value in FIELDS["training"].items() if name != "local_epochs"}
PRIVATE = {"privacy": {"mode": "dp", **RECORD, "delta": DELTA}, "training": TRAINING}
NOISY = {
    "privacy": {"mode": "dp", "update_noise": 64, "honest": 2, "delta": DELTA},
    "update": FIELDS["update"] | {"bits": 8, "clip": 1.0},
}
ROUND = SampledGaussian(1.0, 0.25, 4)


def budget_of(party: Party) -> BudgetBook:
    return open_book(party.home)


def spent_on(party: Party) -> list[Any]:
    book = budget_of(party)
    return [charge.spend for charge in book.charges(data_set(str(party.home / "data.csv")))]


def test_bounty__with_private_training__then_chain_report_and_audit_tell_what_it_cost(world: World) -> None:
    merger, parties = world.party("merger"), [world.party("p0"), world.party("p1")]
    bounty = world.post(world.party("owner"), merger, PRIVATE)
    providers = [world.provider(party, bounty, seed) for seed, party in enumerate(parties)]
    assert world.terms(bounty).privacy.name == "DP"
    world.play(bounty, [*providers, world.aggregator(merger, bounty)])
    report = world.audit(world.party("auditor"), bounty)
    assert report.verdict == Verdict.OK
    assert [(one.round, one.rounds, one.sigma, one.q, one.steps, one.delta) for one in report.privacy] == [
        (number, number, 1.0, 0.25, 4, DELTA) for number in (1, 1, 2, 2)
    ]
    assert report.privacy[-1].epsilon == pytest.approx(epsilon([ROUND] * 2, DELTA), rel=1e-4)
    for party in parties:
        assert spent_on(party) == [ROUND, ROUND]
    told = orjson.loads(world.files(merger).report(world.merged(bounty, 2)))["privacy"]
    assert {entry["provider"] for entry in told} == {party.address for party in parties}
    assert told[0]["epsilon"] == pytest.approx(epsilon([ROUND] * 2, DELTA), rel=1e-4)


def test_bounty__with_noise_on_updates__then_they_fit_the_contracts_bound(world: World) -> None:
    merger, parties = world.party("merger"), [world.party("p0"), world.party("p1")]
    bounty = world.post(world.party("owner"), merger, NOISY, rounds=1)
    providers = [world.provider(party, bounty, seed) for seed, party in enumerate(parties)]
    world.play(bounty, [*providers, world.aggregator(merger, bounty)])
    report = world.audit(world.party("auditor"), bounty)
    assert report.verdict == Verdict.OK
    assert [one.epsilon_update for one in report.privacy] == [pytest.approx(report.privacy[0].epsilon_update)] * 2
    first = report.privacy[0]
    assert first.epsilon_sum is not None
    assert first.epsilon_update is not None
    assert first.epsilon_sum < first.epsilon_update


def test_provider__when_its_budget_is_spent__then_it_leaves_with_its_pay_and_releases_nothing(world: World) -> None:
    merger, party, other = world.party("merger"), world.party("p0"), world.party("p1")
    bounty = world.post(world.party("owner"), merger, PRIVATE, min_updates=1)
    daemon, second = world.provider(party, bounty), world.provider(other, bounty, 1)
    data = data_set(str(party.home / "data.csv"))
    budget_of(party).set_limit(data, Limit(1.01 * epsilon([ROUND], DELTA), DELTA))
    world.play(bounty, [daemon, second, world.aggregator(merger, bounty)])
    rounds = world.history(bounty).rounds
    assert rounds[1].reveal_of(party.address) is not None
    assert rounds[2].reveal_of(party.address) is None
    assert rounds[2].reveal_of(other.address) is not None
    assert spent_on(party) == [ROUND]
    assert len(list((party.home / "updates").glob("Qm*"))) == 1
    assert world.market.provider(bounty, party.address).claimed > 0
    assert daemon.observe().standing.stake == 0


def test_provider__of_budgeted_data_without_noise__then_does_not_join_unless_told_to(world: World) -> None:
    party = world.party("p0")
    bounty = world.post(world.party("owner"), world.party("merger"), min_updates=1)
    daemon = world.provider(party, bounty)
    budget_of(party).set_limit(data_set(str(party.home / "data.csv")), Limit(5.0, DELTA))
    assert step(daemon) == ["Finish"]
    assert "without noise" in daemon.observe().refusal
    allowed = replace(daemon._setup, purse=replace(daemon._setup.purse, allow_bare=True))
    assert daemon._setup.purse.spend == Bare()
    steps(ProviderDaemon(allowed), "Join")


class Died(Exception):
    pass


@dataclass
class Dying:
    """A provider's work in a process that ends while a file is let out: before it is, or just after."""

    work: LocalWork
    added: bool

    def make_update(self, *task: Any) -> MadeUpdate:
        return self.work.make_update(*task)

    def keep(self, made: MadeUpdate) -> None:
        if self.added:
            self.work.keep(made)
        raise Died


def dying(daemon: ProviderDaemon, added: bool) -> ProviderDaemon:
    setup = daemon._setup
    return ProviderDaemon(replace(setup, work=cast(Any, Dying(setup.work, added))))


def is_out(world: World, party: Party, made: MadeUpdate) -> bool:
    return to_cid(made.cid) in {to_cid(one) for one in party.store.pinned()}


@pytest.mark.parametrize("instant", ["trained", "charged", "let out", "committed"])
def test_provider__when_it_dies_around_a_charge__then_the_round_costs_once(world: World, instant: str) -> None:
    merger, party = world.party("merger"), world.party("p0")
    bounty = started(world, merger)
    daemon = world.provider(party, bounty)
    steps(daemon, "Join", "Train")
    made = daemon.observe().made
    assert made is not None
    assert spent_on(party) == []
    assert not is_out(world, party, made)
    if instant in ("charged", "let out"):
        with pytest.raises(Died):
            step(dying(daemon, added=instant == "let out"))
        assert spent_on(party) == [ROUND]
        assert is_out(world, party, made) == (instant == "let out")
    elif instant == "committed":
        steps(daemon, "Commit")
    again = world.provider(party, bounty)
    steps(again, *(("Reveal",) if instant == "committed" else ("Commit", "Reveal")))
    assert spent_on(party) == [ROUND]
    assert world.history(bounty).rounds[1].reveals[0].update_root == made.root


def test_provider__when_its_journal_is_lost_after_a_charge__then_another_update_costs_again(world: World) -> None:
    merger, party = world.party("merger"), world.party("p0")
    bounty = started(world, merger)
    daemon = world.provider(party, bounty)
    steps(daemon, "Join", "Train")
    with pytest.raises(Died):
        step(dying(daemon, added=True))
    daemon._setup.journal.close()
    for file in Path(party.home).glob("journal.sqlite*"):
        file.unlink()
    steps(world.provider(party, bounty), "Train", "Commit")
    assert spent_on(party) == [ROUND, ROUND]


def test_provider__when_started_again_with_other_data__then_what_it_made_is_charged_to_its_own(world: World) -> None:
    merger, party = world.party("merger"), world.party("p0")
    bounty = started(world, merger)
    steps(world.provider(party, bounty, seed=0), "Join", "Train")
    first = data_set(str(party.home / "data.csv"))
    steps(world.provider(party, bounty, seed=1), "Commit", "Reveal")
    assert data_set(str(party.home / "data.csv")) != first
    assert spent_on(party) == []
    assert [charge.spend for charge in budget_of(party).charges(first)] == [ROUND]


def started(world: World, merger: Party) -> BountyId:
    """A bounty of one provider a round, whose aggregator has bonded."""
    bounty = world.post(world.party("owner"), merger, PRIVATE, min_updates=1, max_updates=1, rounds=1)
    steps(world.aggregator(merger, bounty), "DepositBond")
    return bounty
