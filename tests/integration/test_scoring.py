"""Pay by contribution from the panel to the last unit: a liar, a silent evaluator, and a round without a quorum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.history import build_history
from ledger.records import BountyId, RewardRule, Wei
from ledger.score_history import ScoreHistory
from ledger.score_records import WHOLE, Panel, ScorePhase, ScoreState, pack, unpack
from ledger.scores import Scores, ScoreWriter
from ledger.unixfs import digest_of_file
from node.auditor.report import Verdict
from node.explaining.accounting import make_receipt
from node.explorer.scoring import Told, scoring_of
from node.provider.view import observe
from node.score_work import OtherValidation, open_score_work
from node.scorer import decisions
from node.scorer.daemon import ScorerDaemon, ScorerSetup
from node.scorer.decisions import Action, OwnReport, ScorerView
from node.scorer.journal import ScoreJournal
from tests.integration.commands import fedbounty
from tests.integration.witness import witness
from tests.integration.world import PURSE, TOKEN, WINDOW, Party, World, write_data

pytestmark = pytest.mark.integration

BOND, FORFEIT = Wei(4 * TOKEN), Wei(TOKEN)
WILD = (0, 0, WHOLE - 1)


class Evaluator(ScorerDaemon):
    """Reports `lie` where it is given, opens nothing of the rounds in `hides` and leaves those in `misses` alone."""

    lie: tuple[int, ...] = ()
    hides: tuple[int, ...] = ()
    misses: tuple[int, ...] = ()

    def observe(self) -> ScorerView:
        view = super().observe()
        kept = {number: own for number, own in view.reports.items() if number not in self.misses}
        hidden = {number: replace(own, opens=False) for number, own in kept.items() if number in self.hides}
        missed = dict.fromkeys(self.misses, OwnReport(ScoreState.COMMITTED))
        return replace(view, reports={**missed, **kept, **hidden})

    def act(self, action: Action) -> None:
        if isinstance(action, decisions.Measure) and self.lie:
            self._setup.journal.record(self._scope(action.round), pack(self.lie))
        else:
            super().act(action)


def post(
    world: World, owner: Party, merger: Party, evaluators: Sequence[Party], validation: Path, rounds: int = 3
) -> BountyId:
    """A bounty that pays by contribution, and its panel."""
    bounty = world.post(owner, merger, rounds=rounds, min_updates=3, max_updates=3, reward_rule=RewardRule.CONTRIBUTION)
    panel = Panel(
        bond=BOND,
        forfeit=FORFEIT,
        commit_seconds=WINDOW,
        reveal_seconds=WINDOW,
        quorum=2,
        fee_share=300,
        tolerance=100,
        validation=digest_of_file(validation),
        evaluators=tuple(one.address for one in evaluators),
    )
    ScoreWriter(scores_of(world), world.account(owner).transactor).appoint(bounty, panel)
    return bounty


def scores_of(world: World) -> Scores:
    return Scores(world.chain, world.market.scores())


def scorer(world: World, party: Party, bounty: BountyId, validation: Path) -> Evaluator:
    """An evaluator's daemon, as the command line puts it together."""
    scores, terms = scores_of(world), world.terms(bounty)
    panel = scores.panel(bounty)
    assert panel is not None
    work = open_score_work(world.files(party), terms, validation, panel.validation)
    transactor = world.account(party).transactor
    journal = ScoreJournal(party.home / "scores.sqlite")
    return Evaluator(ScorerSetup(world.market, scores, party.key, transactor, bounty, terms, panel, work, journal))


def parts_of(history: ScoreHistory, number: int, party: Party) -> tuple[int, ...]:
    return unpack(history.rounds[number].reveals[party.address].report, 3)


