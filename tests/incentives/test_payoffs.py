"""The algebra of strategies: where two pay the same, and what lying and looking are worth."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from incentives.inspection import (
    auditing_pays,
    chance_of_a_look,
    least_bond,
    least_chance,
    lies_in_balance,
    lying_pays,
    own_look_pays,
)
from incentives.payoffs import Played, Prices, best_reply, identity_cost_in_balance, training_price_in_balance
from incentives.rewards import split
from ledger.records import Wei

pytestmark = pytest.mark.unit

AMOUNTS = st.floats(0.001, 1000)
CHANCES = st.floats(0.001, 0.999)
FREE = Prices(training=0.0, gas=0.0, capital=0.0)
PLAYED = st.builds(Played, AMOUNTS, st.floats(0, 5), st.floats(0, 1e6), AMOUNTS)


def test_net__of_a_round__then_each_cost_is_taken_once() -> None:
    played = Played(earned=10.0, trainings=2.0, gas=100.0, locked=50.0)
    assert played.net(Prices(training=1.5, gas=0.01, capital=0.02)) == 10 - 3 - 1 - 1


@pytest.mark.parametrize(
    ("lazy", "tolerance", "best"), [(0.9, 0.0, "honest"), (1.2, 0.0, "lazy"), (1.2, 0.3, "honest")]
)
def test_best_reply__when_another_pays_more__then_it_is_named(lazy: float, tolerance: float, best: str) -> None:
    assert best_reply("honest", {"lazy": lazy, "honest": 1.0}, tolerance) == best


def test_best_reply__when_two_pay_the_same__then_it_is_honest() -> None:
    assert best_reply("honest", {"lazy": 1.0, "honest": 1.0}) == "honest"


@given(PLAYED, PLAYED, AMOUNTS)
def test_training_price_in_balance__when_training_costs_that__then_both_pay_the_same(
    honest: Played, other: Played, capital: float
) -> None:
    assume(abs(honest.trainings - other.trainings) > 0.01)
    prices = Prices(0.0, 1e-6, capital)
    price = training_price_in_balance(honest, other, prices)
    assert price is not None
    at = Prices(price, prices.gas, prices.capital)
    scale = max(1.0, abs(price) * 5, capital * 1000)
    assert honest.net(at) == pytest.approx(other.net(at), abs=1e-9 * scale)


def test_training_price_in_balance__when_both_train_as_much__then_there_is_none() -> None:
    assert training_price_in_balance(Played(1, 1, 0, 0), Played(2, 1, 0, 0), FREE) is None


@given(st.integers(1, 50), st.integers(1, 20))
def test_identity_cost_in_balance__of_any_round__then_it_is_what_the_next_one_adds(
    others: int, identities: int
) -> None:
    share = Wei(10**18)

    def earned(own: int) -> int:
        return sum(split(share, [1] * (others + own)).parts[:own])

    added = (earned(identities + 1) - earned(identities)) / share
    assert identity_cost_in_balance(others, identities) == pytest.approx(added, abs=1e-15)


def test_identity_cost_in_balance__when_there_is_no_identity__then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one identity"):
        identity_cost_in_balance(5, 0)


@given(AMOUNTS, AMOUNTS, CHANCES, st.integers(1, 30))
def test_lying_pays__when_seen_more_or_less_often_than_in_balance__then_its_sign_follows(
    gain: float, bond: float, seen: float, rounds: int
) -> None:
    balance = least_chance(gain, bond)
    assume(abs(seen - balance) > 1e-6)
    assert (lying_pays(gain, bond, seen, rounds) > 0) == (seen < balance)


@given(AMOUNTS, CHANCES)
def test_least_bond__then_lying_under_it_pays_nothing(gain: float, seen: float) -> None:
    assert lying_pays(gain, least_bond(gain, seen), seen) == pytest.approx(0, abs=1e-9 * gain)
    assert lying_pays(gain, least_bond(gain, seen) * 1.01, seen) < 0


def test_least_bond__when_nobody_looks__then_none_is_enough() -> None:
    assert least_bond(1.0, 0.0) == float("inf")
    assert least_bond(0.0, 0.0) == 0


def test_lying_pays__over_two_rounds__then_the_second_counts_only_if_the_first_was_not_seen() -> None:
    assert lying_pays(10, 4, 0.5, rounds=2) == (5 - 2) + 0.5 * (5 - 2)


@given(CHANCES, st.integers(0, 20))
def test_chance_of_a_look__when_one_more_looks__then_it_grows_to_the_rest(look: float, auditors: int) -> None:
    before = chance_of_a_look(look, auditors)
    assert chance_of_a_look(look, auditors + 1) == pytest.approx(before + (1 - before) * look)
    assert chance_of_a_look(look, 0) == 0


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_lies_in_balance__then_looking_pays_nothing_there_and_something_above(
    bond: float, cost: float, proof: float
) -> None:
    lies = lies_in_balance(bond, cost, proof)
    assume(lies < 0.99)
    assert auditing_pays(bond, lies, cost, proof) == pytest.approx(0, abs=1e-9 * max(bond, cost, proof))
    assert auditing_pays(bond, lies * 1.01, cost, proof) > 0


def test_auditing_pays__when_merges_are_right__then_a_look_only_costs() -> None:
    assert auditing_pays(bond=1000, lies=0, cost=2, proof=1) == -2
    assert own_look_pays(at_stake=100, lies=0.1, cost=2) == pytest.approx(8)


def test_auditing_pays__when_rivals_look__then_the_reward_is_shared_by_luck() -> None:
    assert auditing_pays(100, 1, 0, 0, rivals=4) == pytest.approx(auditing_pays(100, 1, 0, 0) / 5)


@pytest.mark.parametrize("chance", [-0.1, 1.1])
def test_chances__when_outside_0_and_1__then_they_are_refused(chance: float) -> None:
    for call in (
        lambda: chance_of_a_look(chance, 1),
        lambda: lying_pays(1, 1, chance),
        lambda: least_bond(1, chance),
        lambda: auditing_pays(1, chance, 0, 0),
        lambda: own_look_pays(1, chance, 0),
    ):
        with pytest.raises(ValueError, match="between 0 and 1"):
            call()
