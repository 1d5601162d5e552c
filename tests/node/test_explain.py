"""Receipts and estimates, on bounties that a market in miniature plays by the protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from incentives.settlement import settle
from ledger.history import BountyHistory, build_history
from ledger.merge_records import KeptMerge
from ledger.records import Address, Phase, RewardRule, Terms, Timestamp, Wei
from node.cli.explain_tables import show_receipt
from node.explaining.accounting import UnknownRound, make_receipt, recomputed_root
from node.explaining.gas import MEASURED_GAS, make_bill
from node.explaining.prospect import (
    Prospect,
    longest_round,
    make_lock_ups,
    make_risks,
    make_scenarios,
    remaining_rounds,
)
from node.explaining.receipt import Judgement, Outcome, Published, Receipt, Verdict
from node.explaining.stakes import stake_free_at
from node.provider.decisions import ProviderView
from node.provider.view import vested_total
from tests import builders as make
from tests.builders import AGGREGATOR, ALICE, BOB
from tests.incentives.judged_market import JudgedMarket

pytestmark = pytest.mark.unit

CAROL = Address("0x" + "CA" * 20)
EVERYONE = (ALICE, BOB, CAROL)


def market(stakes: tuple[int, ...] = (100, 100, 100), **changes: Any) -> JudgedMarket:
    """A bounty with three members, and its first round open."""
    playing = JudgedMarket(make.terms(**{"min_updates": 2, "pot": Wei(1000), **changes}))
    for who, stake in zip(EVERYONE, stakes, strict=True):
        playing.join(who, stake)
    playing.deposit_bond(AGGREGATOR)
    return playing


def play(playing: JudgedMarket, revealing: tuple[Address, ...] = EVERYONE) -> None:
    """Everyone commits; some reveal; the reveal window is over."""
    for who in playing.active:
        playing.commit(who)
    for who in revealing:
        playing.reveal(who)
    playing.wait(max(playing.reveal_end - playing.now, 0))


def phase_of(playing: JudgedMarket) -> Phase:
    if playing.phase in ("ended", "cancelled", "joining"):
        return Phase[playing.phase.upper()]
    if playing.committing:
        return Phase.COMMIT
    return Phase.REVEAL if playing.revealing else Phase.MERGE


def view_of(playing: JudgedMarket, who: Address = ALICE) -> ProviderView:
    """What the chain would show: the market's own figures, not those of the replay."""
    history, member = build_history(playing.events), playing.people.get(who)
    standing = make.standing(
        stake=Wei(member.stake if member else 0),
        claimed=Wei(member.taken if member else 0),
        unlocks_at=Timestamp(member.leaving_since or 0) if member else Timestamp(0),
    )
    now = Timestamp(playing.now)
    return ProviderView(
        now=now,
        account=who,
        terms=playing.terms,
        clock=make.clock(phase_of(playing), playing.round, members=len(playing.active)),
        standing=standing,
        open_commitment=None,
        history=history,
        made=None,
        vested_total=vested_total(history, who, now),
        forfeit_due=bool(member) and playing.overdue(who),
        held_until=Timestamp(playing.held_until),
    )


def kept_of(history: BountyHistory, **changes: Any) -> dict[int, KeptMerge]:
    """What a market keeps of honest merges."""
    kept = {}
    for one in history.merged_rounds:
        merged = one.merged
        assert merged is not None
        root = recomputed_root(history, merged)[:28]
        paid, previous = merged.claim.paid, merged.previous
        honest = KeptMerge(root, merged.vests_at, bytes(28), merged.reveals, previous, merged.aggregator, paid)
        kept[one.number] = replace(honest, **changes)
    return kept


def receipt_of(playing: JudgedMarket, who: Address = ALICE, number: int | None = None) -> Receipt:
    view = view_of(playing, who)
    return make_receipt(view, kept_of(view.history), number)


