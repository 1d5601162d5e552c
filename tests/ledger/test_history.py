"""Folding events: the story they tell, and the stories that no correct contract tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.history import BrokenHistory, accepted, build_history, rejections
from ledger.records import Ended, Event, Lapsed, Timestamp, UpdateDisqualified, VestingExtended, Wei
from tests import builders as make

pytestmark = pytest.mark.unit

START: list[Event] = [make.posted(), make.joined(make.ALICE, 0), make.joined(make.BOB, 1), make.opened(1, 3)]
ROUND_ONE: list[Event] = [
    *START,
    make.committed(make.ALICE, 1, 4),
    make.committed(make.BOB, 1, 4),
    make.revealed(make.BOB, 1, 0, 5),
    make.revealed(make.ALICE, 1, 1, 5),
    make.merged(1, 6, reveals=2, rejected=0b10, reasons=make.reasons(4)),
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
    assert [(r.provider, reason.label) for r, reason in rejections(one.merged, one.reveals)] == [
        (make.ALICE, "wrong-root")
    ]


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
        [*START, make.voided(1, 5, 1)],
        [*ROUND_ONE, make.voided(1, 7, 2)],
    ],
    ids=[
        "no-posting",
        "index-gap",
        "index-taken",
        "round-gap",
        "no-round",
        "reveal-gap",
        "reveal-count",
        "two-merges",
        "void-nothing",
        "no-interrupted-round",
    ],
)
def test_build_history__when_events_do_not_follow__then_it_is_a_protocol_fault(events: list[Event]) -> None:
    with pytest.raises(BrokenHistory):
        build_history(events)


ROUND_TWO: list[Event] = [
    *ROUND_ONE,
    make.opened(2, 6),
    make.committed(make.BOB, 2, 7),
    make.revealed(make.BOB, 2, 0, 8),
    make.merged(2, 9),
    make.opened(3, 9),
    make.committed(make.ALICE, 3, 10),
]
VOIDED: list[Event] = [*ROUND_TWO, make.voided(1, 11, 3), Lapsed(make.at(11, 61), make.BOUNTY, 2, 1, Wei(300))]


def test_build_history__when_a_merge_is_voided__then_later_ones_are_too_and_the_round_is_interrupted() -> None:
    history = build_history(VOIDED)
    assert history.latest_merge() is None
    assert [one.state for one in history.rounds.values()] == ["voided", "lapsed", "running"]
    assert [len(one.voided) for one in history.rounds.values()] == [1, 1, 0]
    assert [one.interrupted for one in history.rounds.values()] == [False, False, True]
    assert history.latest_vested(Timestamp(10**9)) is None
    assert history.last_vests_at == 1029, "a void brings nothing forward"


def test_build_history__when_a_voided_round_is_merged_again__then_the_next_number_opens() -> None:
    again = make.merged(1, 12, reveals=2)
    history = build_history([*VOIDED, again, make.opened(4, 12)])
    assert history.latest_merge() == again
    assert history.latest_merge(before_round=4) == again
    assert history.rounds[1].state == "merged"


def test_build_history__when_the_last_merge_is_voided_after_the_end__then_it_has_not_ended() -> None:
    ended = Ended(make.at(9, 99), make.BOUNTY, Timestamp(1009))
    history = build_history([*ROUND_TWO[:-2], ended, make.voided(2, 11, 2)])
    assert history.ended is None
    assert history.latest_merge() == history.rounds[1].merged
    assert not history.rounds[2].interrupted


def test_build_history__when_vesting_is_extended__then_that_merge_and_later_ones_wait() -> None:
    until = VestingExtended(make.at(10), make.BOUNTY, 2, Timestamp(2000))
    history = build_history([*ROUND_TWO, until])
    assert [one.merged.vests_at for one in history.merged_rounds if one.merged] == [1026, 2000]
    assert history.last_vests_at == 2000
    shorter = build_history([*ROUND_TWO, replace(until, round=1, until=Timestamp(1027))])
    assert [one.merged.vests_at for one in shorter.merged_rounds if one.merged] == [1027, 1029]


def test_build_history__when_an_update_is_disqualified__then_its_round_knows_it() -> None:
    root = make.revealed(make.ALICE, 1, 1, 5).update_root
    event = UpdateDisqualified(make.at(9), make.BOUNTY, 1, make.ALICE, root, make.OWNER, Wei(100), Wei(50))
    assert build_history([*ROUND_ONE, event]).rounds[1].disqualified == {1}


def test_build_history__when_there_are_no_events__then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="needs events"):
        build_history([])
