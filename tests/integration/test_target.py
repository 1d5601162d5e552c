"""A bounty with a target ends when the hold-out's metric reaches it: what was merged is paid, the rest goes back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.records import Phase, Terms
from node.aggregator.merge_work import MadeMerge, MergeWork
from node.auditor.report import Verdict
from node.manifest import render_manifest
from node.posting import read_package, with_target
from node.scoring import open_scorer
from node.targets import UNITS, ending_in_words
from tests.integration.world import PURSE, World, steps

pytestmark = pytest.mark.integration

ROUNDS = 10
TARGET = 0.8


def aimed(world: World, folder: Path) -> World:
    """The same world with a package that names a target."""
    shutil.copytree(world.stage.package, folder)
    manifest = with_target(read_package(folder), TARGET)
    (folder / "manifest.toml").write_bytes(render_manifest(manifest))
    return replace(world, stage=replace(world.stage, package=folder))


def shares(terms: Terms, rounds: int) -> list[int]:
    return [terms.pot * number // ROUNDS - terms.pot * (number - 1) // ROUNDS for number in range(1, rounds + 1)]


def test_bounty__when_its_target_is_reached__then_it_ends_early_and_the_rest_goes_back(
    world: World, tmp_path: Path
) -> None:
    world = aimed(world, tmp_path / "package")
    owner, merger, providers = world.party("owner"), world.party("merger"), [world.party("p0"), world.party("p1")]
    bounty = world.post(owner, merger, rounds=ROUNDS)
    terms = world.terms(bounty)
    assert terms.target == TARGET * UNITS
    daemons = [world.provider(party, bounty, seed=number) for number, party in enumerate(providers)]
    world.play(bounty, [*daemons, world.aggregator(merger, bounty)])

    history = world.history(bounty)
    metrics = [one.merged.claim.metric for one in history.merged_rounds if one.merged]
    played = len(metrics)
    assert played < ROUNDS
    assert all(metric < terms.target for metric in metrics[:-1])
    assert metrics[-1] >= terms.target
    assert ending_in_words(history) == f"target reached in round {played} of {ROUNDS}"
    assert world.phase(bounty) == (Phase.ENDED, played)
    earned = sum(share // 2 for share in shares(terms, played))
    assert [world.balance(party) for party in providers] == [PURSE + earned] * 2
    assert world.balance(owner) == PURSE - 2 * earned
    assert world.balance(merger) == PURSE
    assert world.balance(world.market.address) == 0
    report = world.audit(world.party("auditor"), bounty)
    assert report.verdict == Verdict.OK, report.all_differences
    assert report.rounds[-1].metrics["accuracy"] == pytest.approx(metrics[-1] / UNITS, abs=1e-6)


class Boaster(MergeWork):
    """Claims to have measured the target, whatever the model does."""

    def merge(self, *args: object, **named: object) -> MadeMerge:
        made = super().merge(*args, **named)  # type: ignore[arg-type]
        return replace(made, claim=replace(made.claim, metric=UNITS))


def test_audit__when_the_metric_is_made_up__then_it_is_reported_with_what_follows(world: World, tmp_path: Path) -> None:
    world = aimed(world, tmp_path / "package")
    merger = world.party("merger")
    bounty = world.post(world.party("owner"), merger, rounds=ROUNDS, min_updates=1)
    terms, files = world.terms(bounty), world.files(merger)
    manifest = files.manifest(terms)
    boaster = Boaster(files, terms, manifest, open_scorer(files, manifest))
    provider, aggregator = world.provider(world.party("p0"), bounty), world.aggregator(merger, bounty, boaster)
    steps(provider, "Join")
    steps(aggregator, "DepositBond")
    steps(provider, "Train", "Commit", "Reveal")
    steps(aggregator, "Merge")
    assert world.phase(bounty)[0] == Phase.ENDED
    report = world.audit(world.party("auditor"), bounty)
    assert report.verdict == Verdict.WRONG
    found = {(one.round, one.what): one for one in report.all_differences}[1, "accuracy"]
    assert found.claimed == "1.000000"
    assert float(found.expected) == pytest.approx(report.rounds[0].metrics["accuracy"], abs=1e-6)
