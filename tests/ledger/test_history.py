"""Folding events: the story they tell, and the stories that no correct contract tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.history import BrokenHistory, accepted, build_history, reason_label, rejections
from ledger.records import Event, Timestamp
from tests import builders as make

pytestmark = pytest.mark.unit

START: list[Event] = [make.posted(), make.joined(make.ALICE, 0), make.joined(make.BOB, 1), make.opened(1, 3)]
ROUND_ONE: list[Event] = [
    *START,
    make.committed(make.ALICE, 1, 4),
    make.committed(make.BOB, 1, 4),
    make.revealed(make.BOB, 1, 0, 5),
    make.revealed(make.ALICE, 1, 1, 5),
    make.merged(1, 6, reveals=2, rejected=0b10, reasons=b"\x04"),
]


def test_build_history__when_a_round_is_complete__then_everything_is_in_its_place() -> None:
    history = build_history(ROUND_ONE)
    one = history.rounds[1]
    assert [member.provider for member in history.members] == [make.BOB if i else make.ALICE for i in range(2)]
    assert set(one.commits) == {make.ALICE, make.BOB}
    assert [reveal.provider for reveal in one.reveals] == [make.BOB, make.ALICE]
    assert one.reveal_of(make.ALICE) == make.revealed(make.ALICE, 1, 1, 5)
    assert history.latest_merge() == one.merged
    assert history.latest_merge(before_round=1) is None


def test_latest_vested__when_the_window_closes__then_the_boundary_counts_as_vested() -> None:
    history = build_history(ROUND_ONE)
    merged = history.latest_merge()
    assert merged is not None
    assert history.latest_vested(Timestamp(merged.vests_at - 1)) is None
    assert history.latest_vested(merged.vests_at) == merged


def test_rejections__when_a_bit_is_set__then_the_update_is_out_with_its_reason() -> None:
    history = build_history(ROUND_ONE)
    one = history.rounds[1]
    assert one.merged is not None
    assert [reveal.provider for reveal in accepted(one.merged, one.reveals)] == [make.BOB]
    assert [(r.provider, reason_label(code)) for r, code in rejections(one.merged, one.reveals)] == [
        (make.ALICE, "wrong-root")
    ]
    assert reason_label(200) == "unknown-200"


def test_build_history__when_a_member_comes_back__then_it_keeps_its_index() -> None:
    again = make.joined(make.ALICE, 0, block=9)
    assert build_history([*START, again]).members[0] == again


@pytest.mark.parametrize(
    "events",
    [
        [make.joined(make.ALICE, 0)],
        [make.posted(), make.joined(make.ALICE, 1)],
        [make.posted(), make.joined(make.ALICE, 0), make.joined(make.BOB, 0)],
        [make.posted(), make.opened(2, 3)],
        [*START, make.committed(make.ALICE, 2, 4)],
        [*START, make.revealed(make.ALICE, 1, 1, 4)],
        [*START, make.merged(1, 5, reveals=3)],
        [*ROUND_ONE, replace(make.merged(1, 7), reveals=2)],
    ],
    ids=["no-posting", "index-gap", "index-taken", "round-gap", "no-round", "reveal-gap", "reveal-count", "two-merges"],
)
def test_build_history__when_events_do_not_follow__then_it_is_a_protocol_fault(events: list[Event]) -> None:
    with pytest.raises(BrokenHistory):
        build_history(events)


def test_build_history__when_there_are_no_events__then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="needs events"):
        build_history([])
