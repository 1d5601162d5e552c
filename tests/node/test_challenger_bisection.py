"""Closing in on a wrong leaf: always found, with at most depth + 1 demands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.commitments import distance_tree
from ledger.keccak import keccak
from ledger.trees import ChunkTree, tree_depth
from node.challenger.bisection import Answer, Culprit, next_demand

pytestmark = pytest.mark.unit


def leaves(count: int) -> list[bytes]:
    return [keccak(bytes([number])) for number in range(count)]


def close_in(own: ChunkTree, posted: ChunkTree, count: int) -> tuple[Culprit, int]:
    """Demand until the culprit is found; how many demands it took."""
    answers: dict[int, Answer] = {}
    while isinstance(found := next_demand(own, count, answers), int):
        assert found not in answers
        is_right = own._levels[0][found] == posted._levels[0][found]
        answers[found] = Answer(posted.proof(found), is_right)
    assert found is not None
    return found, len(answers)


@given(
    st.integers(1, 40).flatmap(lambda count: st.tuples(st.just(count), st.sets(st.integers(0, count - 1), min_size=1)))
)
def test_next_demand__when_leaves_are_wrong__then_finds_one_in_depth_plus_one_demands(
    drawn: tuple[int, set[int]],
) -> None:
    count, wrong = drawn
    honest = leaves(count)
    posted = [keccak(leaf) if number in wrong else leaf for number, leaf in enumerate(honest)]
    culprit, demands = close_in(ChunkTree(honest), ChunkTree(posted), count)
    assert culprit.index in wrong
    assert not culprit.stray
    assert demands <= tree_depth(count) + 1


def test_next_demand__when_nothing_was_shown__then_asks_for_the_first_leaf() -> None:
    assert next_demand(ChunkTree(leaves(5)), 5, {}) == 0


def test_next_demand__when_something_stands_beyond_the_last_leaf__then_says_that_it_is_stray() -> None:
    own = ChunkTree(leaves(5))
    hidden = ChunkTree([*leaves(5), keccak(b"hidden")])
    culprit, _ = close_in(own, hidden, 5)
    assert culprit == Culprit(4, stray=True)


def test_next_demand__when_a_leaf_is_wrong_and_one_is_stray__then_closes_in_on_the_wrong_one() -> None:
    own = ChunkTree(leaves(5))
    posted = ChunkTree([*leaves(2), keccak(b"wrong"), *leaves(5)[3:], keccak(b"hidden")])
    culprit, _ = close_in(own, posted, 5)
    assert culprit.index == 2


def test_next_demand__when_the_tree_has_another_depth__then_the_leaf_itself_is_the_fault() -> None:
    assert next_demand(ChunkTree(leaves(5)), 5, {0: Answer([bytes(32)], True)}) == Culprit(0)


def test_next_demand__when_a_sum_is_wrong__then_finds_its_leaf() -> None:
    own, posted = distance_tree([1, 2, 3, 4, 5, 6]), distance_tree([1, 2, 3, 4, 6, 6])
    answers: dict[int, Answer] = {}
    while isinstance(found := next_demand(own, 6, answers), int):
        answers[found] = Answer(posted.proof(found), found != 4)
    assert found == Culprit(4)
