"""Shapley's axioms on random games, and where the cheap formulas are exact."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.shapley import MOST_EXACT, Game, ends_mean, exact_shapley, gtg_shapley, guided_orders

pytestmark = pytest.mark.unit

PLAYERS = st.integers(1, 5)
SEEDS = st.integers(0, 2**32 - 1)


def table(players: int, seed: int) -> list[float]:
    """Random values of all coalitions; binary fractions, so that their sums are exact."""
    random = Random(seed)  # noqa: S311 - no secret
    return [random.randrange(-(2**20), 2**20) / 2**10 for _ in range(1 << players)]


def game(values: Sequence[float]) -> Game:
    return Game((len(values) - 1).bit_length(), values.__getitem__)


def close(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-6) for a, b in zip(one, other, strict=True))


def quadratic(players: int, seed: int) -> Game:
    """A loss that is quadratic in the sum of the players' updates, two coordinates each."""
    random = Random(seed)  # noqa: S311 - no secret
    updates = [(random.uniform(-1, 1), random.uniform(-1, 1)) for _ in range(players)]
    a, b, c, d, e = (random.uniform(-1, 1) for _ in range(5))

    def value(coalition: int) -> float:
        x, y = (math.fsum(one[axis] for i, one in enumerate(updates) if coalition >> i & 1) for axis in (0, 1))
        return a * x + b * y + c * x * x + d * x * y + e * y * y

    return Game(players, value)


@given(PLAYERS, SEEDS)
def test_exact_shapley__of_any_game__then_the_scores_add_up(players: int, seed: int) -> None:
    values = table(players, seed)
    assert math.isclose(sum(exact_shapley(game(values))), values[-1] - values[0], abs_tol=1e-6)


@given(PLAYERS, SEEDS, SEEDS)
def test_exact_shapley__of_two_games_together__then_the_scores_are_their_sums(
    players: int, seed: int, other: int
) -> None:
    one, two = table(players, seed), table(players, other)
    both = exact_shapley(game([a + b for a, b in zip(one, two, strict=True)]))
    apart = zip(exact_shapley(game(one)), exact_shapley(game(two)), strict=True)
    assert close(both, [a + b for a, b in apart])


@given(PLAYERS, SEEDS)
def test_exact_shapley__with_a_player_that_changes_nothing__then_it_has_nothing(players: int, seed: int) -> None:
    values = table(players, seed)
    padded = Game(players + 1, lambda coalition: values[coalition & (1 << players) - 1])
    assert close(exact_shapley(padded), [*exact_shapley(game(values)), 0.0])


@given(PLAYERS, SEEDS)
def test_exact_shapley__of_two_interchangeable_players__then_they_have_the_same(players: int, seed: int) -> None:
    values = table(players + 2, seed)

    def value(coalition: int) -> float:
        twins = (coalition & 3).bit_count()  # players 0 and 1: only how many of them are in it counts
        return values[coalition & ~3 | (0, 1, 3)[twins]]

    scores = exact_shapley(Game(players + 2, value))
    assert math.isclose(scores[0], scores[1], abs_tol=1e-9)


def test_exact_shapley__of_the_gloves__then_the_only_left_hand_has_two_thirds() -> None:
    gloves = Game(3, lambda coalition: float(coalition & 1 and coalition > 1))
    assert close(exact_shapley(gloves), [2 / 3, 1 / 6, 1 / 6])


def test_exact_shapley__of_too_many_players__then_it_says_so() -> None:
    with pytest.raises(ValueError, match="11 players are more than the 10"):
        exact_shapley(Game(MOST_EXACT + 1, float))


@given(st.integers(1, 6), SEEDS)
def test_ends_mean__where_the_value_is_quadratic__then_it_is_exact(players: int, seed: int) -> None:
    played = quadratic(players, seed)
    assert close(ends_mean(played), exact_shapley(played))


@given(st.integers(3, 9), SEEDS)
def test_ends_mean__of_n_players__then_it_measures_2_n_plus_2_coalitions(players: int, seed: int) -> None:
    played = quadratic(players, seed)
    ends_mean(played)
    assert played.measured == 2 * players + 2


@given(st.integers(1, 4), SEEDS)
def test_gtg_shapley__over_all_orders__then_it_is_exact(players: int, seed: int) -> None:
    values = table(players, seed)
    orders = list(permutations(range(players)))
    assert close(gtg_shapley(game(values), orders), exact_shapley(game(values)))


@given(st.integers(2, 8), SEEDS)
def test_gtg_shapley__over_any_orders__then_the_scores_add_up(players: int, seed: int) -> None:
    played = quadratic(players, seed)
    random = Random(seed)  # noqa: S311 - no secret
    orders = guided_orders(players, 3, iter(lambda: random.getrandbits(64), None))
    assert math.isclose(sum(gtg_shapley(played, orders)), played(played.everyone) - played(0), abs_tol=1e-9)


def test_gtg_shapley__when_the_value_of_all_is_reached__then_the_rest_is_not_measured() -> None:
    first = Game(6, lambda coalition: float(coalition & 1))
    assert gtg_shapley(first, [(0, 1, 2, 3, 4, 5)], tolerance=0.01) == (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert first.measured == 3
    assert gtg_shapley(first, [(0, 1, 2, 3, 4, 5)]) == (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert first.measured == 7


def test_gtg_shapley__of_a_round_that_changed_nothing__then_nobody_has_anything() -> None:
    still = Game(3, lambda coalition: 0.5 if coalition in (1, 2) else 0.0)
    assert gtg_shapley(still, [(0, 1, 2)], tolerance=0.01) == (0.0, 0.0, 0.0)
    assert gtg_shapley(still, [(0, 1, 2)]) != (0.0, 0.0, 0.0)


@pytest.mark.parametrize("orders", [[], [(0, 1)], [(0, 1, 1)], [(1, 2, 3)]])
def test_gtg_shapley__without_a_usable_order__then_it_says_so(orders: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="order"):
        gtg_shapley(quadratic(3, 0), orders)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_game__when_a_value_is_not_finite__then_it_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="the value of coalition 101 is"):
        Game(3, lambda coalition: value)(0b101)


@given(st.integers(1, 12), st.integers(1, 5), SEEDS)
def test_guided_orders__of_a_stream__then_each_player_is_first_equally_often(
    players: int, turns: int, seed: int
) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    orders = guided_orders(players, players * turns, iter(lambda: random.getrandbits(64), None))
    assert all(sorted(order) == list(range(players)) for order in orders)
    assert [sum(order[0] == player for order in orders) for player in range(players)] == [turns] * players
    again = Random(seed)  # noqa: S311 - no secret
    assert orders == guided_orders(players, players * turns, iter(lambda: again.getrandbits(64), None))