def test_receipt__when_merged__then_the_floor_and_its_remainder_are_shown() -> None:
    playing = market()
    play(playing)
    playing.merge(AGGREGATOR, 0)
    receipt = receipt_of(playing)
    one, running = receipt.rounds
    assert one.division is not None
    assert (one.division.pool, one.division.total, one.amount, one.division.remainder) == (333, 3, 111, 0)
    assert (one.outcome, running.outcome) == (Outcome.ACCEPTED, Outcome.ABSENT)
    assert (receipt.earned, receipt.vested, receipt.claimable) == (111, 0, 0)
    assert receipt.unvested == ((playing.vests_at, 111),)
    assert receipt.differences == []
    playing.wait(playing.terms.challenge_seconds)
    assert (receipt_of(playing).claimable, receipt_of(playing).unvested) == (111, ())
    playing.claim(ALICE)
    after = receipt_of(playing)
    assert (after.claimed, after.claimable, after.differences) == (111, 0, [])


def test_receipt__when_stakes_weigh__then_each_part_is_by_weight() -> None:
    playing = market((100, 350, 900), reward_rule=RewardRule.STAKE, max_weight=5)
    play(playing)
    playing.merge(AGGREGATOR, 0)
    parts = {who: receipt_of(playing, who).rounds[0] for who in EVERYONE}
    divisions = [one.division for one in parts.values()]
    assert [(one.weight, one.total, one.amount, one.remainder) for one in divisions if one] == [
        (1, 9, 37, 0),
        (3, 9, 111, 0),
        (5, 9, 185, 0),
    ]
    assert parts[CAROL].stake == 900


def test_receipt__when_rejected__then_nothing_and_the_reason() -> None:
    playing = market()
    play(playing)
    playing.merge(AGGREGATOR, 1)
    one = receipt_of(playing).rounds[0]
    assert (one.outcome, one.amount, one.division) == (Outcome.REJECTED, 0, None)
    assert one.reason is not None
    assert one.reason.label == "wrong-root"
    other = receipt_of(playing, BOB).rounds[0]
    assert other.division is not None
    assert (other.amount, other.division.remainder) == (166, 1)


def test_receipt__when_never_revealed__then_the_forfeit_is_counted_once_it_is_taken() -> None:
    playing = market()
    play(playing, (BOB, CAROL))
    assert receipt_of(playing).rounds[0].outcome == Outcome.UNREVEALED
    assert receipt_of(playing).stake.forfeit_due
    playing.forfeit(ALICE)
    receipt = receipt_of(playing)
    assert (receipt.rounds[0].forfeited, receipt.stake.locked, receipt.stake.forfeit_due) == (30, 70, False)
    assert receipt.differences == []


def test_receipt__when_the_aggregator_was_silent__then_the_share_holds_its_bond() -> None:
    playing = market()
    play(playing)
    playing.wait(playing.terms.merge_seconds + playing.terms.open_merge_seconds)
    receipt = receipt_of(playing)
    one = receipt.rounds[0]
    assert one.division is not None
    assert (one.division.pool, one.division.bond, one.amount, one.division.remainder) == (383, 50, 127, 2)
    assert (receipt.claimable_lapsed, receipt.earned, one.outcome) == (127, 0, Outcome.LAPSED)
    assert next(step for _, step in receipt.steps) == f"fedbounty claim {make.BOUNTY}"
    (root,) = (root for (number, root), (who, _) in playing.unclaimed.items() if who == ALICE)
    playing.claim_lapsed(1, root)
    after = receipt_of(playing)
    assert (after.claimed_lapsed, after.claimable_lapsed, after.rounds[0].taken) == (127, 0, 127)
    assert after.differences == []


def test_receipt__when_too_few_revealed__then_the_divisor_is_the_quorum() -> None:
    playing = market()
    play(playing, (ALICE,))
    playing.wait(1)
    one = receipt_of(playing).rounds[0]
    assert one.division is not None
    assert (one.outcome, one.division.total, one.division.updates, one.amount) == (Outcome.LAPSED, 2, 1, 166)


def test_receipt__when_a_lapse_is_not_written_down__then_it_says_how() -> None:
    playing = market()
    play(playing)
    view = view_of(playing)
    ended = replace(view, clock=make.clock(Phase.ENDED, 1))
    receipt = make_receipt(ended, {})
    assert (receipt.rounds[0].outcome, receipt.rounds[0].amount) == (Outcome.UNSETTLED, 127)
    assert ("have the lapse written down, and claim its share", f"fedbounty claim {make.BOUNTY}") in receipt.steps


