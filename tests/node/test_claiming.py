"""What is an account's own in a bounty, whatever its part: what it takes now, and what it waits for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.cid import Digest
from ledger.history import build_history
from ledger.records import Address, Ended, Event, Lapsed, Money, Phase, RewardRule, Timestamp, Wei
from ledger.score_history import ScoreHistory
from ledger.score_records import Evaluator, Panel, PanelAppointed, ScoreClock, ScorePhase
from node.aggregator.decisions import Refund, Settle, WithdrawBond
from node.claiming.decisions import Own, ReturnRest, Taking, takings, undivided, unwritten
from node.claiming.view import ClaimView
from node.claiming.waiting import Waiting, waiting
from node.provider.decisions import ProviderView, SettleScored, WithdrawStake
from node.provider.view import vested_total
from node.scored_rounds import Scoring
from node.scorer.decisions import Collect, Withdraw
from tests import builders as make

pytestmark = pytest.mark.unit

JOINED: list[Event] = [make.posted(), make.joined(make.ALICE, 0), make.opened(1, 3)]
REVEALED: list[Event] = [*JOINED, make.committed(make.ALICE, 1, 4), make.revealed(make.ALICE, 1, 0, 5)]
MERGED: list[Event] = [*REVEALED, make.merged(1, 6)]
ENDED: list[Event] = [*MERGED, Ended(make.at(7), make.BOUNTY, Timestamp(1007))]
VESTS_AT = Timestamp(1026)
LATER = Timestamp(2000)
EVALUATORS = tuple(Address(f"0x{place:040x}") for place in range(1, 4))
PANEL = Panel(Wei(40), Wei(15), 70, 80, 2, 300, 500, Digest(bytes(32)), EVALUATORS)
BONDED = Evaluator(Wei(40), Wei(6), 1, 1)


def view(
    phase: Phase, events: list[Event], account: Address = make.ALICE, provider: dict[str, Any] | None = None, **own: Any
) -> ClaimView:
    """A view after the merge of round 1 has vested, unless `provider` says another time."""
    history = build_history(events)
    now = (provider or {}).get("now", LATER)
    seen = ProviderView(
        now=now,
        account=account,
        terms=history.posted.terms,
        clock=make.clock(phase),
        standing=make.standing(stake=Wei(100 if account == make.ALICE else 0)),
        open_commitment=None,
        history=history,
        made=None,
        vested_total=vested_total(history, account, now),
    )
    base = ClaimView(
        provider=replace(seen, **(provider or {})),
        owner=make.OWNER,
        money=Money(Wei(0), Wei(0)),
        bond=Wei(0),
        bond_free_at=Timestamp(0),
        seat=None,
        rest=Wei(0),
    )
    return replace(base, **own)


def scored(phase: ScorePhase, ends_at: int = 0) -> Scoring:
    history = ScoreHistory(PanelAppointed(make.at(1), make.BOUNTY, PANEL))
    return Scoring(history, {1: ScoreClock(phase, Timestamp(ends_at), 0, 0)})


def by_contribution(events: list[Event]) -> list[Event]:
    return [make.posted(reward_rule=RewardRule.CONTRIBUTION), *events[1:]]


def kinds(found: list[Taking] | list[Waiting]) -> list[Own]:
    return [one.own for one in found]


# --- providers ---


def test_takings__when_a_bounty_has_ended__then_a_provider_that_never_left_gets_pay_and_stake() -> None:
    ended = view(Phase.ENDED, ENDED)
    assert [(one.own, one.amount) for one in takings(ended)] == [(Own.STAKE, 100), (Own.PAY, 300)]
    assert waiting(replace(ended, provider=replace(ended.provider, standing=make.standing(stake=Wei(0))))) == []


def test_waiting__before_the_merge_vests__then_pay_and_stake_with_their_time() -> None:
    early = view(Phase.ENDED, ENDED, provider={"now": Timestamp(1010)})
    assert takings(early) == []
    assert [(one.own, one.amount, one.free_at) for one in waiting(early)] == [
        (Own.PAY, 300, VESTS_AT),
        (Own.STAKE, 100, VESTS_AT),
    ]


def test_waiting__while_rounds_run__then_the_stake_has_no_time_yet() -> None:
    running = view(Phase.COMMIT, MERGED, provider={"standing": make.standing(claimed=Wei(300))})
    assert takings(running) == []
    (stake,) = waiting(running)
    assert (stake.own, stake.amount, stake.free_at) == (Own.STAKE, 100, None)
    assert "fedbounty leave 7" in stake.why


@pytest.mark.parametrize(("held_until", "takes"), [(0, [Own.STAKE]), (3000, [])])
def test_takings__when_a_member_has_left__then_the_stake_unless_a_proof_holds_it(
    held_until: int, takes: list[Own]
) -> None:
    standing = make.standing(claimed=Wei(300), unlocks_at=Timestamp(1900))
    left = view(Phase.COMMIT, MERGED, provider={"standing": standing, "held_until": Timestamp(held_until)})
    assert kinds(takings(left)) == takes
    assert [one.free_at for one in waiting(left)] == ([] if takes else [held_until])


def test_takings__when_a_forfeit_is_due__then_the_stake_is_what_is_left_of_it() -> None:
    (stake, _) = takings(view(Phase.ENDED, ENDED, provider={"forfeit_due": True}))
    assert (stake.amount, stake.action) == (70, WithdrawStake())


def test_takings__when_cancelled__then_the_stake_at_once() -> None:
    assert kinds(takings(view(Phase.CANCELLED, JOINED[:2]))) == [Own.STAKE]


# --- what is written down first ---


def test_unwritten__when_the_end_is_a_fact_that_nobody_wrote_down__then_who_gains_by_it_does() -> None:
    assert unwritten(view(Phase.ENDED, REVEALED)) == [Settle()]
    assert unwritten(view(Phase.ENDED, REVEALED, make.OWNER)) == [Settle()]
    assert unwritten(view(Phase.ENDED, REVEALED, make.AGGREGATOR, bond=Wei(50))) == [Settle()]
    assert unwritten(view(Phase.ENDED, REVEALED, make.BOB)) == []
    assert unwritten(view(Phase.ENDED, ENDED)) == []


def test_unwritten__when_a_lapse_has_opened_the_next_round__then_whoever_revealed_writes_it_down() -> None:
    lapsed = {"clock": make.clock(Phase.COMMIT, 2)}
    assert unwritten(view(Phase.COMMIT, REVEALED, provider=lapsed)) == [Settle()]
    assert unwritten(view(Phase.COMMIT, REVEALED, make.OWNER, provider=lapsed)) == []
    written = [*REVEALED, Lapsed(make.at(6), make.BOUNTY, 1, 1, Wei(80)), make.opened(2, 6)]
    after = view(Phase.COMMIT, written, provider=lapsed)
    assert unwritten(after) == []
    assert [(one.own, one.amount) for one in takings(after)] == [(Own.LAPSED, 80)]


# --- owners and aggregators ---


def test_takings__when_a_bounty_has_ended__then_the_owner_gets_what_is_free() -> None:
    money = Money(Wei(1), Wei(600))
    assert takings(view(Phase.ENDED, ENDED, make.OWNER, money=money)) == [Taking(Own.REFUND, Wei(600), Refund())]
    assert takings(view(Phase.ENDED, ENDED, make.BOB, money=money)) == []
    for phase, events, free_at in (
        (Phase.JOINING, JOINED[:2], None),
        (Phase.COMMIT, MERGED, None),
        (Phase.ENDED, ENDED, VESTS_AT),
    ):
        early = view(phase, events, make.OWNER, {"now": Timestamp(1010)}, money=money)
        assert takings(early) == []
        assert [(one.own, one.amount, one.free_at) for one in waiting(early)] == [(Own.REFUND, 600, free_at)]


def test_takings__when_an_aggregator_has_a_bond__then_it_is_free_after_the_end() -> None:
    bonded = {"bond": Wei(50), "bond_free_at": VESTS_AT}
    assert takings(view(Phase.ENDED, ENDED, make.AGGREGATOR, **bonded)) == [Taking(Own.BOND, Wei(50), WithdrawBond())]
    running = view(Phase.COMMIT, MERGED, make.AGGREGATOR, **bonded)
    assert takings(running) == []
    assert [(one.own, one.free_at) for one in waiting(running)] == [(Own.BOND, None)]
    early = view(Phase.ENDED, ENDED, make.AGGREGATOR, {"now": Timestamp(1010)}, **bonded)
    assert [(one.own, one.free_at) for one in waiting(early)] == [(Own.BOND, VESTS_AT)]


# --- by contribution ---


def test_undivided__when_a_round_is_due__then_its_providers_evaluators_and_in_the_end_the_owner_divide_it() -> None:
    due = {"scoring": scored(ScorePhase.DUE)}
    running, ended = by_contribution(MERGED), by_contribution(ENDED)
    assert undivided(view(Phase.COMMIT, running, provider=due)) == [SettleScored(1)]
    assert undivided(view(Phase.COMMIT, running, make.BOB, due)) == []
    assert undivided(view(Phase.COMMIT, running, EVALUATORS[0], due, seat=BONDED)) == [SettleScored(1)]
    assert undivided(view(Phase.COMMIT, running, make.OWNER, due)) == []
    assert undivided(view(Phase.ENDED, ended, make.OWNER, due)) == [SettleScored(1)]
    measured = {"scoring": scored(ScorePhase.COMMIT)}
    assert undivided(view(Phase.ENDED, ended, make.OWNER, measured)) == []
    assert undivided(view(Phase.ENDED, ENDED)) == []


def test_takings__when_the_panel_left_something__then_it_is_the_owners_at_any_time() -> None:
    rest = Taking(Own.REST, Wei(9), ReturnRest())
    for phase, events in ((Phase.COMMIT, MERGED), (Phase.ENDED, ENDED)):
        settled = {"scoring": scored(ScorePhase.SETTLED)}
        assert takings(view(phase, by_contribution(events), make.OWNER, settled, rest=Wei(9))) == [rest]
        assert takings(view(phase, by_contribution(events), make.BOB, settled, rest=Wei(9))) == []


def test_takings__when_an_evaluator__then_fees_at_once_and_the_bond_when_all_is_divided() -> None:
    fees, bond = Taking(Own.FEES, Wei(6), Collect()), Taking(Own.EVALUATOR_BOND, Wei(40), Withdraw())
    settled, measured = {"scoring": scored(ScorePhase.SETTLED)}, {"scoring": scored(ScorePhase.COMMIT)}
    done = replace(BONDED, open=0)
    running, ended = by_contribution(MERGED), by_contribution(ENDED)
    assert takings(view(Phase.COMMIT, running, EVALUATORS[0], settled, seat=done)) == [fees]
    assert takings(view(Phase.ENDED, ended, EVALUATORS[0], settled, seat=done)) == [fees, bond]
    early = view(Phase.ENDED, ended, EVALUATORS[0], measured, seat=BONDED)
    assert takings(early) == [fees]
    assert kinds(waiting(early)) == [Own.FEES, Own.EVALUATOR_BOND]
    assert [one.why for one in waiting(early)] == [
        "1 of your reports wait for their rounds to be settled",
        "round 1 is not divided yet",
    ]


@pytest.mark.parametrize(
    ("phase", "ends_at", "said"),
    [
        (ScorePhase.WAITING, 1026, "can still be proven wrong"),
        (ScorePhase.COMMIT, 1096, "evaluators measure it"),
        (ScorePhase.REVEAL, 1110, "evaluators open their reports"),
    ],
)
def test_waiting__when_a_round_is_being_scored__then_a_provider_is_told_for_what_and_until_when(
    phase: ScorePhase, ends_at: int, said: str
) -> None:
    measured = {"scoring": scored(phase, ends_at), "standing": make.standing(stake=Wei(0))}
    (pay,) = waiting(view(Phase.COMMIT, by_contribution(MERGED), provider=measured))
    assert (pay.own, pay.amount, pay.free_at) == (Own.SCORED, None, ends_at)
    assert said in pay.why
    assert pay.as_json()["what"] == "pay by contribution"
