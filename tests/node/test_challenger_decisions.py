"""What a challenger does next: the merge that vests first, one at a time; demands are ended when their time is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.demands import ChunkKind, Demand, Demanded, about
from ledger.proofs import Opening
from ledger.records import BountyId, Timestamp
from node.challenger.decisions import Check, Expire, WatchView, decide
from node.challenger.journal import RIGHT, Verdict, key_of
from node.loop import Finish
from tests.builders import BOUNTY, at, merged

pytestmark = pytest.mark.unit

FIRST, SECOND = merged(1, 20), merged(2, 30)


def view(**changes: Any) -> WatchView:
    base = WatchView(Timestamp(1035), (SECOND, FIRST), (), frozenset(), {})
    return replace(base, **changes)


def demand(number: int = 1, **changes: Any) -> Demand:
    what = Demanded(BOUNTY, 1, ChunkKind.STATE)
    return replace(Demand(number, what, Timestamp(1036), at(25)), **changes)


def test_decide__when_merges_are_new__then_looks_at_the_one_that_vests_first() -> None:
    assert decide(view()) == [Check(FIRST)]


def test_decide__when_one_was_looked_at__then_goes_on_with_the_next() -> None:
    assert decide(view(verdicts={key_of(FIRST): Verdict(RIGHT)})) == [Check(SECOND)]


def test_decide__when_a_merge_has_vested__then_nothing_can_be_done_about_it() -> None:
    assert decide(view(now=Timestamp(1040))) == [Check(SECOND)]
    assert decide(view(now=Timestamp(1050))) == []


def test_decide__when_a_merge_waits__then_what_is_built_on_it_waits_too_and_other_bounties_do_not() -> None:
    other = replace(merged(1, 32), bounty=BountyId(8))
    waiting = frozenset({key_of(FIRST)})
    assert decide(view(waiting=waiting)) == []
    assert decide(view(waiting=waiting, merges=(FIRST, SECOND, other))) == [Check(other)]


def test_decide__when_a_demand_is_open__then_ends_it_only_when_its_time_is_over() -> None:
    asked = demand()
    waiting = frozenset({key_of(FIRST)})
    assert decide(view(demands=(asked,), waiting=waiting)) == []
    assert decide(view(demands=(asked,), waiting=waiting, now=Timestamp(1036))) == [Expire(asked)]


def test_decide__when_a_demands_merge_is_void__then_only_its_owner_ends_it_for_the_fee() -> None:
    asked = demand(at=at(15))
    assert decide(view(demands=(asked,), merges=())) == []
    assert decide(view(demands=(asked,), merges=(), own=frozenset({1}))) == [Expire(asked)]


def test_decide__when_told_to_look_once__then_finishes_when_all_is_decided_and_not_before() -> None:
    verdicts = {key_of(FIRST): Verdict(RIGHT), key_of(SECOND): Verdict(RIGHT)}
    assert isinstance(decide(view(once=True, verdicts=verdicts))[0], Finish)
    assert decide(view(verdicts=verdicts)) == []
    assert decide(view(once=True, waiting=frozenset({key_of(FIRST)}))) == []


def test_decide__when_a_demand_was_answered_or_ended__then_it_is_left_alone() -> None:
    gone = (demand(answer=Opening(b"", b"")), demand(2, ended=True))
    assert decide(view(demands=gone, now=Timestamp(1039))) == [Check(FIRST)]


def test_about__when_a_round_was_merged_again__then_older_demands_are_not_about_it() -> None:
    old, new = demand(at=at(15)), demand(2)
    assert about([old, new], FIRST) == [new]
