"""Who made how much of a value: Shapley's split of a game between its players, exactly and by sampling.

The game is the merge that was actually made, with a *fixed denominator*: a player left out counts as a zero update,
nobody else's weight changes. Coalitions are integers, bit i for player i. docs/PROTOCOL.md, section 14.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

MOST_EXACT = 10
"""Players of an exact computation: it measures 2**n coalitions."""


class Game:
    """The value of each coalition; one that was measured is not measured again.

    players: how many.
    """

    def __init__(self, players: int, value: Callable[[int], float]) -> None:
        self.players = players
        self._value, self._known = value, dict[int, float]()

    def __call__(self, coalition: int) -> float:
        """Raises: ValueError if the value is infinite or not a number."""
        found = self._known.get(coalition)
        if found is None:
            found = self._known[coalition] = self._value(coalition)
            if not math.isfinite(found):
                raise ValueError(f"the value of coalition {coalition:b} is {found}")
        return found

    @property
    def everyone(self) -> int:
        return (1 << self.players) - 1

    @property
    def measured(self) -> int:
        """How many coalitions were measured so far."""
        return len(self._known)


def exact_shapley(game: Game) -> tuple[float, ...]:
    """Each player's mean marginal value over all orders.

    Holds:  the scores add up to the value of everyone less that of nobody; a player that changes no value has 0;
            two that change each value alike have the same; scores are linear in the values.
    Raises: ValueError for more than 10 players.
    Source: Shapley 1953.
    """
    count = game.players
    if count > MOST_EXACT:
        raise ValueError(f"{count} players are more than the {MOST_EXACT} of an exact computation")
    weights = [1 / (count * math.comb(count - 1, size)) for size in range(count)]
    return tuple(
        math.fsum(
            weights[coalition.bit_count()] * (game(coalition | 1 << player) - game(coalition))
            for coalition in range(1 << count)
            if not coalition >> player & 1
        )
        for player in range(count)
    )


def ends_mean(game: Game) -> tuple[float, ...]:
    """(leave-one-out + solo) / 2: the mean of a player's first and last marginal value, 2 n + 2 measurements.

    Holds: it is Shapley's value where the value is a quadratic function of the sum of the players' updates.
    """
    nobody, everyone = game(0), game(game.everyone)
    return tuple(
        (game(1 << player) - nobody + everyone - game(game.everyone & ~(1 << player))) / 2
        for player in range(game.players)
    )


def gtg_shapley(game: Game, orders: Iterable[Sequence[int]], tolerance: float = 0.0) -> tuple[float, ...]:
    """Shapley's value from some orders, with guided truncation.

    orders:    permutations of the players; `guided_orders` draws them.
    tolerance: values that differ by no more count as equal: a round whose merge changed no more earns nobody anything,
               and in an order the rest counts 0 as soon as the value of everyone is reached.
    Holds:     over all orders and without tolerance it is the exact value.
    Raises:    ValueError without an order, or for one that is no permutation.
    Source:    Liu et al. 2022, arXiv:2109.02053, Algorithm 1.
    """
    nobody, everyone = game(0), game(game.everyone)
    if abs(everyone - nobody) <= tolerance and tolerance > 0:
        return (0.0,) * game.players
    marginals: list[list[float]] = [[] for _ in range(game.players)]
    count = 0
    for order in orders:
        if sorted(order) != list(range(game.players)):
            raise ValueError(f"{list(order)} is no order of {game.players} players")
        count += 1
        values = list(_values_along(game, order, tolerance))
        for player, (before, after) in zip(order, pairwise(values), strict=True):
            marginals[player].append(after - before)
    if not count:
        raise ValueError("there is no order to sample")
    return tuple(math.fsum(found) / count for found in marginals)


def _values_along(game: Game, order: Sequence[int], tolerance: float) -> Iterator[float]:
    """The values as an order's players join; what is cut off repeats the value before it."""
    coalition, value, everyone = 0, game(0), game(game.everyone)
    yield value
    for player in order:
        coalition |= 1 << player
        if tolerance == 0 or abs(everyone - value) > tolerance:
            value = game(coalition)
        yield value


def guided_orders(players: int, count: int, numbers: Iterator[int]) -> list[tuple[int, ...]]:
    """Permutations in which each player comes first equally often, as far as `count` allows.

    numbers: a stream of integers >= 0, much greater than `players`, drawn by the caller: from a seed that all know.
    """
    orders = []
    for number in range(count):
        rest = [player for player in range(players) if player != number % players]
        for last in range(len(rest) - 1, 0, -1):
            other = next(numbers) % (last + 1)
            rest[last], rest[other] = rest[other], rest[last]
        orders.append((number % players, *rest))
    return orders
