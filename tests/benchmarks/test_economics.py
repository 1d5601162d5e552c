"""The economics benchmark's books: what played rounds bring an account, and what an aggregator could take."""

from __future__ import annotations

import pytest

from incentives.payoffs import Played
from node.explaining.gas import MEASURED_GAS
from scripts.benchmarks.economics import AWAY, NOTICED, STAKES, Setting, best_at
from scripts.benchmarks.lying_money import exposure, left_out, proven
from scripts.benchmarks.strategies import HONEST, HONEST_GROUP, STRATEGIES
from scripts.benchmarks.strategy_games import PERSONS, QUORUM, ROUNDS, Game, Round
from scripts.benchmarks.strategy_money import FORFEIT, TOKEN, UnsoundGame, check_sound, settle_game
from tests import builders as make

pytestmark = pytest.mark.unit


def game(reveals: list[bool], rejected: list[int], weights: list[int], accounts: int = 1) -> Game:
    """The same round, again and again; the player's accounts are the last ones."""
    rounds = [Round(reveals, rejected, weights)] * ROUNDS
    return Game(len(reveals) - accounts, accounts, 1, trainings=ROUNDS, rounds=rounds, accuracy=0.9)


ALL = [True] * PERSONS


@pytest.mark.parametrize("rule", ["equal", "stake", "contribution"])
def test_settle_game__when_all_are_honest_and_alike__then_each_earns_one(rule: str) -> None:
    played = settle_game(game(ALL, [], [7] * PERSONS), rule, stake=10.0)
    assert played.earned == pytest.approx(1)
    assert (played.trainings, played.locked) == (1, 30.0 if rule == "stake" else 10.0)
    once = sum(gas for call, gas in MEASURED_GAS.items() if call not in ("commit", "reveal"))
    assert played.gas == MEASURED_GAS["commit"] + MEASURED_GAS["reveal"] + once / ROUNDS


def test_settle_game__when_the_player_is_rejected__then_the_others_share_and_it_keeps_its_stake() -> None:
    rejected = game(ALL, [PERSONS - 1], [7] * (PERSONS - 1))
    assert [settle_game(rejected, rule, stake=10.0).earned for rule in ("equal", "stake", "contribution")] == [0, 0, 0]


def test_settle_game__with_three_accounts_of_one_capital__then_only_equal_pay_rewards_them() -> None:
    sybil = game([True] * (PERSONS + 2), [], [30] * (PERSONS - 1) + [10] * 3, accounts=3)
    assert settle_game(sybil, "equal", 10.0).earned == pytest.approx(PERSONS * 3 / 8)
    assert settle_game(sybil, "stake", 10.0).earned == pytest.approx(1)
    assert settle_game(sybil, "contribution", 10.0).earned == pytest.approx(1)


def test_settle_game__when_nothing_is_revealed__then_each_round_costs_a_forfeit() -> None:
    silent = game([True] * (PERSONS - 1) + [False], [], [7] * (PERSONS - 1))
    assert settle_game(silent, "equal", stake=10.0).earned == pytest.approx(-10.0 / FORFEIT)


def test_check_sound__when_events_break_a_rule__then_the_benchmark_stops() -> None:
    with pytest.raises(UnsoundGame, match="stake"):
        check_sound([make.posted(stake=2 * TOKEN), make.joined(make.ALICE, 0)])


def test_exposure__when_nobody_claims__then_a_wrong_tree_could_draw_the_whole_pot() -> None:
    assert exposure(claims_each_round=True) == PERSONS
    assert exposure(claims_each_round=False) == PERSONS * ROUNDS


def test_proven__of_a_lie__then_half_of_the_bond_is_the_provers_and_nothing_comes_back() -> None:
    verdict = proven(bond=9.0)
    assert (verdict.bond, verdict.prover, verdict.aggregator_keeps) == (9.0, 4.5, 0.0)


def test_left_out__when_all_others_are_called_unavailable__then_an_account_earns_a_quorums_part() -> None:
    assert left_out(own_accounts=1) == (PERSONS / QUORUM, 1.0)
    assert left_out(own_accounts=0) == (0.0, 0.0)


def test_best_at__when_nothing_pays__then_staying_away_is_the_best_reply() -> None:
    played = {name: [Played(0.1, 1.0, 0.0, 0.0)] for name in STRATEGIES}
    by_stake = dict.fromkeys(STAKES, played)
    setting = Setting(training=0.5, gwei=0.0, stake=STAKES[0], capital=0.0)
    assert best_at(by_stake, setting) == (AWAY, pytest.approx(0.4))
    played[HONEST] = [Played(0.5 + 2 * NOTICED, 1.0, 0.0, 0.0)]
    played[HONEST_GROUP] = played[HONEST]
    assert best_at(by_stake, setting) == (HONEST, 0.0)
