"""Copies, replays and empty updates among honest ones."""

from __future__ import annotations

from dataclasses import replace
from math import isqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ledger.commitments import update_tree
from ledger.history import BountyHistory, build_history
from ledger.merge_records import Reason
from ledger.records import Address
from node.manifest_sections import ScreeningSection
from node.screening import Background, background, compared_with, is_alike, screen
from node.verification import Rejection, VerifiedUpdate
from tests import builders as make

pytestmark = pytest.mark.unit

SECTION = ScreeningSection(copy_cosine=0.99, least_norm=0.0)
SIZE = 4 * 128


def honest(seed: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-500, 500, SIZE).astype("<i2")


def verified(index: int, update_D: NDArray[np.int16], number: int = 2) -> VerifiedUpdate:
    tree = update_tree(update_D)
    shown = replace(make.revealed(make.ALICE, number, index, 5), update_root=tree.root, squared_norm=tree.total)
    return VerifiedUpdate(shown, update_D, 2 * update_D.size)


def behind(count: int, *places: int, earlier: tuple[VerifiedUpdate, ...] = ()) -> Background:
    """places: each reveal index's place among the commitments; by default they were revealed in that order."""
    order = dict(enumerate(places or range(count)))
    roots = {one.revealed.update_root: 1 for one in earlier}
    return Background(order, roots, 1, earlier)


def found(
    updates: list[VerifiedUpdate], background: Background, section: ScreeningSection = SECTION
) -> list[Rejection]:
    return screen(section, 16, updates, background)


def summary(rejections: list[Rejection]) -> list[tuple[int, Reason, int]]:
    return [(one.revealed.index, one.reason, one.given.chunk) for one in rejections]


def test_screen__when_all_are_honest__then_none_is_left_out() -> None:
    updates = [verified(index, honest(index)) for index in range(5)]
    assert found(updates, behind(5, earlier=(verified(0, honest(9), 1),))) == []


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_screen__when_one_is_a_scaled_or_noised_copy__then_the_later_commit_is_out(scale: float, noise: float) -> None:
    copy_D = scale * (honest(1) + noise * 290 * np.random.default_rng(7).standard_normal(SIZE))
    updates = [verified(0, np.round(copy_D).astype("<i2")), verified(1, honest(1)), verified(2, honest(2))]
    assert summary(found(updates, behind(3, 2, 0, 1))) == [(0, Reason.COPIED, 1)]
    assert summary(found(updates, behind(3, 0, 2, 1))) == [(1, Reason.COPIED, 0)]


def test_screen__when_two_are_opposite__then_neither_is_a_copy() -> None:
    updates = [verified(0, honest(1)), verified(1, (-honest(1)).astype("<i2"))]
    assert found(updates, behind(2)) == []


def test_screen__when_three_are_the_same__then_the_first_commit_stays() -> None:
    updates = [verified(index, honest(1)) for index in range(3)]
    assert summary(found(updates, behind(3, 1, 2, 0))) == [(0, Reason.COPIED, 2), (1, Reason.COPIED, 2)]


def test_screen__when_one_repeats_the_round_before__then_it_is_stale_whoever_committed_first() -> None:
    before = verified(3, honest(1), 1)
    nearly = (honest(1) + np.arange(SIZE) % 3).astype("<i2")
    updates = [verified(0, nearly), verified(1, honest(2))]
    assert summary(found(updates, behind(2, earlier=(before,)))) == [(0, Reason.STALE, 1)]


def test_screen__when_local_momentum_is_allowed__then_ones_own_update_may_return_and_anothers_may_not() -> None:
    allowing = ScreeningSection(own_momentum=True)
    update = verified(0, (honest(1) + np.arange(SIZE) % 3).astype("<i2"))
    own = verified(1, honest(1), 1)
    other = replace(own, revealed=replace(own.revealed, provider=make.BOB))
    assert found([update], behind(1, earlier=(own,)), allowing) == []
    assert summary(found([update], behind(1, earlier=(own,)))) == [(0, Reason.STALE, 1)]
    assert summary(found([update], behind(1, earlier=(other,)), allowing)) == [(0, Reason.STALE, 1)]
    assert summary(found([update], behind(1, earlier=(own, other)), allowing)) == [(0, Reason.STALE, 1)]
    twice = [update, verified(1, (honest(1) + np.arange(SIZE) % 2).astype("<i2"))]
    assert summary(found(twice, behind(2, earlier=(own,)), allowing)) == [(1, Reason.COPIED, 0)]


