"""What an aggregator does next, for every phase. The view is the whole input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.history import build_history
from ledger.records import Ended, Event, Money, Phase, Timestamp, Wei
from node.aggregator.decisions import (
    AggregatorView,
    DepositBond,
    Draw,
    Merge,
    Prefetch,
    Refund,
    Settle,
    WithdrawBond,
    decide,
)
from node.loop import Finish
from tests import builders as make

pytestmark = pytest.mark.unit

STARTED = make.begun()
MERGED: list[Event] = [*STARTED, make.revealed(make.ALICE, 1, 0, 4), make.merged(1, 5)]
OVER: list[Event] = [*MERGED, Ended(make.at(6), make.BOUNTY, Timestamp(1006))]


def view(phase: Phase, events: list[Event] = STARTED, **changes: Any) -> AggregatorView:
    base = AggregatorView(
        now=Timestamp(1005),
        account=make.AGGREGATOR,
        terms=make.terms(),
        clock=make.clock(phase),
        money=Money(owed=Wei(300), free=Wei(600)),
        bond=Wei(50),
        bond_locked_until=Timestamp(0),
        history=build_history(events),
    )
    return replace(base, **changes)


def test_decide__when_joining_without_a_bond__then_it_bonds_once() -> None:
    assert decide(view(Phase.JOINING, bond=Wei(0))) == [DepositBond(Wei(50))]
    assert decide(view(Phase.JOINING)) == []


def test_decide__when_updates_are_being_revealed__then_it_fetches_them_ahead() -> None:
    assert decide(view(Phase.REVEAL)) == [Prefetch(1)]


def test_decide__when_its_exclusive_time_runs__then_only_the_named_aggregator_merges() -> None:
    assert decide(view(Phase.MERGE)) == [Merge(1)]
    assert decide(view(Phase.MERGE, account=make.BOB)) == []


def test_decide__when_merging_is_open__then_a_stranger_bonds_and_merges() -> None:
    assert decide(view(Phase.OPEN_MERGE, account=make.BOB, bond=Wei(0))) == [DepositBond(Wei(50)), Merge(1)]


def test_decide__when_the_order_is_not_drawn__then_it_is_drawn_before_the_merge() -> None:
    assert decide(view(Phase.MERGE, draw_due=True)) == [Draw(1)]
    assert decide(view(Phase.OPEN_MERGE, account=make.BOB, draw_due=True)) == [Draw(1)]
    assert decide(view(Phase.REVEAL, draw_due=True)) == [Prefetch(1)]


def test_decide__when_a_merge_was_voided__then_everyone_who_bonds_merges_it_again() -> None:
    events = [*MERGED, make.opened(2, 5), make.voided(1, 6, 2)]
    voided = view(Phase.OPEN_MERGE, events, bond=Wei(0))
    assert decide(voided) == decide(replace(voided, account=make.BOB)) == [DepositBond(Wei(50)), Merge(1)]


def test_decide__when_the_bond_is_held__then_it_waits_for_it() -> None:
    held = view(Phase.ENDED, OVER, now=Timestamp(1025), bond_locked_until=Timestamp(1026))
    assert decide(held) == [Refund()]
    assert decide(replace(held, money=Money(owed=Wei(0), free=Wei(0)))) == []
    assert decide(replace(held, now=Timestamp(1026))) == [Refund(), WithdrawBond()]


def test_decide__when_time_ended_the_bounty_unrecorded__then_it_settles_first() -> None:
    assert decide(view(Phase.ENDED, MERGED)) == [Settle()]


def test_decide__when_the_last_merge_has_not_vested__then_it_waits() -> None:
    assert decide(view(Phase.ENDED, OVER, now=Timestamp(1024))) == []


def test_decide__when_all_vested__then_it_refunds_takes_the_bond_and_finishes() -> None:
    vested = view(Phase.ENDED, OVER, now=Timestamp(1025))
    assert decide(vested) == [Refund(), WithdrawBond()]
    done = replace(vested, money=Money(owed=Wei(300), free=Wei(0)), bond=Wei(0))
    assert isinstance(decide(done)[0], Finish)


def test_decide__when_cancelled__then_it_takes_the_bond_back() -> None:
    assert decide(view(Phase.CANCELLED)) == [WithdrawBond()]