def test_scoring__with_a_liar_a_silent_one_and_no_quorum__then_medians_forfeits_and_equal_pay(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    owner, merger = world.party("owner"), world.party("merger")
    providers = [world.party(f"p{number}") for number in range(3)]
    evaluators = [world.party(f"e{number}") for number in range(3)]
    validation = write_data(tmp_path / "validation.csv", seed=99, rows=60)
    bounty = post(world, owner, merger, evaluators, validation)
    scorers = [scorer(world, one, bounty, validation) for one in evaluators]
    for one in scorers:
        one.misses = (3,)
    scorers[2].lie, scorers[2].hides = WILD, (2,)
    daemons: list[Any] = [world.provider(one, bounty, seed=number) for number, one in enumerate(providers)]

    def committed() -> bool:
        check_phases(world, bounty)
        return len(scores_of(world).history(bounty).round(1).commits) == 3

    def never() -> bool:
        check_phases(world, bounty)
        return False

    world.play(bounty, [*daemons, world.aggregator(merger, bounty), *scorers], until=committed)
    scorers[0] = scorer(world, evaluators[0], bounty, validation)  # a new process, which has only the journal
    scorers[0].misses = (3,)
    world.play(bounty, [*daemons, world.aggregator(merger, bounty), *scorers], until=never)

    history = scores_of(world).history(bounty)
    check_rounds(world, bounty, history, evaluators)
    check_money(world, bounty, history, (owner, providers, evaluators))
    check_accounts(world, bounty, providers, capsys)
    check_audit(world, bounty, validation, capsys)
    check_audit_of_mirror(world, bounty, capsys)


def check_phases(world: World, bounty: BountyId) -> None:
    """What the explorer makes of the events is what the contract says."""
    scores, block = scores_of(world), world.chain.block()
    history = build_history(world.market.events(bounty, last=block.number))
    told = Told(scores.history(bounty, block), block.timestamp, lambda number: world.chain.block(number).timestamp)
    for one in scoring_of(history, told).rounds:
        clock = scores.clock(bounty, one.number, block)
        assert (one.phase, one.ends_at) == (clock.phase.name.lower(), clock.ends_at)
        assert (one.commits, one.opened, one.faults) == (clock.commits, clock.reveals, ())


def check_rounds(world: World, bounty: BountyId, history: ScoreHistory, evaluators: Sequence[Party]) -> None:
    scored = [history.rounds[number].scored for number in (1, 2, 3)]
    assert [one.by_median for one in scored if one] == [True, True, False]
    first = unpack(scored[0].weights, 3) if scored[0] else ()
    honest = [parts_of(history, 1, one) for one in evaluators[:2]]
    assert parts_of(history, 1, evaluators[2]) == WILD
    for place, weight in enumerate(first):
        assert min(one[place] for one in honest) <= weight <= max(one[place] for one in honest)
    assert sum(first) > WHOLE * 0.99
    assert scored[1] is not None
    assert sum(unpack(scored[1].weights, 3)) > WHOLE * 0.99
    assert scored[2] is not None
    assert unpack(scored[2].weights, 3) == (1, 1, 1)
    outcomes = {
        (number, who): history.rounds[number].outcomes.get(one.address)
        for number in (1, 2, 3)
        for who, one in enumerate(evaluators)
    }
    share = [world.merged(bounty, number).claim.paid for number in (1, 2, 3)]
    fee = [paid * 300 // 10_000 // 3 for paid in share]
    found = {place: (one.fee, one.forfeited) for place, one in outcomes.items() if one}
    assert found == {
        (1, 0): (fee[0], 0),
        (1, 1): (fee[0], 0),
        (1, 2): (0, 0),
        (2, 0): (fee[1], 0),
        (2, 1): (fee[1], 0),
        (2, 2): (0, FORFEIT),
    }


def check_money(
    world: World, bounty: BountyId, history: ScoreHistory, people: tuple[Party, Sequence[Party], Sequence[Party]]
) -> None:
    """Every unit: pay by weights, fees and forfeits, the rest to the owner, and nothing left behind."""
    owner, providers, evaluators = people
    paid = {one.address: 0 for one in providers}
    for number, one in history.rounds.items():
        assert one.scored is not None
        weights = unpack(one.scored.weights, 3)
        for shown in world.history(bounty).rounds[number].reveals:
            paid[shown.provider] += one.scored.pot * weights[shown.index] // max(1, sum(weights))
    assert [world.balance(one) for one in providers] == [PURSE + paid[one.address] for one in providers]
    fees = sum(one.fee for scored in history.rounds.values() for one in scored.outcomes.values())
    assert world.balance(evaluators[0]) == PURSE + fees // 2
    assert world.balance(evaluators[2]) == PURSE - FORFEIT
    scores = scores_of(world)
    rest = scores.rest(bounty)
    assert rest == sum(one.scored.rest for one in history.rounds.values() if one.scored)
    if rest:
        ScoreWriter(scores, world.account(owner).transactor).return_rest(bounty)
    assert world.balance(scores.address) == 0
    assert world.balance(world.market.address) == 0
    assert world.balance(owner) == PURSE - sum(paid.values()) - fees + FORFEIT


def check_accounts(
    world: World, bounty: BountyId, providers: Sequence[Party], capsys: pytest.CaptureFixture[str]
) -> None:
    """`explain` shows each provider its pay to the unit, and that it follows from what evaluators opened."""
    for one in providers:
        view = observe(world.market, bounty, world.terms(bounty), one.address, None)
        kept = {number: world.market.merge(bounty, number) for number in (1, 2, 3)}
        receipt = make_receipt(view, {number: merge for number, merge in kept.items() if merge})
        assert not receipt.differences
        assert PURSE + receipt.earned == world.balance(one)
        assert receipt.claimed == receipt.earned
        assert receipt.claimable == 0
    done = fedbounty(capsys, providers[0], "explain", str(bounty), "--json")
    assert done.code == 0, done.err
    assert done.json()["reward_rule"] == "contribution"
    assert sum(int(one["amount"]) for one in done.json()["rounds"]) == world.balance(providers[0]) - PURSE


def check_audit(world: World, bounty: BountyId, validation: Path, capsys: pytest.CaptureFixture[str]) -> None:
    auditor = world.party("auditor")
    report = world.audit(auditor, bounty)
    assert report.verdict == Verdict.OK, report.all_differences
    done = fedbounty(capsys, auditor, "audit", str(bounty), "--validation", str(validation), "--json")
    assert done.code == 0, done.out + done.err
    scored = done.json()["scoring"]
    assert [one["by_median"] for one in scored] == [True, True, False]
    away = [one["away"] for one in scored[0]["evaluators"]]
    assert away[0] < 1e-4
    assert away[1] < 1e-4
    assert away[2] > 0.1


def check_audit_of_mirror(world: World, bounty: BountyId, capsys: pytest.CaptureFixture[str]) -> None:
    """The same report, and no log is asked for beyond what the mirror has."""
    reader = world.party("reader")
    with witness(world.chain.rpc_url) as seen:
        reader.config.write_text(reader.config.read_text().replace(world.chain.rpc_url, seen.url))
        head = fedbounty(capsys, reader, "mirror", "--json").json()["last"]
        seen.logs.clear()
        mirrored = fedbounty(capsys, reader, "audit", str(bounty), "--mirror", "--json")
        assert all(first > head for first in seen.logs)
        direct = fedbounty(capsys, reader, "audit", str(bounty), "--json")
        assert 0 in seen.logs
    assert mirrored.code == 0, mirrored.out + mirrored.err
    blocks = dict.fromkeys(("block", "block_hash"))
    assert mirrored.json() | blocks == direct.json() | blocks
    assert len(mirrored.json()["scoring"]) == 3


def test_open_score_work__with_another_file__then_it_is_refused(world: World, tmp_path: Path) -> None:
    owner, merger = world.party("owner"), world.party("merger")
    evaluators = [world.party(f"e{number}") for number in range(3)]
    validation, other = write_data(tmp_path / "validation.csv", 99), write_data(tmp_path / "other.csv", 98)
    bounty = post(world, owner, merger, evaluators, validation)
    with pytest.raises(OtherValidation, match="is not the panel's validation file"):
        scorer(world, evaluators[0], bounty, other)
    assert scores_of(world).clock(bounty, 1).phase == ScorePhase.NONE