def test_screen__when_a_root_is_an_old_one__then_it_is_stale_without_its_bytes() -> None:
    old = verified(0, honest(1))
    known = Background({0: 0}, {old.revealed.update_root: 4}, 5)
    assert summary(found([old], known)) == [(0, Reason.STALE, 4)]


def test_screen__when_an_update_is_empty_or_tiny__then_it_is_negligible_and_no_copy() -> None:
    nothing = np.zeros(SIZE, dtype="<i2")
    tiny = np.zeros(SIZE, dtype="<i2")
    tiny[:4] = 3  # a squared norm of 36: 6 grid units
    updates = [verified(0, nothing), verified(1, nothing), verified(2, tiny)]
    assert summary(found(updates, behind(3))) == [(0, Reason.NEGLIGIBLE, 0), (1, Reason.NEGLIGIBLE, 0)]
    above = ScreeningSection(least_norm=6 / 65536)
    assert [one.revealed.index for one in found(updates, behind(3), above)] == [0, 1, 2]
    assert found([updates[2]], behind(3), ScreeningSection(least_norm=5.9 / 65536)) == []


@given(st.permutations(range(6)), st.permutations(range(6)))
def test_screen__whatever_the_order_of_the_list__then_the_same(order: list[int], places: list[int]) -> None:
    seeds = (1, 2, 1, 3, 2, 1)
    updates = [verified(index, honest(seed)) for index, seed in enumerate(seeds)]
    known = Background(dict(enumerate(places)), {})
    listed = summary(found([updates[index] for index in order], known))
    assert listed == summary(found(updates, known))
    kept = {seeds[index] for index in range(6)} - {seeds[index] for index, _, _ in listed}
    assert kept <= {3}
    assert len(listed) == 3  # of each group its first commit stays


@given(st.integers(1, 2**62), st.integers(1, 2**31), st.integers(1, 2**31), st.integers(2**15, 2**16))
def test_is_alike__whatever_the_numbers__then_it_is_the_exact_inequality(
    product: int, one: int, other: int, units: int
) -> None:
    first, second = verified(0, honest(1)).revealed, verified(1, honest(2)).revealed
    norms = replace(first, squared_norm=one), replace(second, squared_norm=other)
    # a ceiling of the square root: the least product that is alike
    least = isqrt((units**2 * one * other - 1) // 2**32) + 1
    assert is_alike(product, *norms, units) == (product >= least)
    assert not is_alike(-product, *norms, units)


def test_background__when_a_round_was_merged_before__then_its_counted_updates_and_all_roots_are_known() -> None:
    history = _two_rounds()
    assert [one.index for one in compared_with(history, 2)] == [1]
    known = background(history, 2, ())
    assert (known.order, known.round) == ({0: 1, 1: 0}, 1)
    assert known.roots == {make.word(f"root {who} 1"): 1 for who in (make.ALICE, make.BOB)}
    assert background(history, 1, ()).roots == {}
    assert compared_with(history, 1) == []


def _two_rounds() -> BountyHistory:
    """In the second round Bob commits first and reveals second."""

    def commits(number: int, *people: Address) -> list[object]:
        return [make.committed(who, number, 10 * number + place) for place, who in enumerate(people)]

    shown = [make.revealed(who, number, index, 10 * number) for number in (1, 2) for index, who in enumerate(PEOPLE)]
    merge = make.merged(1, 19, reveals=2, rejected=0b01, reasons=make.reasons(Reason.COPIED), payout_leaves=2)
    members = [make.joined(who, index) for index, who in enumerate(PEOPLE)]
    first = [make.opened(1, 9), *commits(1, *PEOPLE), *shown[:2], merge]
    second = [make.opened(2, 19), *commits(2, *reversed(PEOPLE)), *shown[2:]]
    return build_history([make.posted(), *members, *first, *second])  # type: ignore[list-item]


PEOPLE = (make.ALICE, make.BOB)
