"""`fedbounty evaluation`: what its commands do and say, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.evaluation_records import EvaluationId, Metric
from node.data.load import load_data
from node.evaluation import evaluate
from node.model import apply_state, flatten, layout
from node.package.loader import load_program
from node.package.program import EVALUATION_BATCH
from tests.cli.shell import Shell
from tests.integration.commands import fedbounty
from tests.integration.evaluating import Evaluating, make_evaluating
from tests.integration.world import PURSE, TOKEN, Party, World, write_data

pytestmark = pytest.mark.integration


@pytest.fixture
def evaluating(world: World) -> Evaluating:
    return make_evaluating(world)


@pytest.fixture
def shell(evaluating: Evaluating, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(evaluating.world, evaluating.party("me"), capsys)


@pytest.fixture
def posted(evaluating: Evaluating) -> EvaluationId:
    """Accuracy, noise of 0.01, three places."""
    return evaluating.post(evaluating.party("owner"))


def test_commands__from_post_to_show__then_a_listed_account_is_paid_and_seen(
    evaluating: Evaluating, shell: Shell, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    world, reporter = evaluating.world, evaluating.party("p1")
    listed = tmp_path / "listed.txt"
    listed.write_text(f"{reporter.address}\n{shell.party.address.lower()}\n")
    offer = ["--payment", "2.5", "--reports", "1", "--min-reports", "1", "--allow", str(listed)]
    done = shell.run("evaluation", "post", str(world.stage.package), *offer, "--json").json()
    assert (done["open_to_all"], int(done["terms"]["payment"])) == (False, 5 * TOKEN // 2)
    assert world.balance(shell.party) == PURSE - 5 * TOKEN // 2
    number = str(done["evaluation"])
    assert shell.run("evaluation", "list", "--json").json()[0]["open_to"] == "a list"

    data = str(write_data(reporter.home / "data.csv", seed=1))
    said = fedbounty(capsys, reporter, "evaluation", "provide", number, "--data", data, "--yes")
    assert said.code == 0, said.err
    assert "the exact mean over your 24 examples will be public" in " ".join(said.out.split())
    assert world.balance(reporter) == PURSE + 5 * TOKEN // 2
    shown = shell.run("evaluation", "show", number, "--json").json()
    (only,) = shown["reported"]
    assert only["account"] == reporter.address
    assert only["value"] == pytest.approx(round(only["value"] * 24) / 24, abs=1e-4), "a share of 24 examples"
    assert shown["distribution"]["median"] == only["value"]
    assert (shown["problems"], shown["has_quorum"], shown["unopened"]) == ([], True, [])
    text = shell.run("evaluation", "show", number).out
    assert "self-reported" in text
    assert "█" in text


def test_post__of_a_bountys_merged_round__then_that_state_is_measured(
    evaluating: Evaluating, shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    world = evaluating.world
    merger, trainer = world.party("merger"), evaluating.party("p0")
    bounty = world.post(world.party("owner"), merger, min_updates=1, max_updates=1)
    daemons = [world.provider(trainer, bounty), world.aggregator(merger, bounty)]
    world.play(bounty, daemons, until=lambda: bool(world.history(bounty).merged_rounds))
    world.release(trainer)
    merged, terms, files = world.merged(bounty, 1), world.terms(bounty), world.files(trainer)
    options = [
        "--metric",
        "cross_entropy",
        "--range",
        "0:20",
        "--decimals",
        "6",
        "--reports",
        "1",
        "--min-reports",
        "1",
    ]
    done = shell.run("evaluation", "post", "--bounty", str(bounty), "--round", "1", *options, "--json").json()
    assert done["terms"]["state_root"] == "0x" + merged.claim.state_root.hex()

    data = str(write_data(trainer.home / "own.csv", seed=9))
    arguments = ["evaluation", "provide", str(done["evaluation"]), "--data", data, "--yes"]
    assert fedbounty(capsys, trainer, *arguments).code == 0
    manifest = files.manifest(terms)
    program = load_program(files.programs(manifest).evaluate, manifest, EVALUATION_BATCH)
    initial_D = flatten({name: one.numpy() for name, one in program.initial.items()}, layout(manifest))
    weights_D = apply_state(initial_D, files.state(merged, terms)[0], manifest.update.bits)
    expected = evaluate(program, manifest, weights_D, load_data(data, manifest))["loss"]
    report = evaluating.market.report(EvaluationId(done["evaluation"]), trainer.address)
    assert report.value / 10**6 == pytest.approx(expected, abs=2e-6)


def test_claim__and_refund__when_something_is_due__then_take_it_once(
    evaluating: Evaluating, shell: Shell, posted: EvaluationId, capsys: pytest.CaptureFixture[str]
) -> None:
    world, owner = evaluating.world, evaluating.world.parties["owner"]
    daemon = evaluating.evaluator(shell.party, posted, str(write_data(shell.party.home / "data.csv", seed=1)))
    for _ in range(2):
        daemon.act(daemon.decide(daemon.observe())[0])
    world.release(shell.party)
    assert "its commitment is not open" in shell.run("evaluation", "claim", str(posted)).out
    assert "it ends at" in shell.run("evaluation", "refund", str(posted)).out
    evaluating.travel(posted)
    daemon = evaluating.evaluator(shell.party, posted, str(shell.party.home / "data.csv"))
    daemon.act(daemon.decide(daemon.observe())[0])
    world.release(shell.party)
    claimed = shell.run("evaluation", "claim", str(posted), "--json").json()
    assert int(claimed["claimed"]) == 10 * TOKEN
    assert shell.run("evaluation", "claim", str(posted), "--json").json()["claimed"] == 0
    refunded = shell.run("evaluation", "refund", str(posted), "--json").json()
    assert (refunded["owner"], int(refunded["refunded"])) == (owner.address, 14 * TOKEN)
    assert shell.run("evaluation", "refund", str(posted), "--json").json()["refunded"] == 0
    assert [world.balance(one) for one in (shell.party, owner)] == [PURSE + 7 * TOKEN, PURSE - 7 * TOKEN]
    assert "Inconclusive: 1 reports" in fedbounty(capsys, owner, "evaluation", "show", str(posted)).out


def test_cancel__before_anyone_committed__then_all_is_back(
    evaluating: Evaluating, posted: EvaluationId, shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    owner: Party = evaluating.world.parties["owner"]
    assert "NotOwner" in shell.refused(3, "evaluation", "cancel", str(posted), "--yes")
    assert fedbounty(capsys, owner, "evaluation", "cancel", str(posted), "--yes").code == 0
    assert evaluating.world.balance(owner) == PURSE
    data = str(write_data(shell.party.home / "data.csv", seed=1))
    assert "no more commitments (cancelled)" in shell.refused(
        2, "evaluation", "provide", str(posted), "--data", data, "--yes"
    )


def test_provide__before_it_asks__then_tells_what_the_number_gives_away(
    posted: EvaluationId, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("typer.confirm", lambda question, err: False)
    data = str(write_data(shell.party.home / "data.csv", seed=1, rows=50))
    done = shell.run("evaluation", "provide", str(posted), "--data", data)
    assert "epsilon 2 " in " ".join(done.out.split()), "200 units over 50 examples, by a scale of 100"
    done = shell.run("evaluation", "provide", str(posted), "--data", data, "--noise", "0.1")
    assert "epsilon 0.2 " in " ".join(done.out.split())
    assert done.code == 2
    assert shell.possessions() == shell.before


def test_commands__when_the_evaluation_is_unknown__then_refused(shell: Shell) -> None:
    for command in ("show", "provide", "claim", "refund", "cancel"):
        more = ["--data", "x.csv"] if command == "provide" else []
        said = shell.refused(2, "evaluation", command, "77", *more)
        assert "There is no evaluation 77" in said
        assert "fedbounty evaluation list" in said


def test_post__when_what_is_asked_makes_no_sense__then_refused(shell: Shell, world: World, tmp_path: Path) -> None:
    package = str(world.stage.package)
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    for said, arguments in (
        ("Name what to evaluate", []),
        ("Name what to evaluate", [package, "--bounty", "1"]),
        ("its metric is mse, but the model is for classification", [package, "--metric", "mse", "--range", "0:9"]),
        ("there is no metric 'f1'", [package, "--metric", "f1"]),
        ("the quorum of 9 reports is more than the 3 places", [package, "--min-reports", "9", "--reports", "3"]),
        ("the payment is 0", [package, "--payment", "0", "--stake", "1"]),
        ("at most 4 decimals", [package, "--noise", "0.00001"]),
        ("it is empty", [package, "--allow", str(empty)]),
        ("can't be read", [package, "--allow", str(tmp_path / "absent")]),
        ("There is no bounty 5", ["--bounty", "5"]),
    ):
        assert said in " ".join(shell.refused(2, "evaluation", "post", *arguments, "--yes").split())


def test_post__when_it_costs_more_than_there_is__then_refused(shell: Shell, world: World) -> None:
    said = shell.refused(3, "evaluation", "post", str(world.stage.package), "--payment", "51", "--yes")
    assert "needs" in said


def test_provide__when_it_would_add_less_noise_than_asked__then_refused(
    shell: Shell, posted: EvaluationId, evaluating: Evaluating
) -> None:
    data = str(write_data(shell.party.home / "data.csv", seed=1))
    for noise in ("0.001", "x", "0.01001"):
        said = shell.refused(2, "evaluation", "provide", str(posted), "--data", data, "--noise", noise, "--yes")
        assert "--noise" in said
    assert evaluating.market.terms(posted).metric == Metric.ACCURACY


def test_provide__when_the_account_is_not_listed__then_refused(
    evaluating: Evaluating, shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    owner = evaluating.party("owner")
    listed = tmp_path / "listed.txt"
    listed.write_text(owner.address + "\n")
    package = str(evaluating.world.stage.package)
    posting = fedbounty(capsys, owner, "evaluation", "post", package, "--allow", str(listed), "--json")
    data = str(write_data(shell.party.home / "data.csv", seed=1))
    said = shell.refused(2, "evaluation", "provide", str(posting.json()["evaluation"]), "--data", data, "--yes")
    assert "is not on the list" in said


def test_command__when_no_market_for_evaluations_is_set__then_says_where_to_set_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    done = fedbounty(capsys, world.party("nobody"), "evaluation", "list")
    assert done.code == 2
    assert "chain.evaluations (FEDBOUNTY_EVALUATIONS)" in done.err
