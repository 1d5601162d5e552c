"""The noise of reports: its distribution, and what it hides."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.evaluator.noise import epsilon, sensitivity
from node.privacy.discrete_noise import discrete_laplace
from tests import evaluation_builders as make

pytestmark = pytest.mark.unit

DRAWS = 20_000


def probability(size: int, scale: int) -> float:
    """P(X = size) of the discrete Laplace distribution, docs/PROTOCOL.md, section 11."""
    return (math.exp(1 / scale) - 1) / (math.exp(1 / scale) + 1) * math.exp(-abs(size) / scale)


@pytest.mark.parametrize("scale", [1, 3, 20])
def test_discrete_laplace__when_drawn_often__then_follows_the_distribution(scale: int) -> None:
    """Pearson's chi-squared over the values that are expected at least 20 times; its 1 - 1e-6 quantile."""
    below = random.Random(scale).randrange  # noqa: S311 - the same draws at every run
    drawn = [discrete_laplace(scale, below) for _ in range(DRAWS)]
    sizes = [size for size in range(-200, 201) if DRAWS * probability(size, scale) >= 20]
    statistic = sum(
        (drawn.count(size) - DRAWS * probability(size, scale)) ** 2 / (DRAWS * probability(size, scale))
        for size in sizes
    )
    freedom = len(sizes) - 1
    assert statistic < freedom * (1 - 2 / (9 * freedom) + 4.7534 * math.sqrt(2 / (9 * freedom))) ** 3
    tail = sum(abs(size) > max(sizes) for size in drawn)
    expected = DRAWS * (1 - sum(probability(size, scale) for size in sizes))
    assert abs(tail - expected) < 5 * math.sqrt(expected) + 1


def test_discrete_laplace__with_the_systems_own_chance__then_two_draws_of_a_wide_one_differ() -> None:
    assert len({discrete_laplace(10**6) for _ in range(5)}) > 1


def test_discrete_laplace__of_the_worst_luck__then_still_ends() -> None:
    chance = iter([0, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 1])
    assert isinstance(discrete_laplace(1, lambda n: next(chance, n - 1)), int)


@given(st.integers(1, 10_000), st.data())
@settings(max_examples=50)
def test_sensitivity__of_any_two_data_sets_that_differ_in_one__then_bounds_the_difference(
    examples: int, data: st.DataObject
) -> None:
    terms = make.terms(low=data.draw(st.integers(-100, 0)), high=data.draw(st.integers(1, 10_000)))
    total = data.draw(st.integers(examples * terms.low, examples * terms.high))
    rest_least, rest_most = (examples - 1) * terms.low, (examples - 1) * terms.high
    one = data.draw(st.integers(max(terms.low, total - rest_most), min(terms.high, total - rest_least)))
    other = total - one + data.draw(st.integers(terms.low, terms.high))
    values = [(2 * sum_of + examples) // (2 * examples) for sum_of in (total, other)]
    assert abs(values[0] - values[1]) <= sensitivity(terms, examples)


def test_epsilon__of_accuracy_over_a_thousand_examples__then_is_the_sensitivity_by_the_scale() -> None:
    assert epsilon(make.terms(), 1000, 20) == Fraction(10, 20)
    assert epsilon(make.terms(), 999, 20) == Fraction(11, 20)
    assert epsilon(make.terms(), 1000, 0) is None
