"""Bad input on the command line: one clear sentence, the exit code of its kind, and nothing spent."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ledger.devnet import fund_ether
from ledger.records import BountyId
from tests.cli.shell import Shell
from tests.integration.world import PURSE, TOKEN, World, write_data

pytestmark = pytest.mark.integration


# --- bounties ---


@pytest.mark.parametrize("command", ["provide", "aggregate", "audit", "claim", "leave", "show", "cancel"])
def test_command__when_the_bounty_is_unknown__then_refused(shell: Shell, data: str, command: str) -> None:
    arguments = ["bounty", command] if command in ("show", "cancel") else [command]
    more = ["--data", data] if command == "provide" else []
    said = shell.refused(2, *arguments, "77", *more)
    assert "There is no bounty 77" in said
    assert "fedbounty bounty list" in said


@pytest.mark.parametrize("command", ["provide", "aggregate"])
def test_command__when_the_bounty_has_ended__then_refused(
    world: World, shell: Shell, bounty: BountyId, data: str, command: str
) -> None:
    owner = world.parties["owner"]
    world.account(owner).writer.cancel(bounty)
    more = ["--data", data] if command == "provide" else []
    assert f"Bounty {bounty} is over (cancelled)" in shell.refused(2, command, str(bounty), "--yes", *more)


def test_provide__when_the_bounty_has_run_out__then_refused(world: World, shell: Shell, data: str) -> None:
    owner, merger, party = world.party("owner"), world.party("merger"), world.party("p0")
    bounty = world.post(owner, merger, rounds=1, min_updates=1, max_updates=1)
    world.play(bounty, [world.provider(party, bounty), world.aggregator(merger, bounty)])
    assert "is over (ended)" in shell.refused(2, "provide", str(bounty), "--data", data, "--yes")
    assert "is over (ended)" in shell.refused(2, "aggregate", str(bounty), "--yes")


def test_cancel__when_somebody_else_owns_the_bounty__then_the_contract_refuses(shell: Shell, bounty: BountyId) -> None:
    said = shell.refused(3, "bounty", "cancel", str(bounty), "--yes")
    assert "NotOwner" in said
    assert "name that one with --account" in said


# --- money ---


@pytest.mark.parametrize("command", ["provide", "aggregate"])
def test_command__when_there_are_too_few_tokens__then_says_how_many_are_missing(
    world: World, capsys: pytest.CaptureFixture[str], bounty: BountyId, command: str
) -> None:
    shell = Shell(world, world.party("poor", tokens=5 * TOKEN), capsys)
    data = str(write_data(shell.party.home / "data.csv", seed=1))
    if command == "provide":
        said = shell.refused(3, "provide", str(bounty), "--data", data, "--yes")
    else:
        merger = Shell(world, world.party("merging", tokens=5 * TOKEN), capsys)
        open_bounty = world.post(world.parties["owner"], merger.party)
        world.release(world.parties["owner"])
        said = merger.refused(3, "aggregate", str(open_bounty), "--yes")
    assert f"has 5 tokens ({world.token.address}) but needs" in said


def test_post__when_the_pot_is_more_than_the_balance__then_refused(shell: Shell, package: Path) -> None:
    said = shell.refused(3, "bounty", "post", str(package), "--pot", str(2 * PURSE // TOKEN), "--yes")
    assert f"has {PURSE // TOKEN} tokens (" in said


@pytest.mark.parametrize("command", ["provide", "post"])
def test_command__when_there_is_no_ether__then_refused(
    world: World, shell: Shell, bounty: BountyId, data: str, package: Path, command: str
) -> None:
    fund_ether(world.chain, shell.party.address, 0)
    poor = Shell(world, shell.party, shell.capsys)
    post = ["bounty", "post", str(package), "--pot", "10", "--yes"]
    said = poor.refused(3, *(post if command == "post" else ["provide", str(bounty), "--data", data, "--yes"]))
    assert "has 0 ether for gas but needs 0.0" in said
    assert "Fund the account" in said


def test_provide__when_the_stake_is_less_than_asked__then_refused(shell: Shell, bounty: BountyId, data: str) -> None:
    for stake in ("1", "0"):
        said = shell.refused(2, "provide", str(bounty), "--data", data, "--stake", stake, "--yes")
        assert "asks for a stake of at least 10 tokens" in said


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:77"])
def test_provide__when_there_is_no_such_device__then_refused(
    shell: Shell, bounty: BountyId, data: str, device: str
) -> None:
    said = shell.refused(2, "provide", str(bounty), "--data", data, "--device", device, "--yes")
    assert device in said
    assert "cpu" in said


@pytest.mark.parametrize("command", ["provide", "aggregate"])
def test_command__when_nobody_is_there_to_ask__then_says_how_to_go_without(
    world: World, shell: Shell, bounty: BountyId, data: str, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    someone = shell if command == "provide" else Shell(world, world.parties["merger"], shell.capsys)
    more = ["--data", data] if command == "provide" else []
    assert "add --yes" in someone.run(command, str(bounty), *more).err


# --- endpoints, chain, keys ---


@pytest.mark.parametrize("command", ["list", "audit", "provide"])
def test_command__when_the_chain_is_down__then_names_the_endpoint(
    shell: Shell, data: str, closed_port: str, command: str
) -> None:
    arguments = {"list": ["bounty", "list"], "audit": ["audit", "1"], "provide": ["provide", "1", "--data", data]}
    said = shell.refused(3, "--rpc-url", closed_port, *arguments[command])
    assert f"No answer from the Ethereum endpoint {closed_port}" in said


@pytest.mark.parametrize("command", ["audit", "provide", "aggregate", "post"])
def test_command__when_ipfs_is_down__then_names_the_endpoint(
    shell: Shell, bounty: BountyId, data: str, package: Path, closed_port: str, command: str
) -> None:
    arguments = {
        "audit": ["audit", str(bounty)],
        "provide": ["provide", str(bounty), "--data", data, "--yes"],
        "aggregate": ["aggregate", str(bounty), "--yes"],
        "post": ["bounty", "post", str(package), "--pot", "10", "--yes"],
    }
    said = shell.refused(4, "--ipfs-api", closed_port, *arguments[command])
    assert f"No answer from the IPFS endpoint {closed_port}" in said


def test_command__when_the_password_is_wrong__then_refused(shell: Shell, bounty: BountyId) -> None:
    (shell.party.home / "password").write_text("another one\n")
    said = shell.refused(2, "claim", str(bounty))
    assert "password" in said
    assert "another one" not in said


def test_command__when_the_account_is_unknown__then_names_those_that_there_are(shell: Shell, bounty: BountyId) -> None:
    said = shell.refused(2, "--account", "nobody", "claim", str(bounty))
    assert "There is no key 'nobody'" in said
    assert "me" in said


def test_command__when_no_market_is_set__then_says_where_to_set_it(shell: Shell) -> None:
    text = shell.party.config.read_text()
    shell.party.config.write_text("\n".join(line for line in text.splitlines() if not line.startswith("market")))
    assert "chain.market (FEDBOUNTY_MARKET)" in shell.refused(2, "bounty", "list")


def test_command__when_the_chain_is_another__then_refused(shell: Shell) -> None:
    text = shell.party.config.read_text()
    shell.party.config.write_text(text.replace("[chain]\n", "[chain]\nchain_id = 1\n"))
    assert "is on chain 31337, not on chain 1" in shell.refused(3, "bounty", "list")


@pytest.mark.parametrize(
    ("market", "code", "words"),
    [("0x" + "12" * 20, 3, "There is no contract at"), ("0x12", 2, "is not an Ethereum address")],
)
def test_command__when_there_is_no_market_at_the_address__then_refused(
    shell: Shell, market: str, code: int, words: str
) -> None:
    assert words in shell.refused(code, "--market", market, "bounty", "list")


def test_command__when_the_contract_is_another_one__then_refused(world: World, shell: Shell) -> None:
    assert "contract" in shell.refused(3, "--market", world.token.address, "bounty", "list")


def test_command__when_the_settings_are_wrong__then_names_every_problem(shell: Shell) -> None:
    text = shell.party.config.read_text().replace("[chain]\n", '[chain]\nchain_id = -4\ncolour = "blue"\n')
    shell.party.config.write_text(text)
    said = shell.refused(2, "bounty", "list")
    assert "chain.chain_id" in said
    assert "chain.colour" in said
