"""A rule that looks at whole updates, on real components: merged, audited, and what a challenger can still prove."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from structlog.testing import capture_logs
from torch import nn

from ledger.history import RoundHistory
from ledger.records import BountyId, MergeRule
from node.auditor.report import Verdict
from node.challenger.journal import UNPROVABLE, ChallengeJournal
from node.journal import Journal, Scope
from node.package.export import export_package
from tests.canary import Kind
from tests.canary_game import Cast, build_packages, gather_cast, play, with_package
from tests.integration import forgery
from tests.integration.commands import fedbounty
from tests.integration.package import FIELDS, write_data
from tests.integration.world import COLUMNS, World

pytestmark = pytest.mark.integration

MIXED: dict[str, Any] = {"rule": "nearest_neighbours", "attackers": 1, "learning_rate": 1.0}


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build_packages(tmp_path_factory.mktemp("mixed"), [MIXED])


@pytest.fixture
def cast(world: World, packages: dict[str, Path]) -> Cast:
    return gather_cast(world, packages)


def with_momentum(folder: Path) -> Path:
    training = {**FIELDS["training"], "local_momentum": 0.5}
    fields = {**FIELDS, "merge": MIXED, "training": training, "screening": {"own_momentum": True}}
    export_package(nn.Linear(len(COLUMNS), 3), torch.zeros(2, len(COLUMNS)), folder, fields)
    write_data(folder / "holdout.csv", seed=999, rows=60)
    return folder


def test_bounty__with_mixing_and_local_momentum__then_it_learns_and_the_audit_finds_nothing(
    world: World, tmp_path: Path
) -> None:
    owner, merger = world.party("owner"), world.party("merger")
    bounty = with_package(world, with_momentum(tmp_path / "package")).post(owner, merger, min_updates=3)
    assert world.terms(bounty).merge_rule == MergeRule.NEAREST_NEIGHBOURS
    parties = [world.party(f"p{number}") for number in range(3)]
    daemons = [world.provider(party, bounty, seed=number) for number, party in enumerate(parties)]
    world.play(bounty, [*daemons, world.aggregator(merger, bounty)])
    report = world.audit(world.party("auditor"), bounty)
    assert report.verdict == Verdict.OK, report.all_differences
    assert [(one.state, one.accepted) for one in report.rounds] == [("merged", 3)] * 2
    assert report.rounds[-1].metrics["loss"] < report.metrics_start["loss"]
    for party in parties:
        journal = Journal(party.home / "journal.sqlite")
        scope = Scope(world.chain.chain_id, world.market.address, bounty, party.address)
        made = [journal.made(scope, number) for number in (1, 2)]
        journal.close()
        assert len({one.momentum for one in made if one is not None}) == 2
        kept = [np.fromfile(path, dtype="<f4") for path in (party.home / "updates").glob("momentum-*")]
        assert len(kept) == 2
        assert all(np.isfinite(one).all() and one.any() for one in kept)


def test_challenger__when_no_contract_knows_the_rule__then_a_wrong_coordinate_is_found_and_not_proven(
    cast: Cast,
) -> None:
    game = play(cast, Kind.UNIT, seed=1, rule="nearest_neighbours")
    assert (game.sentences, game.voided) == ([], None)
    journal = ChallengeJournal(cast.challenger.home / "challenges.sqlite", cast.world.market.address)
    (verdict,) = journal.verdicts().values()
    journal.close()
    assert verdict.verdict == UNPROVABLE
    assert "follows from the updates" in verdict.sentence
    assert "no proof on chain reaches it" in verdict.sentence


def test_challenger__when_no_contract_knows_the_rule__then_wrong_pay_still_falls(cast: Cast) -> None:
    game = play(cast, Kind.WEI, seed=1, rule="nearest_neighbours")
    assert game.voided is not None
    assert "payout of member" in game.sentences[-1]
    assert game.merged_again


def test_round__when_fewer_are_accepted_than_the_rule_promises__then_log_audit_and_owner_are_told(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three reveal, as the rule needs, but one file is other bytes: the merge is right, and withstands nobody."""
    owner, merger = world.party("owner"), world.party("merger")
    sections = {"merge": {"rule": "median", "attackers": 1, "learning_rate": 1.0}}
    bounty = world.post(owner, merger, sections, rounds=1, min_updates=3, max_updates=3)
    parties = [world.party(f"p{number}") for number in range(3)]
    forged = (forgery.honest, forgery.honest, forgery.other_bytes)
    daemons = [
        forgery.forging(world, party, bounty, forge, seed)
        for seed, (party, forge) in enumerate(zip(parties, forged, strict=True))
    ]
    with capture_logs() as logs:
        world.play(bounty, [*daemons, world.aggregator(merger, bounty)], until=lambda: bool(merges(world, bounty)))
    why = "median over 2 accepted updates withstands no faulty updates, though the terms promise 1; that takes 3"
    assert [one["why"] for one in logs if one["event"] == "less_robust_than_promised"] == [why]
    report = world.audit(world.party("auditor"), bounty)
    assert (report.verdict, report.rounds[0].notes) == (Verdict.OK, (why,))
    assert fedbounty(capsys, owner, "bounty", "show", str(bounty), "--json").json()["rounds"][0]["note"] == why
    world.release(parties[0])
    told = fedbounty(capsys, parties[0], "explain", str(bounty), "--round", "1", "--no-files")
    assert why in " ".join(told.out.split())


def merges(world: World, bounty: BountyId) -> list[RoundHistory]:
    return world.history(bounty).merged_rounds
