"""Settling a round by contribution: medians, fallbacks, fees and forfeits, to the unit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.score_settlement import ScoredRound, distance, divide, medians, to_parts
from ledger.cid import Digest
from ledger.records import Address, Wei
from ledger.score_records import WHOLE, Panel, pack, unpack

pytestmark = pytest.mark.unit

EVALUATORS = tuple(Address(f"0x{place:040x}") for place in range(1, 4))
PANEL = Panel(Wei(40), Wei(15), 70, 80, 2, 300, 500, Digest(bytes(32)), EVALUATORS)


def test_divide__with_a_liar__pays_by_the_others() -> None:
    reports = ([600, 400], [601, 399], [WHOLE - 1, 0])
    made = divide(ScoredRound(Wei(10_000), (True, True), reports, (False,) * 3), PANEL)
    assert made.by_median
    assert made.weights == (601, 399)
    assert made.distances == (2, 0, WHOLE - 602 + 399)
    assert made.fees == (100, 100, 0)
    assert made.pot == 9_800
    assert made.parts == (5_889, 3_910)
    assert made.rest == 1


def test_divide__without_a_quorum__is_equal_and_pays_no_fee() -> None:
    scored = ScoredRound(Wei(10_001), (True, False, True), ([5, 5, 5], None, None), (False, True, False))
    made = divide(scored, PANEL)
    assert not made.by_median
    assert made.weights == (1, 0, 1)
    assert made.fees == (0, 0, 0)
    assert made.forfeits == (0, 15, 0)
    assert made.parts == (5_008, 0, 5_008)
    assert made.rest == 0
    by_two = divide(replace(scored, reports=([5, 5, 5], [1, 1, 1], None), silent=(False,) * 3), PANEL)
    assert by_two.by_median


def test_divide__without_a_panel__is_equal() -> None:
    made = divide(ScoredRound(Wei(7), (True, True), (), ()), None)
    assert (made.parts, made.rest, made.fees) == ((3, 3), 1, ())


def test_divide__when_nothing_weighs__leaves_all_to_the_owner() -> None:
    made = divide(ScoredRound(Wei(1_000), (True, True), ([0, 0], [0, 0], [9, 0]), (False,) * 3), PANEL)
    assert (made.weights, made.parts, made.rest) == ((0, 0), (0, 0), 970)


def test_divide__at_the_tolerance__pays_the_fee_there_and_not_beyond() -> None:
    exact = replace(PANEL, tolerance=1)
    reports = ([1_000_000], [1_000_000], [1_000_000 + 429_496])
    scored = ScoredRound(Wei(10_000), (True,), reports, (False,) * 3)
    assert divide(scored, exact).fees == (100, 100, 100)
    beyond = replace(scored, reports=([1_000_000], [1_000_000], [1_000_000 + 429_497]))
    assert divide(beyond, exact).fees == (100, 100, 0)


def test_medians__of_an_even_number__are_the_lower_ones() -> None:
    assert medians(([1, 9], [5, 1], [3, 4], [9, 2]), (True, True)) == (3, 2)
    with pytest.raises(ValueError, match="no reports"):
        medians((), (True,))


parts = st.lists(st.integers(0, WHOLE - 1), min_size=3, max_size=3)


@given(st.lists(parts, min_size=2, max_size=8), st.lists(parts, min_size=0, max_size=7))
def test_medians__with_fewer_than_half_arbitrary__stay_within_the_others(
    honest: list[list[int]], lying: list[list[int]]
) -> None:
    kept = lying[: len(honest) - 1]
    for place, weight in enumerate(medians([*honest, *kept], (True,) * 3)):
        column = [report[place] for report in honest]
        assert min(column) <= weight <= max(column)


@given(
    st.integers(0, 10**30),
    st.lists(st.none() | parts, min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_divide__of_anything__accounts_for_every_unit(
    released: int, reports: list[list[int] | None], accepted: list[bool]
) -> None:
    silent = [report is None for report in reports]
    made = divide(ScoredRound(Wei(released), accepted, reports, silent), PANEL)
    assert sum(made.parts) + made.rest + sum(made.fees) == released + sum(made.forfeits)
    assert all(part == 0 for part, counts in zip(made.parts, accepted, strict=True) if not counts)


@given(st.lists(st.integers(0, 2**63), max_size=20))
def test_to_parts__of_any_weights__fit_a_report(weights: list[int]) -> None:
    made = to_parts(weights)
    assert sum(made) < WHOLE
    assert sum(made) > WHOLE - 2 - len(weights) or not sum(weights)
    assert unpack(pack(made), len(made)) == made


def test_distance__of_a_report_to_itself__is_zero() -> None:
    assert distance([1, 2, 3], [1, 2, 3]) == 0
    assert distance([1, 2, 3], [3, 2, 0]) == 5
