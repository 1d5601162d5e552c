"""Pay by contribution in the explorer: what its pages say of panels, phases, divisions and faults."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.cid import Digest
from ledger.history import BountyHistory, build_history
from ledger.records import Address, Event, RewardRule, Timestamp, Wei
from ledger.score_history import build_scores
from ledger.score_records import (
    WHOLE,
    EvaluatorBonded,
    EvaluatorSettled,
    FeesCollected,
    Panel,
    PanelAppointed,
    RoundScored,
    ScoreClaimed,
    ScoreClock,
    ScoreEvent,
    ScorePhase,
    ScoresCommitted,
    ScoresRevealed,
    pack,
)
from node.explorer.account_page import KnownBounty, account_page
from node.explorer.bounty_page import BountyPage, bounty_page
from node.explorer.round_page import RoundPage, round_page
from node.explorer.scoring import Scoring, Told, scoring_of
from node.explorer.scoring_clock import scoring_clock
from node.explorer.shelf import Missing
from tests import builders as make
from tests.node.rendered import rendered

pytestmark = pytest.mark.unit

EVALUATORS = tuple(Address("0x" + pair * 20) for pair in ("71", "72", "73"))
ANN, BEN, CAT = EVALUATORS
PANEL = Panel(Wei(40), Wei(15), 10, 10, 2, 1000, 100, Digest(make.word("validation")), EVALUATORS)
VESTS = 1028
HALVES, WILD = (WHOLE // 2 - 1, WHOLE // 2 - 1), (0, WHOLE - 1)
LATE = Timestamp(10**6)
AT = make.at


def story() -> BountyHistory:
    """Alice's and Bob's updates are merged in round 1, whose 300 vest at 1028."""
    events: list[Event] = [
        make.posted(reward_rule=RewardRule.CONTRIBUTION, min_updates=2),
        make.joined(make.ALICE, 0),
        make.joined(make.BOB, 1),
        make.opened(1, 3),
        make.revealed(make.ALICE, 1, 0, 6),
        make.revealed(make.BOB, 1, 1, 7),
        make.merged(1, 8, reveals=2, paid=Wei(300), payout_leaves=2),
    ]
    return build_history(events)


def committed(*evaluators: Address, block: int = 30) -> list[ScoreEvent]:
    return [ScoresCommitted(AT(block, n), make.BOUNTY, 1, who, bytes(31)) for n, who in enumerate(evaluators)]


def opened(evaluator: Address, parts: tuple[int, ...], block: int = 40) -> ScoresRevealed:
    return ScoresRevealed(AT(block), make.BOUNTY, 1, evaluator, pack(parts), bytes(32))


def settled(evaluator: Address, fee: int, forfeited: int) -> EvaluatorSettled:
    return EvaluatorSettled(AT(50), make.BOUNTY, 1, evaluator, Wei(fee), Wei(forfeited))


APPOINTED = PanelAppointed(AT(1, 5), make.BOUNTY, PANEL)
BONDS = [EvaluatorBonded(AT(2, 10 + n), make.BOUNTY, who, Wei(40)) for n, who in enumerate(EVALUATORS)]
BY_MEDIANS: list[ScoreEvent] = [
    APPOINTED,
    *BONDS,
    *committed(ANN, BEN, CAT),
    opened(ANN, HALVES),
    opened(BEN, HALVES),
    settled(ANN, 10, 0),
    settled(BEN, 10, 0),
    settled(CAT, 0, 15),
    RoundScored(AT(50, 9), make.BOUNTY, 1, True, Wei(300), Wei(295), Wei(1), pack(HALVES)),
]
EQUALLY: list[ScoreEvent] = [
    APPOINTED,
    RoundScored(AT(50, 9), make.BOUNTY, 1, False, Wei(300), Wei(300), Wei(0), pack((1, 1))),
]
NOTHING = RoundScored(AT(50), make.BOUNTY, 1, True, Wei(300), Wei(280), Wei(280), pack((0, 0)))


def scoring(events: list[ScoreEvent], now: int = LATE) -> Scoring:
    return scoring_of(story(), Told(build_scores(events), Timestamp(now), lambda block: Timestamp(1000 + block)))


def bounty_with(events: list[ScoreEvent]) -> BountyPage:
    return bounty_page(story(), "digits", "", LATE, lambda merged: Missing("QmX"), scoring(events))


def round_with(events: list[ScoreEvent], now: int = LATE) -> RoundPage:
    return round_page(story(), 1, None, scoring(events, now))


# --- phases ---


@pytest.mark.parametrize(
    ("now", "events", "phase", "ends_at"),
    [
        (VESTS - 1, [APPOINTED], "waiting", VESTS),
        (VESTS, [APPOINTED], "commit", VESTS + 10),
        (VESTS, [], "due", 0),
        (VESTS + 9, [APPOINTED, *committed(ANN, BEN)], "commit", VESTS + 10),
        (VESTS + 10, [APPOINTED, *committed(ANN, BEN)], "reveal", VESTS + 20),
        (VESTS + 10, [APPOINTED], "due", 0),
        (1030, [APPOINTED, *committed(ANN, BEN, CAT)], "reveal", 1040),
        (1040, [APPOINTED, *committed(ANN, BEN, CAT)], "due", 0),
        (1031, [APPOINTED, *committed(ANN, BEN, CAT), *(opened(who, HALVES) for who in EVALUATORS)], "due", 0),
        (1031, EQUALLY, "settled", 0),
    ],
)
def test_scoring_of__at_any_time__then_the_phase_is_the_contracts(
    now: int, events: list[ScoreEvent], phase: str, ends_at: int
) -> None:
    one = scoring(events, now).round(1)
    assert one is not None
    assert (one.phase, one.ends_at) == (phase, ends_at)


def test_scoring_clock__in_each_phase__then_time_left_and_steps_fit() -> None:
    clock = scoring_clock(ScoreClock(ScorePhase.REVEAL, Timestamp(1010), 3, 1), 1, Timestamp(1004))
    assert clock is not None
    assert (clock.phase, clock.left, clock.round) == ("scores: reveal", 6, 1)
    assert [place for _, place in clock.steps] == ["past", "past", "now", "next", "next"]
    assert scoring_clock(ScoreClock(ScorePhase.NONE, Timestamp(0), 0, 0), 1, LATE) is None


# --- divisions ---


def test_scoring_of__when_a_round_is_divided__then_medians_pay_fees_and_forfeits_are_there() -> None:
    claim = ScoreClaimed(AT(60), make.BOUNTY, 1, make.ALICE, make.word(f"root {make.ALICE} 1"), Wei(147))
    told = scoring([*BY_MEDIANS, claim, FeesCollected(AT(61), make.BOUNTY, ANN, Wei(10))])
    (one,) = told.rounds
    assert (one.divided, one.why, one.faults) == ("by medians", "", ())
    assert (one.released, one.fees, one.forfeits, one.pot, one.rest) == (300, 20, 15, 295, 1)
    assert [(line.state, line.near, line.fee, line.forfeited) for line in one.reports] == [
        ("opened", True, 10, 0), ("opened", True, 10, 0), ("never opened", False, 0, 15),
    ]  # fmt: skip
    assert [(line.part, line.pay, line.taken) for line in one.updates] == [(0.5, 147, True), (0.5, 147, False)]
    assert [(line.bond, line.fees, line.owed, line.forfeited) for line in told.evaluators] == [
        (40, 10, 0, 0), (40, 10, 10, 0), (25, 0, 0, 15),
    ]  # fmt: skip
    assert dict(told.held) == {
        "bonds of evaluators": 105, "fees not taken yet": 10, "pay not taken yet": 147, "the owner's rest": 1,
    }  # fmt: skip


def test_scoring_of__while_reports_are_opened__then_their_range_is_there_and_nobody_is_late() -> None:
    events = [APPOINTED, *committed(*EVALUATORS), opened(ANN, HALVES), opened(BEN, WILD)]
    one = scoring(events, 1035).round(1)
    assert one is not None
    assert [line.state for line in one.reports] == ["opened", "opened", "committed"]
    assert [(line.least, line.part, line.pay) for line in one.updates] == [
        (0.0, None, None),
        (HALVES[1] / WHOLE, None, None),
    ]
    assert (one.divided, one.faults) == ("", ())


@pytest.mark.parametrize(
    ("events", "divided", "why"),
    [
        (EQUALLY, "equally", "0 of 3 reports were opened; the quorum is 2."),
        (EQUALLY[1:], "equally", "No panel was appointed."),
        (
            [APPOINTED, *committed(ANN, BEN), opened(ANN, (0, 0)), opened(BEN, (0, 0)),
             settled(ANN, 10, 0), settled(BEN, 10, 0), NOTHING],
            "to the owner", "By the medians no update weighs anything.",
        ),
    ],
)  # fmt: skip
def test_scoring_of__when_no_median_divides__then_it_says_why(events: list[ScoreEvent], divided: str, why: str) -> None:
    one = scoring(events).round(1)
    assert one is not None
    assert (one.divided, one.why, one.faults) == (divided, why, ())


@pytest.mark.parametrize(
    ("place", "changes", "faults"),
    [
        (-1, {"weights": pack(WILD)}, ("weights",)),
        (-1, {"pot": Wei(296)}, ("pot",)),
        (-1, {"rest": Wei(2)}, ("rest",)),
        (-1, {"weights": ()}, ("reports",)),
        (-2, {"forfeited": Wei(14)}, ("forfeits",)),
        (7, {"report": ()}, ("reports",)),
    ],
)
def test_scoring_of__when_a_figure_does_not_follow__then_it_is_named(
    place: int, changes: dict[str, object], faults: tuple[str, ...]
) -> None:
    events = list(BY_MEDIANS)
    events[place] = replace(events[place], **changes)  # type: ignore[arg-type]
    one = scoring(events).round(1)
    assert one is not None
    assert one.faults == faults


# --- pages ---


def test_bounty_page__when_pay_is_by_contribution__then_earned_is_what_was_divided() -> None:
    claim = ScoreClaimed(AT(60), make.BOUNTY, 1, make.ALICE, make.word(f"root {make.ALICE} 1"), Wei(147))
    page = bounty_with([*BY_MEDIANS, claim])
    assert [(one.earned, one.vested, one.claimed, one.accepted) for one in page.pay] == [
        (147, 147, 147, 1), (147, 147, 0, 1),
    ]  # fmt: skip
    assert page.happenings[0].label == "pay by contribution claimed"
    assert page.events == len(story().events) + len(BY_MEDIANS) + 1
    waiting = bounty_page(story(), "", "", LATE, lambda merged: Missing("QmX"), scoring([APPOINTED]))
    assert [(one.earned, one.accepted, one.rejected) for one in waiting.pay] == [(0, 1, 0), (0, 1, 0)]


def test_round_page__before_and_after_the_division__then_pay_is_unknown_and_known() -> None:
    assert [line.pay for line in round_with([APPOINTED]).updates] == [None, None]
    assert [line.pay for line in round_with(BY_MEDIANS).updates] == [147, 147]
    assert [line.cumulative for line in round_with(BY_MEDIANS).payouts] == [0, 0]


def test_account_page__of_an_evaluator__then_its_seat_is_a_part() -> None:
    page = account_page(CAT, [KnownBounty(story(), "digits", scoring(BY_MEDIANS))], LATE)
    (part,) = page.parts
    assert part.roles == ("evaluator",)
    assert (page.earned, page.staked) == (0, 25)
    assert [one.label for one in page.happenings] == [
        "evaluator's report settled", "scores committed", "evaluator's bond deposited",
    ]  # fmt: skip
    assert account_page(ANN, [KnownBounty(story(), "", scoring(BY_MEDIANS))], LATE).earned == 10


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([], "No panel was appointed before the first provider joined:"),
        ([APPOINTED], "quorum 2"),
        (BY_MEDIANS, "by medians"),
        (EQUALLY, "Round 1 was divided equally: 0 of 3 reports were opened; the quorum is 2."),
        ([*BY_MEDIANS[:-1], replace(BY_MEDIANS[-1], pot=Wei(9))], "divided otherwise than the opened reports say"),  # type: ignore[call-arg]
    ],
)
def test_bounty_html__in_each_state_of_scoring__then_it_says_so(events: list[ScoreEvent], says: str) -> None:
    shown = {"manifest": None, "missing": None, "gas": [], "described": {}, "command": "fedbounty audit 7"}
    html = rendered("bounty.html", page=bounty_with(events), **shown)
    assert says in html
    assert "In the contract that divides by contribution" in html


@pytest.mark.parametrize(
    ("now", "events", "says"),
    [
        (VESTS - 1, [APPOINTED], "this phase ends at the latest"),
        (LATE, [APPOINTED], "The round is not divided yet."),
        (LATE, BY_MEDIANS, "50.00 %"),
        (LATE, EQUALLY, "All accepted updates get the same."),
    ],
)
def test_round_html__in_each_state_of_scoring__then_it_says_so(now: int, events: list[ScoreEvent], says: str) -> None:
    html = rendered("round.html", page=round_with(events, now), seat=0, drawn=None, name="", groups={})
    assert says in html
    assert "Pay by contribution is not in it" in html
    assert "Scores" not in rendered(
        "round.html", page=round_page(story(), 1, None), seat=0, drawn=None, name="", groups={}
    )
