"""What a provider does next, for every phase and standing. The view is the whole input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.cid import Digest
from ledger.history import build_history
from ledger.records import BountyId, Event, Lapsed, LapsedClaimed, Phase, Timestamp, UpdateDisqualified, Wei
from node.journal import MadeUpdate
from node.loop import Finish
from node.provider.decisions import (
    Claim,
    ClaimLapsed,
    Commit,
    Forfeit,
    Join,
    Leave,
    ProviderView,
    Reveal,
    Train,
    WithdrawStake,
    decide,
)
from tests import builders as make

pytestmark = pytest.mark.unit

MADE = MadeUpdate(1, Digest(make.word("cid")), make.word("root"), make.word("base"), "{}")
JOINED = make.begun()


def view(phase: Phase, events: list[Event] = JOINED, number: int = 1, **changes: Any) -> ProviderView:
    base = ProviderView(
        now=Timestamp(1005),
        account=make.ALICE,
        terms=make.terms(),
        clock=make.clock(phase, number),
        standing=make.standing(),
        open_commitment=None,
        history=build_history(events),
        made=None,
        vested_total=Wei(0),
    )
    return replace(base, **changes)


@pytest.mark.parametrize("phase", [Phase.JOINING, Phase.COMMIT, Phase.REVEAL, Phase.MERGE, Phase.OPEN_MERGE])
def test_decide__when_not_a_member__then_it_joins(phase: Phase) -> None:
    outside = view(phase, standing=make.standing(stake=Wei(0)), may_join=True)
    assert decide(outside) == [Join()]
    assert isinstance(decide(replace(outside, may_join=False))[0], Finish)


def test_decide__when_joining__then_a_member_waits() -> None:
    assert decide(view(Phase.JOINING)) == []


def test_decide__when_committing_without_an_update__then_it_trains_from_the_latest_state() -> None:
    assert decide(view(Phase.COMMIT)) == [Train(1, None)]
    assert decide(view(Phase.COMMIT, earlier=MADE)) == [Train(1, None, MADE)]
    merged = make.merged(1, 5)
    events = [*JOINED, make.revealed(make.ALICE, 1, 0, 4), merged, make.opened(2, 5)]
    assert decide(view(Phase.COMMIT, events, number=2)) == [Train(2, merged)]


def test_decide__when_nothing_can_be_trained_from_a_state__then_it_sits_out_until_there_is_another() -> None:
    merged = make.merged(1, 5)
    events = [*JOINED, make.revealed(make.ALICE, 1, 0, 4), merged, make.opened(2, 5)]
    unusable = view(Phase.COMMIT, events, number=2, unusable=(2, merged.claim.state_root))
    assert decide(unusable) == []
    assert decide(replace(unusable, made=MADE)) == [Commit(MADE)]
    assert decide(replace(unusable, unusable=(1, merged.claim.state_root))) == [Train(2, merged)]
    assert decide(replace(unusable, unusable=(2, make.word("another state")))) == [Train(2, merged)]


def test_decide__when_the_journal_has_the_update__then_it_commits_that_one() -> None:
    assert decide(view(Phase.COMMIT, made=MADE)) == [Commit(MADE)]


def test_decide__when_already_committed__then_it_waits() -> None:
    committed = view(Phase.COMMIT, made=MADE, standing=make.standing(commit_round=1), open_commitment=make.word("c"))
    assert decide(committed) == []


def test_decide__when_the_round_is_full__then_it_does_not_train_for_nothing() -> None:
    assert decide(view(Phase.COMMIT, clock=make.clock(Phase.COMMIT, commits=4))) == []


def test_decide__when_an_older_commitment_is_unopened__then_it_settles_that_first() -> None:
    late = view(Phase.COMMIT, number=2, standing=make.standing(commit_round=1), open_commitment=make.word("c"))
    assert decide(replace(late, forfeit_due=True)) == [Forfeit()]


def test_decide__when_the_older_commitment_was_interrupted__then_it_is_forgotten() -> None:
    merged = make.merged(1, 5)
    events = [
        *JOINED,
        make.revealed(make.ALICE, 1, 0, 4),
        merged,
        make.opened(2, 5),
        make.committed(make.ALICE, 2, 6),
        make.voided(1, 7, 2),
    ]
    stale = {"standing": make.standing(commit_round=2), "open_commitment": make.word("c")}
    assert decide(view(Phase.OPEN_MERGE, events, made=MADE, **stale)) == [], "round 1 is merged again"
    again = make.merged(1, 8)
    later = view(Phase.COMMIT, [*events, again, make.opened(3, 8)], number=3, **stale)
    assert decide(later) == [Train(3, again)]
    assert decide(replace(later, made=MADE)) == [Commit(MADE)]


def test_decide__when_revealing__then_it_opens_its_commitment_once() -> None:
    due = view(Phase.REVEAL, made=MADE, standing=make.standing(commit_round=1), open_commitment=make.word("c"))
    assert decide(due) == [Reveal(MADE)]
    assert decide(replace(due, open_commitment=None)) == []


def test_decide__when_it_came_late_to_the_round__then_it_waits_for_the_next() -> None:
    assert decide(view(Phase.REVEAL)) == []
    assert decide(view(Phase.MERGE, made=MADE)) == []


def ended(**changes: Any) -> ProviderView:
    events = [*JOINED, make.revealed(make.ALICE, 1, 0, 4), make.merged(1, 5)]
    return view(Phase.ENDED, events, **changes)


def test_decide__when_ended_and_vested__then_it_claims_then_withdraws_then_finishes() -> None:
    merged = make.merged(1, 5)
    vested = ended(now=merged.vests_at, vested_total=Wei(300))
    assert decide(vested) == [Claim(merged, Wei(300))]
    paid = replace(vested, standing=make.standing(claimed=Wei(300)))
    assert decide(paid) == [WithdrawStake()]
    gone = replace(paid, standing=make.standing(stake=Wei(0), claimed=Wei(300)))
    assert isinstance(decide(gone)[0], Finish)


def test_decide__when_leaving__then_it_waits_for_the_stake_and_takes_it() -> None:
    leaving = view(Phase.COMMIT, standing=make.standing(unlocks_at=Timestamp(1006)))
    assert decide(leaving) == []
    assert decide(replace(leaving, now=Timestamp(1006))) == [WithdrawStake()]


def test_decide__when_stakes_are_held__then_it_waits_for_them() -> None:
    held = view(Phase.COMMIT, standing=make.standing(unlocks_at=Timestamp(1)), held_until=Timestamp(1006))
    assert decide(held) == []
    assert decide(replace(held, now=Timestamp(1006))) == [WithdrawStake()]


def test_decide__when_its_update_was_disqualified__then_no_lapsed_share_is_claimed() -> None:
    shown = make.revealed(make.ALICE, 1, 0, 4)
    fault = UpdateDisqualified(make.at(5), make.BOUNTY, 1, make.ALICE, shown.update_root, make.BOB, Wei(100), Wei(50))
    events: list[Event] = [*JOINED, shown, fault, Lapsed(make.at(6), BountyId(7), 1, 1, Wei(300))]
    assert isinstance(decide(view(Phase.ENDED, events, standing=make.standing(stake=Wei(0))))[0], Finish)


def test_decide__when_the_last_merge_has_not_vested__then_it_waits() -> None:
    early = ended(now=Timestamp(make.merged(1, 5).vests_at - 1))
    assert decide(early) == []
    assert decide(replace(early, standing=make.standing(stake=Wei(0)))) == []


def test_decide__when_a_round_lapsed__then_its_share_is_claimed_once() -> None:
    events: list[Event] = [*JOINED, make.revealed(make.ALICE, 1, 0, 4)]
    events.append(Lapsed(make.at(6), BountyId(7), 1, 1, Wei(300)))
    root = make.revealed(make.ALICE, 1, 0, 4).update_root
    assert decide(view(Phase.ENDED, events)) == [ClaimLapsed(1, root)]
    events.append(LapsedClaimed(make.at(7), BountyId(7), 1, make.ALICE, root, Wei(300)))
    assert decide(view(Phase.ENDED, events)) == [WithdrawStake()]


def test_decide__when_cancelled__then_the_stake_is_taken_back_without_leaving() -> None:
    assert decide(view(Phase.CANCELLED)) == [WithdrawStake()]


@pytest.mark.parametrize("phase", [Phase.JOINING, Phase.COMMIT])
def test_decide__when_the_budget_allows_no_release__then_it_does_not_join(phase: Phase) -> None:
    outside = view(phase, standing=make.standing(stake=Wei(0)), may_join=True, refusal="spent")
    assert [type(one) for one in decide(outside)] == [Finish]


@pytest.mark.parametrize("made", [None, MADE])
def test_decide__when_the_budget_is_spent__then_a_member_leaves_instead_of_training(made: MadeUpdate | None) -> None:
    assert decide(view(Phase.COMMIT, made=made, refusal="spent")) == [Leave()]


def test_decide__when_the_budget_is_spent_after_the_commitment__then_it_is_opened() -> None:
    committed = {"standing": make.standing(commit_round=1), "open_commitment": make.word("c"), "made": MADE}
    assert decide(view(Phase.COMMIT, **committed, refusal="spent")) == []
    assert decide(view(Phase.REVEAL, **committed, refusal="spent")) == [Reveal(MADE)]
