"""An aggregator answers what is demanded of its own merges before it does anything else, the most urgent first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.demands import ChunkKind, Demand, Demanded
from ledger.history import build_history
from ledger.proofs import Opening
from ledger.records import Money, Phase, Timestamp, Wei
from node.aggregator.decisions import AggregatorView, Answer, decide
from tests.builders import AGGREGATOR, ALICE, BOB, BOUNTY, at, clock, joined, merged, opened, posted, revealed, terms

pytestmark = pytest.mark.unit

MERGED = merged(1, 20, reveals=1)


def view(*demands: Demand, **changes: Any) -> AggregatorView:
    events = [posted(), joined(ALICE, 0), opened(1, 3), revealed(ALICE, 1, 0, 5), MERGED]
    base = AggregatorView(
        now=Timestamp(1025),
        account=AGGREGATOR,
        terms=terms(),
        clock=clock(Phase.COMMIT, 2),
        money=Money(Wei(0), Wei(0)),
        bond=Wei(50),
        bond_locked_until=Timestamp(1100),
        history=build_history(events),
        demands=demands,
    )
    return replace(base, **changes)


def demand(number: int = 1, **changes: Any) -> Demand:
    what = Demanded(BOUNTY, 1, ChunkKind.STATE, index=number)
    return replace(Demand(number, what, Timestamp(1030), at(21, number)), **changes)


def test_decide__when_a_chunk_is_demanded__then_answers_the_most_urgent_first() -> None:
    late, soon = demand(1, ends_at=Timestamp(1040)), demand(2)
    assert decide(view(late, soon)) == [Answer(soon, MERGED), Answer(late, MERGED)]


def test_decide__when_the_bounty_has_ended__then_it_still_answers() -> None:
    assert decide(view(demand(), clock=clock(Phase.ENDED))) == [Answer(demand(), MERGED)]


@pytest.mark.parametrize(
    "gone",
    [
        demand(answer=Opening(b"", b"")),
        demand(ended=True),
        demand(ends_at=Timestamp(1025)),
        demand(at=at(19)),
    ],
    ids=["answered", "ended", "too late", "about an older merge"],
)
def test_decide__when_a_demand_is_none_of_its_business__then_leaves_it_alone(gone: Demand) -> None:
    assert decide(view(gone)) == []


def test_decide__when_another_party_merged__then_that_party_answers() -> None:
    assert decide(view(demand(), account=BOB)) == []
