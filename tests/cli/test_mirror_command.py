"""`fedbounty mirror` in the small world: once, again, with confirmations, and under an audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.records import BountyId
from tests.cli.shell import Shell
from tests.integration.world import World

pytestmark = pytest.mark.integration


def test_mirror__run_twice__then_the_second_finds_only_what_is_new(
    world: World, shell: Shell, bounty: BountyId
) -> None:
    first = shell.run("mirror", "--json").json()
    assert first["last"] == first["head"]["number"] <= world.chain.block().number
    assert (first["first"], first["confirmations"], first["restarted"]) == (0, 0, False)
    assert first["logs"] >= first["bounties"] >= bounty
    second = shell.run("mirror", "--json").json()
    assert second["first"] == first["last"] + 1
    assert (second["file"], second["bounties"]) == (first["file"], first["bounties"])
    assert Path(first["file"]).is_relative_to(shell.party.home)
    done = shell.run("mirror")
    assert done.code == 0
    assert "up to" in done.out


def test_mirror__with_confirmations__then_ends_so_many_blocks_before_the_newest(world: World, shell: Shell) -> None:
    told = shell.run("mirror", "--json", "--confirmations", "3").json()
    newest = world.chain.block().number
    assert told["confirmations"] == 3
    assert newest - 10 < told["last"] <= newest - 3
    deep = shell.run("mirror", "--json", "--confirmations", "10000").json()
    assert (deep["last"], deep["head"], deep["bounties"]) == (-1, None, 0)
    shown = shell.run("mirror", "--confirmations", "10000")
    assert "no block is deep enough yet" in shown.out


def test_mirror__when_the_file_is_none__then_says_what_to_do(shell: Shell) -> None:
    path = shell.run("mirror", "--json").json()["file"]
    Path(path).write_bytes(b"no database" * 100)
    assert "Delete it" in shell.refused(2, "mirror")
