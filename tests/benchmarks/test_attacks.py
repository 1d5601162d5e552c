"""The attack bench: what attackers send, how data are dealt, and that integers and floats merge alike."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from scripts.benchmarks.attacks import key_of, name_of, read_results
from scripts.benchmarks.attacks_data import SPLITS, batches
from scripts.benchmarks.attacks_models import FlatModel, Perceptron
from scripts.benchmarks.attacks_play import play, poisoned
from scripts.benchmarks.attacks_rules import Rule, merge_floats
from scripts.benchmarks.attacks_search import Damage, best_factor
from scripts.benchmarks.attacks_servers import ExactServer, FloatServer
from scripts.benchmarks.attacks_tables import draw, tables
from scripts.benchmarks.attacks_vectors import ATTACKS, Poison, Seen
from scripts.benchmarks.attacks_worlds import BUCKETING, BYZFL, EVERYTHING, MATRIX_RULES, WORLDS, plan

pytestmark = pytest.mark.unit

SIZE = 256
HONEST, ATTACKERS = 16, 4
Vectors = NDArray[np.float32]


def seen(rule: Rule = MATRIX_RULES[0], honest: int = HONEST, attackers: int = ATTACKERS) -> Seen:
    """A round in which the honest agree on a direction, more or less."""
    rng = np.random.default_rng(5)
    honest_ND = (1 + rng.standard_normal((honest, SIZE))).astype(np.float32)
    own_FD = rng.standard_normal((attackers, SIZE)).astype(np.float32)
    before_D = rng.standard_normal(SIZE).astype(np.float32)
    order = rng.permutation(honest + attackers).tolist()
    return Seen(honest_ND, own_FD, before_D, attackers, rng, Damage(rule, honest_ND, before_D, attackers, order, 1e6))


def sent(name: str, round_: Seen) -> Vectors:
    return ATTACKS[name].make()(round_)


def test_little__with_the_study_s_numbers__then_the_factor_is_the_quantile_of_three_fifths() -> None:
    round_ = seen(honest=20, attackers=5)
    honest_ND = round_.honest_ND.astype(np.float64)
    expected_D = honest_ND.mean(0) - 0.2533471 * honest_ND.std(0, ddof=1)
    np.testing.assert_allclose(sent("ALIE", round_), expected_D, atol=1e-5)


def test_inner_product__when_sent__then_it_is_a_tenth_of_the_mean_turned_round() -> None:
    round_ = seen()
    np.testing.assert_allclose(sent("IPM", round_), -0.1 * round_.honest_ND.mean(0), rtol=1e-5)


def test_min_max__when_sent__then_it_is_as_far_from_the_honest_as_they_are_from_each_other() -> None:
    round_ = seen()
    apart_NND = round_.honest_ND[:, np.newaxis] - round_.honest_ND
    widest = np.linalg.norm(apart_NND, axis=2).max()
    furthest = np.linalg.norm(round_.honest_ND - sent("min-max", round_), axis=1).max()
    assert furthest == pytest.approx(widest, rel=1e-4)


def test_boosted__when_the_rest_sends_nothing__then_the_mean_is_what_the_attackers_want() -> None:
    round_ = seen()
    boosted_FD = sent("scaled boosting", round_)
    mean_D = np.concatenate([np.zeros_like(round_.honest_ND), boosted_FD]).mean(0)
    np.testing.assert_allclose(mean_D, round_.own_FD.mean(0), atol=1e-5)


def test_mimic__in_later_rounds__then_it_still_copies_the_same_worker() -> None:
    round_ = seen()
    send = ATTACKS["mimic"].make()
    target = int(np.flatnonzero((round_.honest_ND == send(round_)).all(axis=1))[0])
    turned = replace(round_, honest_ND=-round_.honest_ND)
    np.testing.assert_array_equal(send(turned), turned.honest_ND[target])
    assert ATTACKS["mimic"].make()(turned).tolist() != turned.honest_ND[target].tolist()


def test_free_riders__when_they_send__then_it_is_nothing_the_last_aggregate_or_noise_of_honest_length() -> None:
    round_ = seen()
    assert not sent("zero", round_).any()
    np.testing.assert_array_equal(sent("replay", round_), round_.previous_D)
    noise_FD = sent("noise", round_)
    honest = np.median(np.linalg.norm(round_.honest_ND, axis=1))
    np.testing.assert_allclose(np.linalg.norm(noise_FD, axis=1), honest, rtol=0.2)
    assert np.abs(np.corrcoef(noise_FD)[0, 1:]).max() < 0.3


def test_copies__when_sent__then_each_is_close_to_another_s_and_sybils_are_one() -> None:
    round_ = seen()
    for copy_D, honest_D in zip(sent("copycat", round_), round_.honest_ND, strict=False):
        assert copy_D @ honest_D > 0.99 * np.linalg.norm(copy_D) * np.linalg.norm(honest_D)
        assert (copy_D != honest_D).any()
    np.testing.assert_array_equal(sent("Sybil copies", round_), round_.own_FD[0])


@pytest.mark.parametrize("rule", [rule for rule in MATRIX_RULES if rule.rotates], ids=str)
@pytest.mark.parametrize("factor", [0.0, 1.5, -40.0])
def test_damage__in_the_vectors_own_space__then_it_is_the_damage_in_all_coordinates(rule: Rule, factor: float) -> None:
    round_ = seen(rule)
    direction_D = round_.deviation_D
    sent_D = round_.mean_D + np.float32(factor) * direction_D
    every_ND = np.concatenate([round_.honest_ND, [sent_D] * ATTACKERS])
    merged_D = merge_floats(rule, every_ND, round_.previous_D, round_.damage.order)
    expected = np.linalg.norm(merged_D - round_.mean_D)
    assert round_.damage.along(direction_D)(factor) == pytest.approx(expected, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("name", ["ALIE", "IPM"])
@pytest.mark.parametrize("rule", MATRIX_RULES, ids=str)
def test_optimised_attack__against_any_rule__then_it_does_no_less_damage(rule: Rule, name: str) -> None:
    round_ = seen(rule)

    def damage(vector_D: Vectors) -> float:
        every_ND = np.concatenate([round_.honest_ND, [vector_D] * ATTACKERS])
        merged_D = merge_floats(rule, every_ND, round_.previous_D, round_.damage.order)
        return float(np.linalg.norm(merged_D - round_.mean_D))

    assert damage(sent(f"{name} optimised", round_)) >= damage(sent(name, round_)) - 1e-3


def test_best_factor__when_what_is_sent_is_bounded__then_it_stops_where_longer_vectors_do_no_more() -> None:
    round_ = seen()
    bounded = replace(round_.damage, clip=30.0)
    far = bounded.along(round_.deviation_D)(1e6)
    found = bounded.along(round_.deviation_D)(best_factor(bounded, round_.deviation_D))
    assert far > 0
    assert found >= 0.95 * far


@pytest.mark.parametrize("name", SPLITS)
def test_deal__when_all_is_dealt__then_each_row_is_in_one_hand(name: str) -> None:
    labels = np.random.default_rng(1).integers(0, 10, 1000)
    hands = SPLITS[name](labels, HONEST, np.random.default_rng(2))
    assert len(hands) == HONEST
    assert sorted(np.concatenate(hands).tolist()) == list(range(1000))
    classes = [len(set(labels[hand])) for hand in hands]
    assert max(classes) <= {"one class": 1, "sorted": 3, "gamma 0.0": 3}.get(name, 10)
    assert min(classes) >= (9 if name in {"IID", "gamma 1.0"} else 1)


def test_batches__when_a_hand_is_used_up__then_it_is_shuffled_anew() -> None:
    hand = np.arange(100, 110)
    drawn = list(islice(batches(hand, 4, np.random.default_rng(0)), 4))
    assert [len(set(rows)) for rows in drawn] == [4] * 4
    assert not set(drawn[0]) & set(drawn[1])
    assert [len(rows) for rows in islice(batches(hand[:2], 4, np.random.default_rng(0)), 2)] == [4, 4]


def test_gradients__of_many_workers_at_once__then_they_are_each_one_s_and_torch_s() -> None:
    torch.manual_seed(3)
    model = FlatModel(Perceptron())
    images, labels = torch.randn(2, 8, 64), torch.randint(0, 10, (2, 8))
    together_ND = np.ones((2, len(model.weights_D)), np.float32)
    alone_ND = together_ND.copy()
    model.add_gradients(images, labels, 0.5, together_ND)
    for row_D, batch, wanted in zip(alone_ND, images, labels, strict=True):
        model.add_gradient(batch, wanted, 0.5, row_D)
    np.testing.assert_allclose(together_ND, alone_ND, atol=1e-6)
    weights = list(model.module.parameters())
    true = torch.autograd.grad(F.cross_entropy(model.module(images[0]), labels[0]), weights)
    flat_U = torch.cat([part.flatten() for part in true]).numpy()
    np.testing.assert_allclose(alone_ND[0, : model.used], 1 + 0.5 * flat_U, atol=1e-6)


def test_poisoned__with_a_trigger__then_half_of_a_batch_has_it_and_its_label() -> None:
    task = WORLDS[EVERYTHING].task()
    images, labels = poisoned(task.images[:8], task.labels[:8], Poison.TRIGGER, task)
    assert (images[::2, -2:] == task.brightest).all()
    assert not labels[::2].any()
    torch.testing.assert_close(images[1::2], task.images[1:8:2])
    assert poisoned(images, labels, Poison.FLIP, task)[1].tolist() == (9 - labels).tolist()


@pytest.mark.parametrize("rule", MATRIX_RULES, ids=str)
def test_servers__over_three_rounds__then_integers_follow_floats_to_a_few_grid_units(rule: Rule) -> None:
    bits, rate = 18, 0.01
    initial_D = np.linspace(-1, 1, SIZE).astype(np.float32)
    exact_D, float_D = initial_D.copy(), initial_D.copy()
    rng = np.random.default_rng(4)
    exact, floats = ExactServer(rule, rate, bits, None, initial_D), FloatServer(rule, rate, None, initial_D)
    for number in range(3):
        vectors = list((0.3 + 0.1 * rng.standard_normal((20, SIZE))).astype(np.float32))
        exact.merge(vectors, bytes([number]) * 32, exact_D)
        floats.merge(vectors, bytes([number]) * 32, float_D)
    assert np.abs(exact_D - float_D).max() <= 4 * 2.0**-bits
    assert np.abs(exact_D - initial_D).min() > 100 * 2.0**-bits


def test_play__of_a_few_rounds__then_it_is_repeatable_and_depends_on_the_attack() -> None:
    cells = [cell for cell in plan() if cell.world == EVERYTHING and cell.rule.name == "mean"]
    named = {cell.attack: replace(cell, steps=4) for cell in cells if cell.split == "Dirichlet 0.5"}
    first, again, other = play(named["none"]), play(named["none"]), play(named["Gaussian"])
    assert first["curve"] == again["curve"]
    assert first["curve"] != other["curve"]
    assert 0 <= play(named["model replacement"])["followed"] <= 1
    assert play(replace(named["replay"], steps=50))["curve"][-1][1] > 0.8  # a mean barely notices it
    assert [step for step, _ in play(replace(named["none"], steps=60))["curve"]] == [50, 60]
    assert [step for step, _ in play(replace(named["none"], steps=60, enough=0.1))["curve"]] == [50]


def test_read_results__when_the_last_line_was_cut_short__then_only_that_cell_is_played_again(tmp_path: Path) -> None:
    cells = list(plan())
    lines = [json.dumps({"cell": cell.settings(), "curve": [[1, 0.5]], "seconds": 1.0}) for cell in cells[:3]]
    file = tmp_path / "attacks.jsonl"
    file.write_text("\n".join(lines)[:-20])
    assert set(read_results(file)) == {key_of(cell) for cell in cells[:2]}


def test_plan__of_everything__then_no_cell_stands_twice_and_each_attack_meets_each_rule() -> None:
    cells = list(plan())
    assert len({key_of(cell) for cell in cells}) == len({name_of(cell) for cell in cells}) == len(cells)
    met = {(cell.attack, cell.rule, cell.split) for cell in cells if cell.world == EVERYTHING}
    assert len(met) == 17 * len(MATRIX_RULES) * 4


def test_tables__when_a_bar_is_missed_or_a_cell_was_not_run__then_they_say_so() -> None:
    cells = {(cell.attack, cell.exact): cell for cell in plan() if cell.world == BUCKETING}
    found = {"IPM": 97.0, "ALIE": 98.0}
    outcomes = [(cells[name, True], {"curve": [[600, value / 100]]}) for name, value in found.items()]
    outcomes.append((cells["ALIE", False], {"curve": [[600, 0.9825]]}))
    rows = {row[0]: row[1:] for row in tables(outcomes)[0].rows}
    assert rows["IPM"] == ("97.87", "**97.00 missed**", "–", "–")
    assert rows["ALIE"] == ("98.13", "98.00", "98.25", "**-0.25 missed**")
    assert rows["mimic"] == ("97.95", "–", "–", "–")
    assert rows["worst of the 2 that were run (bar: 97.3)"][1] == "**97.00 missed**"


def test_byzfl_tables__when_not_all_attacks_were_run__then_the_worst_says_of_how_many() -> None:
    cells = [cell for cell in plan() if (cell.world, cell.split, cell.attackers) == (BYZFL, "gamma 0.33", 4)][:3]
    values = [[0.5, 0.97], [0.95, 0.9], [0.96, 0.96]]
    outcomes = [(cell, {"curve": list(enumerate(value))}) for cell, value in zip(cells, values, strict=True)]

    def shown(few: int) -> str:
        return next(row for row in tables(outcomes[:few])[0].rows if row[0] == "gamma 0.33")[4]

    assert len(tables(outcomes)) == 1
    assert shown(3) == "95.00 (ALIE optimised; ByzFL 94)"
    assert shown(1) == "97.00 (IPM optimised; ByzFL 94; 1 of 3 run)"


def test_draw__of_the_same_outcomes__then_the_files_are_the_same(tmp_path: Path) -> None:
    cells = [cell for cell in plan() if cell.attack in {"ALIE", "none"}]
    outcomes = [(cell, {"curve": [[1, 0.5], [2, 0.6]]}) for cell in cells]
    first, again = tmp_path / "first", tmp_path / "again"
    for folder in (first, again):
        folder.mkdir()
        assert len(draw(outcomes, folder)) == 2
    assert [file.read_bytes() for file in sorted(first.iterdir())] == [
        file.read_bytes() for file in sorted(again.iterdir())
    ]