def test_receipt__when_the_merge_was_voided__then_nothing_is_earned_until_another() -> None:
    playing = market()
    play(playing)
    playing.merge(AGGREGATOR, 0)
    playing.void(make.OWNER, 1)
    receipt = receipt_of(playing)
    first, second = receipt.rounds
    assert (first.outcome, first.voided, receipt.earned) == (Outcome.WAITING, 1, 0)
    assert second.state == "interrupted"
    assert receipt.differences == []


def test_receipt__when_disqualified__then_the_stake_is_gone() -> None:
    playing = market()
    play(playing)
    root = build_history(playing.events).rounds[1].reveals[0].update_root
    playing.disqualify(make.OWNER, 1, root)
    receipt = receipt_of(playing)
    assert (receipt.rounds[0].outcome, receipt.rounds[0].seized) == (Outcome.DISQUALIFIED, 100)
    assert (receipt.stake.locked, receipt.stake.seized, receipt.differences) == (0, 100, [])


@pytest.mark.parametrize("changes", [{"payout_root": b"\x01" * 28}, {"paid": Wei(332)}])
def test_receipt__when_the_record_says_otherwise__then_it_differs_and_points_to_the_challenge(
    changes: dict[str, Any],
) -> None:
    playing = market()
    play(playing)
    playing.merge(AGGREGATOR, 0)
    view = view_of(playing)
    receipt = make_receipt(view, kept_of(view.history, **changes))
    assert len(receipt.differences) == 1
    assert receipt.steps[-1][1] == f"fedbounty audit {make.BOUNTY} --challenge"
    assert not receipt.as_json()["matches"]


def test_receipt__when_more_was_claimed_than_a_tree_gives__then_it_differs() -> None:
    playing = market()
    play(playing)
    playing.merge(AGGREGATOR, 0)
    view = view_of(playing)
    receipt = make_receipt(replace(view, standing=make.standing(claimed=Wei(112))), kept_of(view.history))
    assert {check.what for check in receipt.differences} == {"sum of all claims", "claimed by a payout tree"}


def test_receipt__when_the_round_is_unknown__then_refused() -> None:
    with pytest.raises(UnknownRound, match=r"It has rounds 1 \.\. 1 so far"):
        receipt_of(market(), number=2)
    assert [one.round for one in receipt_of(market(), number=1).rounds] == [1]


def test_stake_free_at__when_leaving_or_ended__then_the_earlier_unless_held() -> None:
    playing = market()
    assert stake_free_at(view_of(playing)) is None
    playing.leave(ALICE)
    left = view_of(playing)
    assert stake_free_at(left) == left.standing.unlocks_at
    ended = replace(left, clock=make.clock(Phase.ENDED))
    assert stake_free_at(ended) == 0  # nothing was ever merged
    assert stake_free_at(replace(ended, held_until=Timestamp(5000))) == 5000


