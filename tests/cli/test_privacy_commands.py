"""`fedbounty privacy`, and what budgets do to the commands that release something."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.shell import Shell
from tests.integration.commands import fedbounty
from tests.integration.evaluating import make_evaluating
from tests.integration.test_privacy import PRIVATE
from tests.integration.world import World, write_data

pytestmark = pytest.mark.integration


def test_budget__when_set__then_holds_for_the_data_wherever_it_lies(shell: Shell, data: str, tmp_path: Path) -> None:
    done = shell.run("privacy", "budget", data, "--epsilon", "3", "--delta", "1e-6", "--json").json()
    assert (done["limit_epsilon"], done["delta"], done["spent_epsilon"], done["releases"]) == (3.0, 1e-6, 0.0, 0)
    copy = shutil.copy(data, tmp_path / "elsewhere.csv")
    assert shell.run("privacy", "budget", str(copy), "--json").json()["limit_epsilon"] == 3.0
    assert "epsilon 3" in shell.run("privacy", "budget", data).out
    listed = shell.run("privacy", "list", "--json").json()
    assert [one["data_set"] for one in listed["data_sets"]] == [done["data_set"]]
    removed = shell.run("privacy", "budget", data, "--remove", "--json").json()
    assert removed["limit_epsilon"] is None
    assert "data sets" in shell.run("privacy", "list").out


def test_cost__of_the_golden_run__then_is_what_the_libraries_say(shell: Shell) -> None:
    golden = ["--noise-multiplier", "1.5", "--sample-rate", "0.04", "--steps", "225", "--rounds", "10"]
    done = shell.run("privacy", "cost", *golden, "--json").json()
    assert done["renyi"] == pytest.approx(7.329, abs=1e-3)
    assert done["epsilon"] == pytest.approx(6.77, abs=1e-2)
    assert "6.769" in shell.run("privacy", "cost", *golden).out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["budget", "DATA", "--epsilon", "0"], "epsilon above 0"),
        (["budget", "DATA", "--epsilon", "nan"], "epsilon above 0"),
        (["budget", "DATA", "--epsilon", "1", "--delta", "1"], "delta between 0 and 1"),
        (["budget", "DATA", "--epsilon", "1", "--remove"], "not both"),
        (["budget", "nowhere.csv"], "no such file"),
        (["cost", "--noise-multiplier", "1", "--sample-rate", "2", "--steps", "1"], "--sample-rate 2"),
    ],
)
def test_privacy__of_what_makes_no_sense__then_is_refused(
    arguments: list[str], words: str, shell: Shell, data: str
) -> None:
    said = shell.refused(2, "privacy", *[data if one == "DATA" else one for one in arguments])
    assert words in " ".join(said.split())


def test_provide__when_the_budget_does_not_allow_it__then_is_refused_before_anything_is_spent(
    world: World, shell: Shell, data: str
) -> None:
    merger = world.party("merger")
    owner = world.party("owner")
    plain, private = world.post(owner, merger), world.post(owner, merger, PRIVATE)
    shell.run("privacy", "budget", data, "--epsilon", "0.01")
    said = shell.refused(2, "provide", str(plain), "--data", data, "--yes")
    assert "--without-noise" in said
    said = " ".join(shell.refused(2, "provide", str(private), "--data", data, "--yes").split())
    assert "Nothing was released" in said
    assert "does not suffice" in said
    shown = " ".join(shell.run("provide", str(private), "--data", data, "--yes").out.split())
    assert "a round" in shown
    assert "for all 2 rounds" in shown
    assert "it allows 0 of 2 rounds" in shown


def test_evaluation_provide__when_the_budget_does_not_allow_it__then_is_refused(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluating = make_evaluating(world)
    evaluation, reporter = evaluating.post(evaluating.party("owner")), evaluating.party("p1")
    bare = evaluating.post(world.parties["owner"], noise=0)
    shell, data = Shell(world, reporter, capsys), str(write_data(reporter.home / "data.csv", seed=1))
    shell.run("privacy", "budget", data, "--epsilon", "0.01")
    command = ["evaluation", "provide", str(evaluation), "--data", data, "--yes"]
    assert "does not suffice" in " ".join(shell.refused(2, *command).split())
    assert "without noise" in " ".join(
        shell.refused(2, "evaluation", "provide", str(bare), "--data", data, "--yes").split()
    )
    assert fedbounty(capsys, reporter, "privacy", "list", "--json").json()["charges"] == []
