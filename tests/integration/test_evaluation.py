"""A whole evaluation: measured by three nodes, of which one is killed again and again; paid to the wei."""

from __future__ import annotations

import signal
import sqlite3
from dataclasses import replace

import pytest

from ledger.evaluation_records import EvaluationPhase
from node.evaluator.decisions import EvaluatorView
from node.loop import Daemon, Finish
from node.privacy.purses import data_set, open_book
from tests.integration.commands import fedbounty
from tests.integration.evaluating import make_evaluating
from tests.integration.test_kill import log_of, run, sent
from tests.integration.world import PURSE, TOKEN, Party, World, write_data

pytestmark = pytest.mark.integration

DIES = [("measured", ""), ("sent", "commit"), ("sent", "reveal")]


def step(daemon: Daemon[EvaluatorView, object]) -> list[str]:
    """One turn of a daemon's loop; the names of what was done."""
    actions = daemon.decide(daemon.observe())
    for action in actions:
        if not isinstance(action, Finish):
            daemon.act(action)
    return [type(action).__name__ for action in actions]


def journalled(party: Party) -> list[tuple[int, int, int]]:
    (path,) = party.home.glob("reports-*.sqlite")
    database = sqlite3.connect(path)
    try:
        return list(database.execute("SELECT value, examples, noise FROM report_made"))
    finally:
        database.close()


def test_evaluation__with_one_of_three_nodes_killed__then_each_number_counts_once(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluating = make_evaluating(world)
    owner, killed = evaluating.party("owner"), evaluating.party("p0")
    evaluation = evaluating.post(owner)
    others = [evaluating.party(f"p{number}") for number in (1, 2)]
    daemons = [
        evaluating.evaluator(party, evaluation, str(write_data(party.home / "data.csv", seed)))
        for seed, party in enumerate(others, start=1)
    ]
    data = write_data(killed.home / "data.csv", seed=0, rows=50)
    command = ["evaluation", "provide", str(evaluation), "--data", str(data), "--yes"]
    made = []
    for moment in DIES:
        if moment == DIES[-1]:
            assert [step(one) for one in daemons] == [["Measure"]] * 2
            assert [step(one) for one in daemons] == [["Commit"]] * 2
        assert run(killed, command, moment, lambda: None) == -signal.SIGKILL, log_of(killed)
        made.append(journalled(killed))
    assert made == [made[0]] * len(DIES), "a number was drawn anew"
    assert run(killed, command, None, lambda: None) == 0, log_of(killed)
    assert [step(one) for one in daemons] == [["Reveal"]] * 2
    assert evaluating.phase(evaluation) == EvaluationPhase.ENDED
    assert [step(one) for one in daemons] == [["Claim"]] * 2
    assert [step(one) for one in daemons] == [["Finish"]] * 2

    assert sent(world, killed.address) == 4, "approve, commit, reveal, claim"
    assert [world.balance(party) for party in [killed, *others]] == [PURSE + 7 * TOKEN] * 3
    assert world.balance(owner) == PURSE - 21 * TOKEN
    assert world.balance(evaluating.market.address) == 0
    shown = fedbounty(capsys, owner, "evaluation", "show", str(evaluation), "--json").json()
    assert shown["problems"] == []
    assert shown["distribution"]["count"] == 3
    assert [one["units"] for one in shown["reported"] if one["account"] == killed.address] == [made[0][0][0]]


def test_evaluation__when_started_again_with_other_data__then_the_number_is_charged_as_it_was_measured(
    world: World,
) -> None:
    evaluating = make_evaluating(world)
    evaluation, party = evaluating.post(evaluating.party("owner")), evaluating.party("p1")
    few = write_data(party.home / "few.csv", seed=1, rows=24)
    daemon = evaluating.evaluator(party, evaluation, str(few))
    assert step(daemon) == ["Measure"]
    again = evaluating.evaluator(party, evaluation, str(write_data(party.home / "many.csv", seed=2, rows=240)))
    assert step(again) == ["Commit"]
    assert open_book(party.home).charges(again._setup.purse.data) == []
    (charge,) = open_book(party.home).charges(data_set(str(few)))
    assert charge.spend == daemon._setup.purse.spend != again._setup.purse.spend


def test_evaluation__when_the_journal_is_lost__then_the_number_is_found_from_the_key(world: World) -> None:
    evaluating = make_evaluating(world)
    evaluation = evaluating.post(evaluating.party("owner"), noise=0, max_reports=2)
    party = evaluating.party("p1")
    daemon = evaluating.evaluator(party, evaluation, str(write_data(party.home / "data.csv", seed=1)))
    step(daemon)
    step(daemon)
    exact = daemon.observe().made
    assert exact is not None
    for file in party.home.glob("reports.sqlite*"):
        file.unlink()
    again = evaluating.evaluator(party, evaluation, str(write_data(party.home / "data.csv", seed=1)))
    assert step(again) == []
    evaluating.travel(evaluation)
    assert step(again) == ["Recover"]
    assert again.observe().made == replace(exact, examples=0, data="")
    assert [step(again) for _ in range(3)] == [["Reveal"], ["Claim"], ["Finish"]]
    assert evaluating.market.report(evaluation, party.address).value == exact.value
