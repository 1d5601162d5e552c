"""Contribution measured on real rounds: against exact Shapley values, and what free riders and copies get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from incentives.contribution import pay
from incentives.shapley import ends_mean, exact_shapley, gtg_shapley, guided_orders
from ledger.merge_parameters import MergeParameters
from ledger.records import MergeRule, Wei
from node.contribution import Holdout, assess, contributions, game_of
from node.data.schema import Examples
from node.errors import MalformedUpdate
from node.evaluation import evaluate
from node.made_merges import MadeMerge
from node.merging import ONE, merge_round
from node.model import flatten, layout
from node.package.loader import load_package
from node.updates import decode_update, encode_update
from scripts.benchmarks.contribution_players import Kind, Player, Task, clouds_task, deal, digits_task, play_round
from tests.node import samples

pytestmark = pytest.mark.unit

POT = Wei(10**18)
ROUNDS = 3
HONEST = Kind.HONEST


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Task]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # batches are so small that threads only wait for each other
    yield digits_task(tmp_path_factory.mktemp("digits"))
    torch.set_num_threads(threads)


def earned(task: Task, holdout: Holdout, players: Sequence[Player], rng: np.random.Generator) -> NDArray[np.float64]:
    """What each player earns of the pot in some rounds, in whole pots."""
    merge, total = task.start(), np.zeros(len(players))
    for _ in range(ROUNDS):
        before = merge.updates
        merge = play_round(task, holdout, merge, players, rng)
        total += np.array(pay(POT, assess(merge, holdout, before).weights).parts) / POT
    return total


def hands(task: Task, players: int, alpha: float | None, seed: int) -> tuple[Holdout, list[NDArray[np.int64]]]:
    rng = np.random.default_rng(seed)
    holdout, rows = task.split(rng)
    return holdout, deal(task.labels, rows, players, alpha, rng)


def second_round(task: Task, alpha: float | None, seed: int = 0) -> tuple[Holdout, MadeMerge]:
    """A round of four honest players, a flipper and a noisy free rider."""
    holdout, dealt = hands(task, 6, alpha, seed)
    kinds = [HONEST] * 4 + [Kind.FLIPPED, Kind.NOISE]
    players = [Player(kind, rows) for kind, rows in zip(kinds, dealt, strict=True)]
    rng = np.random.default_rng(seed)
    merge = task.start()
    for _ in range(2):
        merge = play_round(task, holdout, merge, players, rng)
    return holdout, merge


@pytest.mark.parametrize("alpha", [None, 0.5, 0.1])
def test_contributions__against_exact_shapley__then_they_agree(task: Task, alpha: float | None) -> None:
    holdout, merge = second_round(task, alpha)
    game = game_of(merge, holdout)
    exact = exact_shapley(game)
    numbers = iter(np.random.default_rng(0).integers(2**62, size=1000).tolist())
    for found in (
        contributions(merge, holdout),
        contributions(merge, holdout, points=2),
        ends_mean(game),
        gtg_shapley(game, guided_orders(6, 60, numbers)),
    ):
        assert np.corrcoef(exact, found)[0, 1] >= 0.99
        assert np.isclose(sum(found), sum(exact), rtol=0.2)


def test_contributions__when_an_update_is_cut_in_two__then_the_parts_add_up_to_it(task: Task) -> None:
    holdout, merge = second_round(task, 0.5)
    whole, zero = merge.updates[0], np.zeros_like(merge.updates[0])
    part = np.random.default_rng(1).integers(-200, 200, len(whole)).astype(np.int16)
    together = contributions(replace(merge, updates=[whole, zero, *merge.updates[1:]]), holdout)
    apart = contributions(replace(merge, updates=[whole - part, part, *merge.updates[1:]]), holdout)
    assert together[1] == 0
    assert apart[1] != 0
    assert np.isclose(apart[0] + apart[1], together[0], rtol=1e-6)
    assert np.allclose(apart[2:], together[2:], rtol=1e-6)


@pytest.mark.parametrize("rule", [MergeRule.MEAN, MergeRule.TRIMMED_MEAN, MergeRule.MEDIAN])
def test_contributions__of_equal_updates__then_they_are_equal(task: Task, rule: MergeRule) -> None:
    holdout, merge = second_round(task, 0.5)
    parameters = MergeParameters(rule, ONE, trim=1 if rule == MergeRule.TRIMMED_MEAN else 0)
    twins = [merge.updates[0], merge.updates[1], merge.updates[0], merge.updates[2]]
    found = contributions(MadeMerge(parameters, merge.before_PD, twins), holdout)
    assert np.isclose(found[0], found[2], rtol=1e-9)
    assert not np.isclose(found[0], found[1], rtol=1e-3)


CHOOSING = [rule for rule in MergeRule if rule not in (MergeRule.MEAN, MergeRule.CENTERED_CLIP)]


def test_assess__of_no_updates__then_there_is_nothing(task: Task) -> None:
    holdout, _ = task.split(np.random.default_rng(0))
    assert assess(task.start(), holdout).weights == ()
    assert contributions(task.start(), holdout) == ()


def test_assess__when_the_model_has_diverged__then_it_is_refused(task: Task) -> None:
    holdout, merge = second_round(task, None)
    broken = Examples(holdout.examples.features * float("inf"), holdout.examples.labels)
    with pytest.raises(ValueError, match="a contribution can't be nan"):
        assess(merge, replace(holdout, examples=broken))


@pytest.mark.parametrize("rule", CHOOSING)
def test_assess__of_a_rule_that_chooses__then_it_says_what_can_be_measured(task: Task, rule: MergeRule) -> None:
    holdout, merge = second_round(task, None)
    parameters = MergeParameters(rule, ONE, trim=int(rule == MergeRule.TRIMMED_MEAN), attackers=1)
    with pytest.raises(ValueError, match="use the rule mean or centered_clip"):
        assess(replace(merge, parameters=parameters), holdout)


def test_contributions__of_clipped_updates__then_they_agree_with_exact_shapley(task: Task) -> None:
    holdout, merge = second_round(task, 0.5)
    parameters = MergeParameters(MergeRule.CENTERED_CLIP, ONE, bucket=1, iterations=2, tau=40_000)
    clipped = MadeMerge(parameters, np.vstack([merge.before_PD, np.zeros_like(merge.before_PD)]), merge.updates)
    exact = exact_shapley(game_of(clipped, holdout))
    assert np.corrcoef(exact, contributions(clipped, holdout, points=2))[0, 1] >= 0.99
    assert not np.array_equal(clipped.state_D, merge.state_D)


RULES = [
    MergeParameters(MergeRule.MEAN, ONE),
    MergeParameters(MergeRule.MEAN, ONE * 3 // 2, beta=ONE * 9 // 10),
    MergeParameters(MergeRule.TRIMMED_MEAN, ONE, trim=2),
    MergeParameters(MergeRule.MEDIAN, ONE // 2),
    MergeParameters(MergeRule.CENTERED_CLIP, ONE, bucket=1, iterations=3, tau=3000),
    MergeParameters(MergeRule.CENTERED_CLIP, ONE, bucket=3, iterations=2, tau=1500),
    MergeParameters(MergeRule.MULTI_KRUM, ONE, attackers=2),
    MergeParameters(MergeRule.GEOMETRIC_MEDIAN, ONE, attackers=2),
    MergeParameters(MergeRule.NEAREST_NEIGHBOURS, ONE, attackers=2),
]


@pytest.mark.parametrize("parameters", RULES, ids=str)
@pytest.mark.parametrize("values", [3, 2000])
def test_parts__of_every_rule__then_they_add_up_to_the_step_that_updates_made(
    parameters: MergeParameters, values: int
) -> None:
    rng = np.random.default_rng(values)
    updates = list(rng.integers(-values, values + 1, (7, 256)).astype(np.int16))
    before_PD = np.zeros((parameters.planes, 256), np.int32)
    if parameters.rule != MergeRule.CENTERED_CLIP:
        before_PD[:] = rng.integers(-(10**6), 10**6, before_PD.shape)
    merge = MadeMerge(parameters, before_PD, updates, bytes(32))
    step_D = merge.state_D.astype(np.int64) - merge.state_of(0)
    assert np.abs(merge.parts(slice(0, 256)).sum(axis=0) - step_D).max() <= 4
    assert np.abs(step_D).max() > 50


def test_parts__when_too_few_are_left_to_merge__then_they_are_zero() -> None:
    updates = list(np.ones((2, 128), np.int16))
    merge = MadeMerge(MergeParameters(MergeRule.TRIMMED_MEAN, ONE, trim=1), np.zeros((1, 128), np.int32), updates)
    assert not merge.parts(slice(0, 128)).any()


def test_state_of__of_a_coalition__then_the_others_are_zeros_and_the_divisor_stays() -> None:
    rng = np.random.default_rng(0)
    updates = list(rng.integers(-99, 99, (4, 128)).astype(np.int16))
    merge = MadeMerge(MergeParameters(MergeRule.MEAN, ONE), np.zeros((1, 128), np.int32), updates)
    assert np.array_equal(merge.state_of(0b0101), 256 * (updates[0].astype(np.int32) + updates[2]) // 4)
    alone = merge_round(merge.parameters, merge.before_PD, [updates[0], updates[2]], None).planes_PD[0]
    assert not np.array_equal(merge.state_of(0b0101), alone)


def test_gradient__of_a_model_with_running_statistics__then_it_is_that_of_differences(tmp_path: Path) -> None:
    exported = samples.net()
    paths = tmp_path / "train.pt2", tmp_path / "eval.pt2"
    for path, content in zip(paths, (exported.train, exported.eval), strict=True):
        path.write_bytes(content)
    program = load_package(*paths, exported.manifest)[1]
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(300, 4, generator=generator)
    holdout = Holdout(program, exported.manifest, Examples(features, torch.randint(3, (300,), generator=generator)))
    where = layout(exported.manifest)
    weights_D = flatten({name: tensor.numpy() for name, tensor in program.initial.items()}, where)
    gradient_D = holdout.gradient(weights_D)
    measured = {}
    for span in where.spans:
        direction_D = np.zeros_like(weights_D)
        direction_D[span.start : span.stop] = 0.002 * np.sign(gradient_D[span.start : span.stop])
        ends = [
            evaluate(program, exported.manifest, weights_D + sign * direction_D, holdout.examples)["loss"]
            for sign in (1, -1)
        ]
        measured[span.name] = (ends[0] - ends[1]) / 2
        assert np.isclose(float(gradient_D @ direction_D), measured[span.name], rtol=0.02), span.name
    assert abs(measured["norm.running_mean"]) > 1e-4
    assert abs(measured["norm.running_var"]) > 1e-5


def test_pay__of_a_provider_with_flipped_labels__then_it_is_less_than_each_honest_ones(task: Task) -> None:
    holdout, dealt = hands(task, 6, None, seed=1)
    players = [Player(Kind.FLIPPED, dealt[0]), *(Player(HONEST, rows) for rows in dealt[1:])]
    pays = earned(task, holdout, players, np.random.default_rng(1))
    assert 1.25 * pays[0] < min(pays[1:])


@pytest.mark.parametrize("has_others_too", [False, True])
def test_pay__of_the_only_holder_of_a_digit__then_it_is_at_least_an_average_share(
    task: Task, has_others_too: bool
) -> None:
    rng = np.random.default_rng(2)
    holdout, rows = task.split(rng)
    nines, others = (rows[(task.labels[rows] == 9) == wanted] for wanted in (True, False))
    dealt = deal(task.labels, others, 5, None, rng)
    dealt[0] = np.concatenate([dealt[0], nines]) if has_others_too else nines
    pays = earned(task, holdout, [Player(HONEST, part) for part in dealt], rng)
    assert pays[0] >= pays.mean()


@pytest.mark.parametrize("alpha", [None, 0.5])
@pytest.mark.parametrize("copies", [2, 4])
def test_pay__of_an_update_that_is_sent_k_times__then_together_it_is_no_more_than_once(
    task: Task, alpha: float | None, copies: int
) -> None:
    holdout, dealt = hands(task, 6, alpha, seed=3)
    rng = np.random.default_rng(3)
    merge = play_round(task, holdout, task.start(), [Player(HONEST, rows) for rows in dealt], rng)
    one = merge.updates[0]
    noise = [rng.integers(-9, 10, len(one)) for _ in range(copies - 1)]
    again = [np.clip(one * 0.9 + part, -32767, 32767).astype(np.int16) for part in noise]
    once = pay(POT, assess(merge, holdout).weights).parts
    often = pay(POT, assess(replace(merge, updates=[*merge.updates, *again]), holdout).weights).parts
    assert 0 < often[0] + sum(often[6:]) <= once[0]


def test_pay__of_a_data_set_that_trains_k_times__then_together_it_is_no_more_than_once(task: Task) -> None:
    holdout, dealt = hands(task, 6, 0.5, seed=2)
    honest = [Player(HONEST, rows) for rows in dealt]
    once = earned(task, holdout, honest, np.random.default_rng(2))
    often = earned(task, holdout, [*honest, honest[1], honest[1]], np.random.default_rng(2))
    assert 0 < often[1] + often[6:].sum() <= once[1]


def test_pay__of_zero_noise_and_replay__then_it_is_at_most_a_twentieth_of_an_honest_share(task: Task) -> None:
    holdout, dealt = hands(task, 5, 0.5, seed=4)
    free = [Player(kind, dealt[0]) for kind in (Kind.ZERO, Kind.NOISE, Kind.REPLAY)]
    players = [*(Player(HONEST, rows) for rows in dealt), *free]
    pays = earned(task, holdout, players, np.random.default_rng(4))
    assert max(pays[5:]) <= 0.05 * pays[:5].mean()
    assert pays[:5].mean() > 0.5


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """A model of 15 parameters that learns slowly."""
    return clouds_task(tmp_path_factory.mktemp("clouds"))


def test_assess__where_every_round_goes_the_same_way__then_work_is_paid_and_free_riders_are_not(clouds: Task) -> None:
    holdout, dealt = hands(clouds, 3, None, seed=0)
    free = [Player(kind, dealt[0]) for kind in (Kind.ZERO, Kind.NOISE, Kind.REPLAY)]
    players = [*(Player(HONEST, rows[:24]) for rows in dealt), *free]
    rng, merge, total, new = np.random.default_rng(0), clouds.start(), np.zeros(6), []
    for _ in range(8):
        before = merge.updates
        merge = play_round(clouds, holdout, merge, players, rng)
        assessed = assess(merge, holdout, before)
        total += np.array(pay(POT, assessed.weights).parts) / POT
        new.append(assessed.new)
    assert np.array(new)[:, :3].all()
    assert not np.array(new)[:, [3, 5]].any()
    assert max(total[3:]) <= 0.05 * total[:3].mean()


def test_assess__when_most_send_sums_of_the_round_before__then_only_the_others_are_new(clouds: Task) -> None:
    holdout, dealt = hands(clouds, 3, None, seed=0)
    rng, merge = np.random.default_rng(0), clouds.start()
    for _ in range(4):
        before = np.array(merge.updates, dtype=np.float64)
        merge = play_round(clouds, holdout, merge, [Player(HONEST, rows[:24]) for rows in dealt], rng)
    sums = [np.rint(rng.dirichlet([1] * 3) @ before).astype(np.int16) for _ in range(5)]
    mixed = replace(merge, updates=[*merge.updates, *sums])
    assert min(contributions(mixed, holdout)) > 0
    assert assess(mixed, holdout, list(before.astype(np.int16))).new == (*[True] * 3, *[False] * 5)


def test_pay__of_a_provider_that_reports_a_billion_examples__then_it_has_no_place_to_say_so(task: Task) -> None:
    holdout, merge = second_round(task, 0.5)
    data = bytearray(encode_update(merge.updates[0]))
    size = layout(task.manifest).used
    read = decode_update(bytes(data), size)
    data[12:16] = (10**9).to_bytes(4, "little")
    with pytest.raises(MalformedUpdate):
        decode_update(bytes(data), size)
    assert assess(replace(merge, updates=[read, *merge.updates[1:]]), holdout) == assess(merge, holdout)
