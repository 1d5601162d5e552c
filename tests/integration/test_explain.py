"""`fedbounty explain` on real bounties: before joining, while pay vests, and after it was claimed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ledger.merge_records import GivenReason, Reason
from ledger.records import BountyId
from node.explaining.published import judge
from node.explaining.receipt import Judgement, Verdict
from tests.integration import forgery, liars
from tests.integration.commands import Done, fedbounty
from tests.integration.forgery import forging
from tests.integration.world import WINDOW, Party, Stage, World, make_world

pytestmark = pytest.mark.integration


class Terminal:
    """Parties that ask what they are paid."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str], bounty: BountyId) -> None:
        self.world, self.capsys, self.bounty = world, capsys, bounty

    def run(self, party: Party, *arguments: str, command: str = "explain") -> Done:
        self.world.release(party)
        return fedbounty(self.capsys, party, command, str(self.bounty), *arguments)

    def text(self, party: Party, *arguments: str) -> str:
        """What is printed, as one line."""
        return " ".join(self.run(party, *arguments).out.replace("│", " ").split())


def play_a_lie(world: World) -> BountyId:
    """A merged bounty of one round, in which one of three updates is other bytes than were revealed."""
    owner, merger, liar = world.party("owner"), world.party("merger"), world.party("liar")
    bounty = world.post(owner, merger, rounds=1, min_updates=2, max_updates=3)
    providers = [
        forging(world, world.party("p0"), bounty, forgery.honest, 0),
        forging(world, world.party("p1"), bounty, forgery.honest, 1),
        forging(world, liar, bounty, forgery.other_bytes, 2),
    ]
    daemons = [*providers, world.aggregator(merger, bounty)]
    world.play(bounty, daemons, until=lambda: bool(world.history(bounty).merged_rounds))
    return bounty


