"""`fedbounty claim` for everyone who has money in a bounty, until both contracts are empty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ledger.records import BountyId, Phase
from ledger.score_records import ScorePhase
from node.claiming.decisions import Own
from node.claiming.effects import take_all
from node.claiming.view import observe_claims
from tests.integration.commands import fedbounty
from tests.integration.forgery import forging, honest, other_bytes
from tests.integration.test_scoring import BOND, Evaluator, post, scorer, scores_of
from tests.integration.world import PURSE, TOKEN, WINDOW, Party, World, write_data

pytestmark = pytest.mark.integration


def claim(world: World, capsys: pytest.CaptureFixture[str], party: Party, bounty: BountyId) -> dict[str, Any]:
    world.release(party)
    done = fedbounty(capsys, party, "claim", str(bounty), "--json")
    assert done.code == 0, done.err
    return dict(done.json())


def said(world: World, capsys: pytest.CaptureFixture[str], party: Party, *arguments: str) -> str:
    """What a command prints, as one line."""
    world.release(party)
    return " ".join(fedbounty(capsys, party, *arguments).out.replace("│", " ").split())


def liar(world: World, party: Party, bounty: BountyId, validation: Path) -> Evaluator:
    """An evaluator that finds that nothing helped."""
    daemon = scorer(world, party, bounty, validation)
    daemon.lie = (0, 0, 0)
    return daemon


def waits(found: dict[str, Any]) -> dict[str, int | None]:
    """From when each thing is free."""
    return {one["what"]: one["free_at"] for one in found["waiting"]}


def test_claim__when_the_panel_left_everything__then_each_party_takes_its_own_and_nothing_stays(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One round: an update is left out, the panel finds that no other helped, and no daemon winds anything up."""
    owner, merger = world.party("owner"), world.party("merger")
    providers, evaluators = ([world.party(f"{kind}{number}") for number in range(3)] for kind in "pe")
    validation = write_data(tmp_path / "validation.csv", seed=99, rows=60)
    bounty = post(world, owner, merger, evaluators, validation, rounds=1)
    check_estimate(world, capsys, bounty, providers[0])
    scorers = [liar(world, one, bounty, validation) for one in evaluators]
    forged = (honest, honest, other_bytes)
    daemons: list[Any] = [
        forging(world, one, bounty, forge, seed)
        for seed, (one, forge) in enumerate(zip(providers, forged, strict=True))
    ]
    daemons += [world.aggregator(merger, bounty), *scorers]
    scores, pot = scores_of(world), world.terms(bounty).pot
    world.play(bounty, daemons, until=lambda: world.phase(bounty)[0] == Phase.ENDED)
    check_waiting(world, capsys, bounty, (owner, merger, providers[0], evaluators[0]))
    scorers[0] = liar(world, evaluators[0], bounty, validation)
    world.play(bounty, scorers, until=lambda: scores.clock(bounty, 1).phase == ScorePhase.DUE)

    stale = observe_claims(world.market, bounty, world.terms(bounty), evaluators[1].address)
    first = claim(world, capsys, evaluators[0], bounty)
    fee = pot * 2 // 3 * 300 // 10_000 // 3
    assert first["rounds_settled"] == [1]
    assert (first["fees_collected"], first["evaluator_bond_returned"]) == (str(fee), str(BOND))
    rest = pot * 2 // 3 - 3 * fee
    shown = fedbounty(capsys, owner, "bounty", "show", str(bounty), "--json").json()
    assert (shown["rest"], shown["free"]) == (str(rest), str(pot - pot * 2 // 3))
    assert f"fedbounty claim {bounty}" in said(world, capsys, owner, "bounty", "show", str(bounty))
    refund = claim(world, capsys, owner, bounty)
    assert (refund["refunded"], refund["rest_returned"]) == (str(pot - pot * 2 // 3), str(rest))
    assert claim(world, capsys, merger, bounty)["bond_returned"] == str(7 * TOKEN)
    for one in providers:
        assert claim(world, capsys, one, bounty)["stake_returned"] == str(10 * TOKEN)
    taken, divided = take_all(world.account(evaluators[1]), stale)
    assert ([one.own for one in taken], divided) == ([Own.FEES, Own.EVALUATOR_BOND], []), "another was faster"
    claim(world, capsys, evaluators[2], bounty)
    assert [world.balance(one) for one in (merger, *providers)] == [PURSE] * 4
    assert [world.balance(one) for one in evaluators] == [PURSE + fee] * 3
    assert world.balance(owner) == PURSE - 3 * fee
    assert world.balance(world.market.address) == 0
    assert world.balance(scores.address) == 0
    assert "can be claimed now; 0 tokens" in said(world, capsys, owner, "claim", str(bounty))


def check_estimate(world: World, capsys: pytest.CaptureFixture[str], bounty: BountyId, newcomer: Party) -> None:
    """Who thinks of joining is shown the range, the average and the panel: nothing that looks like a promise."""
    guess = fedbounty(capsys, newcomer, "explain", str(bounty), "--json").json()
    pot = world.terms(bounty).pot
    pot -= 3 * (pot * 300 // 10_000 // 3)
    assert [int(one["in_all"]) for one in guess["scenarios"]] == [0, pot // 3, pot // 3, pot]
    assert (guess["reward_rule"], len(guess["panel"]["evaluators"])) == ("contribution", 3)


def check_waiting(
    world: World, capsys: pytest.CaptureFixture[str], bounty: BountyId, people: tuple[Party, Party, Party, Party]
) -> None:
    """Right after the merge nothing can be taken; each is told what waits, and the same time from which it is free."""
    owner, merger, provider, evaluator = people
    vests_at = world.merged(bounty, 1).vests_at
    found = {one.name: waits(claim(world, capsys, one, bounty)) for one in people}
    assert found[owner.name] == {"owner's refund": vests_at, "owner's rest of rounds by contribution": None}
    assert found[merger.name] == {"aggregator's bond": vests_at}
    assert found[provider.name] == {"pay by contribution": vests_at, "stake": vests_at}
    assert found[evaluator.name] == {"evaluator's bond": None}
    text = said(world, capsys, provider, "claim", str(bounty))
    assert f"Nothing of bounty {bounty} can be claimed now" in text
    assert "pay by contribution: from" in text
    assert "(round 1: its merge can still be proven wrong)" in text


def test_claim__when_a_round_lapsed_unnoticed__then_the_lapse_is_written_down_and_its_share_taken(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    owner, merger, party = world.party("owner"), world.party("merger"), world.party("p0")
    bounty = world.post(owner, merger, rounds=1, min_updates=1, max_updates=1)
    daemons = [forging(world, party, bounty, honest, 0), world.aggregator(merger, bounty)]
    world.play(bounty, daemons, until=lambda: world.phase(bounty)[0] == Phase.MERGE)
    world.travel(2 * WINDOW + 1)
    pot, bond = world.terms(bounty).pot, world.terms(bounty).bond
    taken = claim(world, capsys, party, bounty)
    assert (taken["claimed_lapsed"], taken["stake_returned"]) == (str(pot + bond), str(10 * TOKEN))
    assert world.balance(party) == PURSE + pot + bond
    assert claim(world, capsys, owner, bounty)["refunded"] == 0
    assert world.balance(world.market.address) == 0