def test_show__when_a_report_is_hostile__then_its_words_are_escaped_and_short(
    capsys: pytest.CaptureFixture[str],
) -> None:
    playing = market()
    play(playing)
    playing.merge(AGGREGATOR, 1)
    receipt = receipt_of(playing)
    words = "[bold]pay[/bold]\x1b[31m\n\u202e" + "x" * 100_000
    said = Published(words, judgement=Judgement(Verdict.WRONG, words), leaf=5)
    hostile = replace(receipt, rounds=(replace(receipt.rounds[0], published=said), *receipt.rounds[1:]))
    show_receipt(hostile, in_detail=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "reported by the merger: [bold]pay[/bold]?[31m??xxx" in shown
    assert "\x1b[31m" not in shown
    assert len(shown) < 5000
    assert hostile.wrongly_rejected == [1]


# --- estimates ---


def prospect_of(terms: Terms, playing: JudgedMarket, stake: int = 100, price: int | None = None) -> Prospect:
    view = view_of(playing, Address("0x" + "99" * 20))
    remaining = remaining_rounds(terms, view.clock, view.history)
    rounds = remaining[1] - remaining[0] + 1
    scenarios = make_scenarios(terms, settle(playing.events), remaining, Wei(stake))
    bill = make_bill(rounds, 10, 20, {"join": 1})
    risks = make_risks(terms, Wei(stake), rounds, terms.rounds)
    locks = make_lock_ups(terms, view.clock, remaining)
    who, members = view.account, view.clock.members
    rule = terms.reward_rule
    return Prospect(make.BOUNTY, who, Wei(stake), 1, members, rule, remaining, scenarios, bill, risks, locks, price)


def test_estimate__when_everyone_takes_part__then_it_is_what_the_market_pays() -> None:
    playing = market()
    prospect = prospect_of(playing.terms, playing)
    newcomer = prospect.provider
    playing.join(newcomer, 100)
    for _ in range(playing.terms.rounds):
        play(playing, (*EVERYONE, newcomer))
        playing.merge(AGGREGATOR, 0)
    assert prospect.scenarios[0].in_all == playing.earned[newcomer]


def test_estimate__when_stakes_weigh__then_members_and_own_stake_count() -> None:
    playing = market((100, 350, 900), reward_rule=RewardRule.STAKE, max_weight=5)
    today, quorum, heavy = prospect_of(playing.terms, playing, stake=200).scenarios
    assert [(one.weight, one.total) for one in (today, quorum, heavy)] == [(2, 11), (2, 3), (2, 17)]
    assert heavy.in_all <= today.in_all <= quorum.in_all


def test_estimate__when_priced__then_net_is_pay_less_gas_and_break_even_covers_it() -> None:
    playing = market(pot=Wei(1000 * 10**18))
    prospect = prospect_of(playing.terms, playing, price=10**15)
    one = prospect.scenarios[0]
    gas = MEASURED_GAS["approve"] + 1 + MEASURED_GAS["claim"] + MEASURED_GAS["withdraw the stake"]
    gas += 3 * (MEASURED_GAS["commit"] + MEASURED_GAS["reveal"])
    assert prospect.bill.cost == 10 * gas
    assert prospect.net(one) == one.in_all // 1000 - prospect.bill.cost
    even = prospect.break_even(one)
    assert even is not None
    assert one.in_all * even >= prospect.bill.cost * 10**18 > one.in_all * (even - 1)


def test_estimate__when_a_round_is_full_or_merging__then_it_starts_with_the_next() -> None:
    terms, history = make.terms(), build_history([make.posted(), make.joined(ALICE, 0), make.opened(1, 3)])
    assert remaining_rounds(terms, make.clock(Phase.COMMIT), history) == (1, 3)
    assert remaining_rounds(terms, make.clock(Phase.COMMIT, commits=4), history) == (2, 3)
    assert remaining_rounds(terms, make.clock(Phase.MERGE), history) == (2, 3)
    assert remaining_rounds(terms, make.clock(Phase.MERGE, 3), history) == (1, 0)


def test_estimate__then_the_worst_for_the_stake_is_no_more_than_the_stake() -> None:
    terms = make.terms()
    risks = make_risks(terms, Wei(100), 3, 3)
    assert [risk.stake for risk in risks[:3]] == [30, 90, 100]
    assert max(risk.stake for risk in make_risks(terms, Wei(100), 50, 3)) == 100
    assert all(risk.avoid for risk in risks)


def test_lock_ups__when_leaving__then_they_are_those_of_the_market() -> None:
    playing = market()
    playing.leave(ALICE)
    own = playing.people[ALICE].leaving_since
    locks = make_lock_ups(playing.terms, make.clock(Phase.COMMIT), (1, 3))
    assert own is not None
    assert locks[0].seconds == own - playing.now
    assert locks[1].seconds == 3 * longest_round(playing.terms) + playing.terms.challenge_seconds
    assert make_lock_ups(playing.terms, make.clock(Phase.JOINING, 0), (1, 3))[0].seconds == 0
    assert make_lock_ups(playing.terms, make.clock(Phase.MERGE), (2, 3))[1].seconds == locks[1].seconds
