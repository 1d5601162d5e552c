"""How commands ask and print."""

from __future__ import annotations

import io

import pytest
import typer
from typer.testing import CliRunner

from ledger.errors import BadInput
from node.cli.output import asked, confirm, grid, pairs

pytestmark = pytest.mark.unit

TITLE = "a title that is much longer than what stands below it"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def refuse() -> str:
    raise typer.Abort


def test_asked__when_input_has_ended__then_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(BadInput, match="add --yes"):
        asked("Nobody is here: add --yes.", refuse)


def test_asked__when_a_person_stops_it__then_it_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    with pytest.raises(typer.Abort):
        asked("Nobody is here: add --yes.", refuse)


def test_confirm__when_the_answer_is_no__then_the_command_ends_as_for_bad_input() -> None:
    app = typer.Typer()
    app.command()(lambda: confirm("Lock a stake?", yes=False))
    ended = CliRunner().invoke(app, input="n\n")
    assert (ended.exit_code, "Lock a stake?" in ended.stderr) == (2, True)


def test_tables__when_the_title_is_longer_than_the_rows__then_it_stays_on_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pairs(TITLE, {"a": 1})
    grid(TITLE, ["a"], [["1"]])
    assert capsys.readouterr().out.splitlines().count(TITLE) == 2