@pytest.fixture
def terminal(world: World, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(world, capsys, play_a_lie(world))


Judging = Callable[[int, GivenReason], Judgement]


@pytest.fixture(scope="module")
def judging(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judging]:
    """Judges a reason for leaving out an update by its reveal index: 0 and 1 are right, 2 is other bytes."""
    world = make_world(stage, tmp_path_factory.mktemp("judged"))
    bounty = play_a_lie(world)
    files, history, merged = world.files(world.parties["p0"]), world.history(bounty), world.merged(bounty, 1)
    reveals = history.rounds[1].reveals
    yield lambda index, reason: judge(files, history, merged, reveals[index], reason)
    world.close()


def test_explain__when_paid_and_rejected__then_every_unit_is_recomputed(world: World, terminal: Terminal) -> None:
    honest, liar = world.parties["p0"], world.parties["liar"]
    pot = world.terms(terminal.bounty).pot
    done = terminal.run(honest, "--json")
    assert done.code == 0, done
    before = done.json()
    assert (before["earned"], before["vested"], before["claimable"]) == (str(pot // 2), "0", "0")
    (one,) = before["rounds"]
    division = {"pool": str(pot), "weight": 1, "total_weight": 2, "amount": str(pot // 2), "remainder": "1"}
    assert division.items() <= one["division"].items()
    assert {check["what"] for check in one["checks"]} == {"weight", "payout root", "paid by the round"}
    assert before["unvested"] == [{"vests_at": one["vests_at"], "amount": str(pot // 2)}]

    world.travel(WINDOW + 1)
    assert f"claim your pay: fedbounty claim {terminal.bounty}" in terminal.text(honest)
    assert terminal.run(honest, command="claim").code == 0
    after = terminal.run(honest, "--json").json()
    assert (after["claimed"], after["claimable"], after["matches"]) == (str(pot // 2), "0", True)
    assert f"{pot} × 1 // 2 = {pot // 2} units" in terminal.text(honest, "--round", "1")

    rejected = terminal.run(liar, "--json").json()
    (one,) = rejected["rounds"]
    assert (one["amount"], one["reason"]["name"], one["judgement"]["verdict"]) == ("0", "wrong-root", "holds")
    assert "the root of the bytes is" in one["reported_by_the_merger"]
    text = terminal.text(liar)
    assert "your update was left out as wrong-root" in text
    assert "reported by the merger: the root of the bytes is" in text
    offline = terminal.run(liar, "--no-files", "--json").json()["rounds"][0]
    assert (offline["judgement"], offline["reported_by_the_merger"]) == (None, "")


@pytest.mark.parametrize(
    ("whose", "reason", "verdict"),
    [
        (0, GivenReason(Reason.WRONG_ROOT), Verdict.WRONG),
        (0, GivenReason(Reason.OUT_OF_RANGE), Verdict.WRONG),
        (0, GivenReason(Reason.COPIED, 1), Verdict.WRONG),
        (0, GivenReason(Reason.STALE, 0), Verdict.WRONG),
        (0, GivenReason(Reason.HARMFUL), Verdict.WRONG),
        (0, GivenReason(99), Verdict.WRONG),
        (0, GivenReason(Reason.UNAVAILABLE), Verdict.OPEN),
        (2, GivenReason(Reason.WRONG_ROOT), Verdict.HOLDS),
        (2, GivenReason(Reason.MALFORMED), Verdict.WRONG),
        (2, GivenReason(Reason.WRONG_NORM), Verdict.OPEN),
    ],
)
def test_judge__when_a_reason_is_given__then_the_file_tells(
    judging: Judging, whose: int, reason: GivenReason, verdict: Verdict
) -> None:
    assert judging(whose, reason).verdict == verdict


@pytest.mark.parametrize("lie", [liars.rejected, liars.moved_wei])
def test_explain__when_the_merger_lied__then_exit_code_1_and_the_challenge(
    world: World, capsys: pytest.CaptureFixture[str], lie: liars.Lie
) -> None:
    merger, parties = world.party("merger"), [world.party("a"), world.party("b")]
    bounty = world.post(world.party("owner"), merger, rounds=1, min_updates=2, max_updates=2)
    providers = [forging(world, party, bounty, forgery.honest, place) for place, party in enumerate(parties)]
    aggregator = world.aggregator(merger, bounty, liars.lying(world.merge_work(merger, bounty), lie))
    world.play(bounty, [*providers, aggregator], until=lambda: bool(world.history(bounty).merged_rounds))
    terminal = Terminal(world, capsys, bounty)
    told = [terminal.run(party, "--json") for party in parties]
    assert 1 in {done.code for done in told}
    blamed = next(done.json() for done in told if done.code == 1)
    assert blamed["wrongly_rejected_in"] == [1] or not blamed["matches"]
    assert blamed["next"][-1]["command"] == f"fedbounty audit {bounty} --challenge"


def test_explain__when_not_joined__then_an_estimate_net_of_gas(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    me = world.party("me")
    bounty = world.post(world.party("owner"), world.party("merger"))
    terminal, terms = Terminal(world, capsys, bounty), world.terms(bounty)
    guess = terminal.run(me, "--json", "--token-price", "0.01").json()
    assert (guess["kind"], guess["first_round"], guess["last_round"]) == ("estimate", 1, 2)
    best = guess["scenarios"][1]
    assert int(best["in_all"]) == terms.pot // 2 - (terms.pot % 4 == 3)
    gas = guess["gas"]
    assert int(best["net_wei"]) == int(best["in_all"]) // 100 - int(gas["cost_wei"])
    assert gas["gas"] == sum(call["gas"] * call["times"] for call in gas["calls"])
    assert not any(call["estimated_by_the_node"] for call in gas["calls"])
    assert int(max(guess["risks"], key=lambda risk: int(risk["loses_of_stake"]))["loses_of_stake"]) == terms.stake

    account = world.account(me)
    world.token.ensure_allowance(account.transactor, world.market.address, terms.stake)
    calls = terminal.run(me, "--json").json()["gas"]["calls"]
    promised = next(call["gas"] for call in calls if call["call"] == "join" and call["estimated_by_the_node"])
    used = world.account(me).writer.join(bounty, terms.stake, b"\xff" * 32, me.store.addresses()[0]).gas_used
    assert abs(promised - used) < used // 10
    assert "matches the record" in terminal.text(me)


def test_explain__when_there_is_nothing_to_explain__then_it_says_so(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    me, owner = world.party("me"), world.party("owner")
    terminal = Terminal(world, capsys, world.post(owner, world.party("merger")))

    def refused(*arguments: str) -> str:
        done = terminal.run(me, *arguments)
        assert done.code == 2, done
        return " ".join(done.err.split())

    assert "has no round 1. No round has been opened so far" in refused("--round", "1")
    assert "--provider" in refused("--provider", "0x12")
    assert "asks for a stake of at least 10 tokens" in refused("--stake", "1")
    assert "is not an amount of tokens" in refused("--token-price", "cheap")
    assert terminal.run(owner, command="bounty").code == 2
    unknown = Terminal(world, capsys, BountyId(99)).run(me)
    assert (unknown.code, "There is no bounty 99" in unknown.err) == (2, True)
