"""Estimates for bounties that pay by contribution: what can honestly be said before anybody has trained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from incentives.score_settlement import ScoredRound, divide
from incentives.settlement import Settlement, settle
from incentives.shares import round_share
from ledger.cid import Digest
from ledger.records import Address, RewardRule, Terms, Wei
from ledger.score_records import Panel
from node.cli.explain_tables import dividing_rows, show_prospect
from node.explaining.by_contribution import scored_risks, scored_scenarios
from node.explaining.gas import SCORED_CLAIM_GAS, make_bill
from node.explaining.prospect import Prospect, least_and_most, make_scenarios
from tests import builders as make

pytestmark = pytest.mark.unit

EVALUATORS = tuple(Address(f"0x{place:040x}") for place in range(1, 4))
PANEL = Panel(Wei(40), Wei(15), 70, 80, 2, 300, 500, Digest(bytes(32)), EVALUATORS)
TERMS = make.terms(pot=Wei(3001), min_updates=2, max_updates=4, reward_rule=RewardRule.CONTRIBUTION)


def members(count: int) -> Settlement:
    joined = [make.joined(Address(f"0x{place:040x}"), place) for place in range(count)]
    return settle([make.posted(), *joined])


def prospect(panel: Panel | None, may_appoint: bool = False, terms: Terms = TERMS) -> Prospect:
    remaining = (1, terms.rounds)
    scenarios = make_scenarios(terms, members(2), remaining, terms.stake)
    if panel is not None:
        scenarios = scored_scenarios(terms, panel, members(2), remaining)
    return Prospect(
        bounty=make.BOUNTY,
        provider=make.ALICE,
        stake=terms.stake,
        weight=1,
        members=2,
        rule=terms.reward_rule,
        remaining=remaining,
        scenarios=scenarios,
        bill=make_bill(terms.rounds, 10, 20, {}, by_contribution=True),
        risks=scored_risks(terms, panel),
        lock_ups=(),
        shares=least_and_most(terms, remaining),
        panel=panel,
        may_appoint=may_appoint,
    )


@pytest.mark.parametrize("fee_share", [0, 300, 9_999])
def test_scored_scenarios__then_each_is_what_the_settlement_of_such_reports_pays(fee_share: int) -> None:
    panel = replace(PANEL, fee_share=fee_share)
    nothing, today, full, everything = scored_scenarios(TERMS, panel, members(2), (1, 3))
    for scenario, parts in ((nothing, (0, 9, 9)), (today, (9, 9, 9)), (full, (9, 9, 9, 9)), (everything, (9, 0, 0))):
        pays = []
        for number in (1, 2, 3):
            played = ScoredRound(round_share(TERMS, number), [True] * len(parts), [parts] * 3, [False] * 3)
            pays.append(divide(played, panel).parts[0])
        assert (scenario.in_all, scenario.a_round) == (sum(pays), (min(pays), max(pays))), scenario.assumes


@pytest.mark.parametrize(
    ("present", "updates", "said"),
    [
        (0, 2, "the average of the members of today and you, and 1 more for the quorum"),
        (2, 3, "the average of the members of today and you"),
        (9, 4, "the average of 4 a round"),
    ],
)
def test_scored_scenarios__when_few_or_many_are_members__then_the_average_is_of_a_round_that_there_can_be(
    present: int, updates: int, said: str
) -> None:
    today = scored_scenarios(TERMS, PANEL, members(present), (1, 3))[1]
    assert (today.weight, today.total, today.updates) == (1, updates, updates)
    assert today.assumes == f"yours contribute {said}"


def test_scored_risks__then_no_stake_is_lost_by_what_a_panel_finds() -> None:
    risks = scored_risks(TERMS, PANEL)
    assert {risk.stake for risk in risks} == {0}
    (equal,) = [risk.instead for risk in risks if risk.instead]
    assert equal == (1000 // 4, 1000 // 2)
    assert "2 or more of the 3 evaluators" in risks[1].case
    assert len(scored_risks(TERMS, None)) == 1


def test_make_bill__by_contribution__then_every_round_is_claimed_by_itself() -> None:
    each, once = (make_bill(5, 10, 20, {}, by_contribution=one) for one in (True, False))
    (claim,) = [line for line in each.lines if line.call == "claim"]
    assert (claim.gas, claim.times) == (SCORED_CLAIM_GAS, 5)
    assert [line.times for line in once.lines if line.call == "claim"] == [1]


def test_prospect__with_a_panel__then_it_says_who_divides_the_range_and_the_average(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_prospect(prospect(PANEL))
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "the median of 3 evaluators, whom the owner chose" in shown
    assert "from nothing to all of the share, less the fees" in shown
    assert "if every update of yours is accepted" not in shown
    found = prospect(PANEL).as_json()
    assert found["shares"] == ["1000", "1001"]
    assert found["panel"]["evaluators"] == EVALUATORS
    assert found["scenarios"][0]["in_all"] == "0"
    assert found["scenarios"][0]["break_even_token_price_wei"] is None


@pytest.mark.parametrize(("may_appoint", "said"), [(True, "look again right before you do"), (False, "can't be")])
def test_prospect__without_a_panel__then_parts_are_equal_and_it_says_whether_one_may_come(
    may_appoint: bool, said: str
) -> None:
    alone = prospect(None, may_appoint)
    assert [one.total for one in alone.scenarios] == [3, 2, 4]
    rows = dividing_rows(alone)
    assert "divided equally" in str(rows["pay by contribution"])
    assert said in str(rows["a panel later"])
