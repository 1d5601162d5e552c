"""What commands say when all is well: `--json` of every reading command, and a whole bounty typed by hand."""

from __future__ import annotations

import pytest

from ledger.records import BountyId
from tests.cli.shell import Shell
from tests.integration.commands import fedbounty
from tests.integration.world import PURSE, TOKEN, WINDOW, World

pytestmark = pytest.mark.integration


@pytest.fixture
def finished(world: World) -> BountyId:
    """A bounty of one round whose provider has not claimed yet."""
    owner, merger, party = world.party("owner"), world.party("merger"), world.party("p0")
    bounty = world.post(owner, merger, rounds=1, min_updates=1, max_updates=1)
    daemons = [world.provider(party, bounty), world.aggregator(merger, bounty)]
    world.play(bounty, daemons, until=lambda: bool(world.history(bounty).merged_rounds))
    world.travel(WINDOW + 1)
    for one in (owner, merger, party):
        world.release(one)
    return bounty


def test_commands__with_and_without_json__then_one_document_or_a_table(shell: Shell, finished: BountyId) -> None:
    for command in ("bounty list", f"bounty show {finished}", f"audit {finished}", "key list"):
        done = shell.run(*command.split(), "--json")
        assert (done.code, done.out.count("\n")) == (0, 1), command
        assert done.json()
        done = shell.run(*command.split())
        assert done.code == 0, command
        assert len(done.out.splitlines()) > 2


def test_show__when_a_round_was_merged__then_says_what_it_held(world: World, shell: Shell, finished: BountyId) -> None:
    details = shell.run("bounty", "show", str(finished), "--json").json()
    assert details["phase"] == "ended"
    assert details["members"] == [{"index": 0, "provider": world.parties["p0"].address, "stake": str(10 * TOKEN)}]
    (one,) = details["rounds"]
    assert (one["state"], one["commits"], one["accepted"], one["rejected"]) == ("merged", 1, 1, 0)
    assert int(one["paid"]) == world.terms(finished).pot


def test_list__when_nothing_was_posted__then_says_so(shell: Shell) -> None:
    assert "No bounty was posted yet" in shell.run("bounty", "list").out
    assert shell.run("bounty", "list", "--json").json() == []


def test_claim__when_the_bounty_is_over__then_takes_pay_and_stake_once(
    world: World, capsys: pytest.CaptureFixture[str], finished: BountyId
) -> None:
    party, pot = world.parties["p0"], world.terms(finished).pot
    left = fedbounty(capsys, party, "leave", str(finished), "--yes")
    assert left.code == 2
    assert f"`fedbounty claim {finished}` takes the stake" in " ".join(left.err.split())
    first = fedbounty(capsys, party, "claim", str(finished), "--json").json()
    assert (int(first["claimed"]), int(first["stake_returned"])) == (pot, 10 * TOKEN)
    assert world.balance(party) == PURSE + pot
    again = fedbounty(capsys, party, "claim", str(finished), "--json").json()
    assert (again["claimed"], int(again["claimed_in_all"]), again["waiting"]) == (0, pot, [])


def test_provide__after_the_end__then_a_member_gets_pay_and_stake(
    world: World, capsys: pytest.CaptureFixture[str], finished: BountyId
) -> None:
    party = world.parties["p0"]
    done = fedbounty(capsys, party, "provide", str(finished), "--data", str(party.home / "data.csv"), "--yes")
    assert done.code == 0, done.err
    assert world.balance(party) == PURSE + world.terms(finished).pot
    merger = world.parties["merger"]
    assert fedbounty(capsys, merger, "aggregate", str(finished), "--yes").code == 0
    assert world.balance(merger) == PURSE
    assert world.balance(world.market.address) == 0


def test_post__with_json__then_cancel_gives_the_pot_back(world: World, shell: Shell) -> None:
    posted = shell.run("bounty", "post", str(world.stage.package), "--pot", "12.5", "--json").json()
    assert world.balance(shell.party) == PURSE - 12 * TOKEN - TOKEN // 2
    assert posted["owner"] == shell.party.address
    cancelled = shell.run("bounty", "cancel", str(posted["bounty"]), "--json").json()
    assert int(cancelled["refunded"]) == 12 * TOKEN + TOKEN // 2
    assert world.balance(shell.party) == PURSE


def test_leave__when_a_member_before_the_first_round__then_claim_returns_the_stake(world: World, shell: Shell) -> None:
    bounty = world.post(world.party("owner"), world.party("merger"))
    account = world.account(shell.party)
    world.token.ensure_allowance(account.transactor, world.market.address, world.terms(bounty).stake)
    account.writer.join(bounty, world.terms(bounty).stake, bytes(32), "")
    world.release(shell.party)
    assert shell.run("leave", str(bounty), "--yes").code == 0
    again = shell.run("leave", str(bounty), "--yes")
    assert again.code == 0
    assert "has left bounty" in " ".join(again.out.split())
    world.travel(4 * WINDOW)
    done = shell.run("claim", str(bounty), "--json")
    assert int(done.json()["stake_returned"]) == world.terms(bounty).stake
    assert world.balance(shell.party) == PURSE
    assert "not a member" in " ".join(shell.run("leave", str(bounty), "--yes").out.split())


def test_key__when_made__then_listed_and_never_overwritten(shell: Shell) -> None:
    made = shell.run("key", "new", "second", "--json").json()
    assert {"name": "second", "address": made["address"]} in shell.run("key", "list", "--json").json()
    assert "There is a key second" in shell.refused(2, "key", "new", "second")


def test_fund__then_the_account_has_ether_and_tokens(world: World, shell: Shell) -> None:
    funded = shell.run("fund", "--amount", "2.5", "--json").json()
    assert funded["account"] == shell.party.address
    assert world.balance(shell.party) == PURSE + 5 * TOKEN // 2
