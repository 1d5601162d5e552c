"""Every rule's fast form against plain integers, whatever the blocks, the threads and the order of the updates."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from numpy.typing import NDArray

from ledger.commitments import CHUNK
from ledger.merge_parameters import PROVABLE, MergeParameters
from ledger.records import MergeRule
from node.block_rules import add_up_middle
from node.merge_arithmetic import bucket_order, chunk_distance, coordinate_mean, merge_coordinate, scale_of
from node.merging import MAX_UPDATES, ONE, STATE_MAX, STATE_MIN, Blocks, MergedRound, merge_round
from node.sorting_networks import Keep, middle_network

ROUNDS = 250
"""A rule: 1,000 together."""

SEED = bytes(range(32))


def random_parameters(rule: MergeRule, rng: random.Random) -> MergeParameters:
    clips = rule == MergeRule.CENTERED_CLIP
    return MergeParameters(
        rule=rule,
        eta=rng.choice([1, ONE, 2**32 - 1, rng.randrange(1, 2**18)]),
        beta=rng.choice([0, 0, 1, 58982, 65535]),
        trim=rng.choice([1, 2, 5, 127]) if rule == MergeRule.TRIMMED_MEAN else 0,
        bucket=rng.choice([1, 2, 3, 16]) if clips else 0,
        iterations=rng.choice([1, 2, 4]) if clips else 0,
        tau=rng.choice([1, 2**32 - 1, 2 ** rng.randrange(32), 2 ** rng.randrange(10, 20)]) if clips else 0,
        attackers=0 if rule in PROVABLE else rng.choice([1, 2, 3]),
    )


def random_round(
    parameters: MergeParameters, size: int, rng: random.Random, count: int | None = None
) -> tuple[NDArray[np.int32], list[NDArray[np.int16]]]:
    """Planes and updates, full of ends and ties.

    Shapes: -> (planes, size), each (size,).
    """
    draw = np.random.default_rng(rng.randrange(2**32))
    most = rng.choice([0, 1, 300, 32767])
    count = rng.choice([1, 2, 3, 4, 5, 7, 11, 20]) if count is None else count
    updates = [draw.integers(-most - 1, most, size, dtype=np.int16, endpoint=True) for _ in range(count)]
    planes_PD = draw.integers(STATE_MIN, STATE_MAX, (2, size), dtype=np.int32, endpoint=True)
    planes_PD >>= np.array([[rng.choice([0, 12])], [rng.choice([0, 8, 8, 31])]])
    planes_PD[:, 0] = rng.choice([STATE_MIN, STATE_MAX])
    return planes_PD[: parameters.planes], updates


def expected(
    parameters: MergeParameters, planes_PD: NDArray[np.int32], ordered: Sequence[NDArray[np.int16]], scales: list[int]
) -> list[list[int]]:
    """Every coordinate by itself, in plain integers."""
    rows, values = planes_PD.tolist(), [update_D.tolist() for update_D in ordered]
    previous = rows[1] if len(rows) == 2 else [0] * len(rows[0])
    columns = zip(*values, strict=True) if values else [()] * len(rows[0])
    merged = [
        merge_coordinate(parameters, accumulator, before, column, scales)
        for accumulator, before, column in zip(rows[0], previous, columns, strict=True)
    ]
    return [[pair[plane] for pair in merged] for plane in range(len(rows))]


def in_order(parameters: MergeParameters, updates: Sequence[NDArray[np.int16]]) -> list[NDArray[np.int16]]:
    return [updates[place] for place in bucket_order(len(updates), SEED)] if parameters.bucket > 1 else list(updates)


def same(one: MergedRound, other: MergedRound) -> bool:
    return (
        one.planes_PD.tobytes() == other.planes_PD.tobytes()
        and one.scales == other.scales
        and np.array_equal(one.distance_sums, other.distance_sums)
    )


def checked_distances(
    parameters: MergeParameters,
    planes_PD: NDArray[np.int32],
    ordered: Sequence[NDArray[np.int16]],
    made: MergedRound,
    chunk: int,
) -> None:
    """One chunk's distances by plain integers, and every scale by the sum of its row."""
    part = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
    previous, values = planes_PD[1, part].tolist(), [update_D[part].tolist() for update_D in ordered]
    for pair, scale in enumerate(made.scales):
        wanted = chunk_distance(parameters, previous, values, made.scales, pair)
        assert int(made.distance_sums[pair, chunk]) == wanted
        assert scale == scale_of(sum(made.distance_sums[pair].tolist()), parameters.tau)


@pytest.mark.unit
@pytest.mark.parametrize("rule", PROVABLE)
def test_merge_round__when_rounds_are_random__then_they_are_the_rule_in_plain_integers(rule: MergeRule) -> None:
    rng = random.Random(f"plain {rule}")  # noqa: S311 - reproducible rounds, not secrets
    for _ in range(40):
        parameters = random_parameters(rule, rng)
        planes_PD, updates = random_round(parameters, 2 * CHUNK, rng)
        before = planes_PD.copy()
        made = merge_round(parameters, planes_PD, updates, SEED)
        ordered = in_order(parameters, updates)
        assert made.planes_PD.tolist() == expected(parameters, planes_PD, ordered, made.scales)
        assert np.array_equal(planes_PD, before)
        if rule == MergeRule.CENTERED_CLIP:
            assert made.distance_sums.shape == (len(made.scales), 2)
            checked_distances(parameters, planes_PD, ordered, made, 1)


@pytest.mark.unit
@pytest.mark.parametrize("rule", list(MergeRule))
def test_merge_round__when_blocks_threads_and_order_differ__then_nothing_else_does(rule: MergeRule) -> None:
    rng = random.Random(f"blocks {rule}")  # noqa: S311 - reproducible rounds, not secrets
    with ThreadPoolExecutor(3) as pool:
        for _ in range(ROUNDS):
            parameters = random_parameters(rule, rng)
            planes_PD, updates = random_round(parameters, 4 * CHUNK, rng)
            whole = merge_round(parameters, planes_PD, updates, SEED)
            blocks = Blocks(rng.choice([CHUNK, 2 * CHUNK, 200, 300]), pool)
            assert same(merge_round(parameters, planes_PD, updates, SEED, blocks), whole)
            shuffled = rng.sample(updates, len(updates))
            if parameters.bucket <= 1 and rule in PROVABLE:
                other = merge_round(parameters, planes_PD, shuffled, None)
                assert other.planes_PD.tobytes() == whole.planes_PD.tobytes()


@pytest.mark.unit
@pytest.mark.parametrize("rule", PROVABLE)
def test_merge_round__when_there_are_the_most_updates__then_nothing_overflows(rule: MergeRule) -> None:
    rng = random.Random(f"most {rule}")  # noqa: S311 - reproducible rounds, not secrets
    parameters = MergeParameters(rule, 2**32 - 1, 0, rule == MergeRule.TRIMMED_MEAN)
    if rule == MergeRule.CENTERED_CLIP:
        parameters = MergeParameters(rule, 2**32 - 1, 58982, 0, 3, 2, 2**20)
    planes_PD, updates = random_round(parameters, CHUNK, rng, MAX_UPDATES)
    for update_D in updates:
        update_D[:2] = -32768
        update_D[2:4] = 32767
    made = merge_round(parameters, planes_PD, updates, SEED)
    assert made.planes_PD.tolist() == expected(parameters, planes_PD, in_order(parameters, updates), made.scales)


@pytest.mark.unit
def test_merge_round__when_the_model_has_many_pieces__then_each_is_in_its_place() -> None:
    rng = random.Random("pieces")  # noqa: S311 - reproducible rounds, not secrets
    for parameters in (
        MergeParameters(MergeRule.MEDIAN, ONE, 58982),
        MergeParameters(MergeRule.CENTERED_CLIP, ONE, 0, 0, 1, 2, 2**20),
        MergeParameters(MergeRule.CENTERED_CLIP, ONE, 0, 0, 2, 1, 2**20),
    ):
        size = 2400 * CHUNK
        planes_PD, updates = random_round(parameters, size, rng, 5)
        made = merge_round(parameters, planes_PD, updates, SEED)
        places = [0, 1023, 1024, 32767, 32768, 262143, 262144, size - 1]
        ordered = in_order(parameters, [update_D[places] for update_D in updates])
        assert made.planes_PD[:, places].tolist() == expected(parameters, planes_PD[:, places], ordered, made.scales)
        if made.scales:
            checked_distances(parameters, planes_PD, in_order(parameters, updates), made, 2399)


@pytest.mark.unit
@pytest.mark.parametrize("rule", list(MergeRule))
def test_merge_round__when_there_is_nothing_to_merge__then_the_state_is_copied(rule: MergeRule) -> None:
    drops = rule in (MergeRule.TRIMMED_MEAN, MergeRule.MULTI_KRUM, MergeRule.NEAREST_NEIGHBOURS)
    parameters = MergeParameters(rule, ONE, 9, 2 * (rule == MergeRule.TRIMMED_MEAN), 2, 2, 1, attackers=2)
    planes_PD, updates = random_round(parameters, CHUNK, random.Random(1), 4)  # noqa: S311
    made = merge_round(parameters, planes_PD, updates if drops else [], None)
    assert np.array_equal(made.planes_PD, planes_PD)
    assert not np.may_share_memory(made.planes_PD, planes_PD)
    assert made.scales == []
    assert made.distance_sums.shape == (0, 1)


@pytest.mark.unit
def test_merge_round__when_buckets_have_several__then_the_seed_orders_them() -> None:
    parameters = MergeParameters(MergeRule.CENTERED_CLIP, ONE, 0, 0, 2, 1, 1)
    planes_PD, updates = random_round(parameters, CHUNK, random.Random("seed"), 7)  # noqa: S311
    with pytest.raises(ValueError, match="not drawn"):
        merge_round(parameters, planes_PD, updates, None)
    made = merge_round(parameters, planes_PD, updates, SEED)
    assert len(made.scales) == 4
    assert not same(merge_round(parameters, planes_PD, updates, bytes(32)), made)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("parameters", "shape", "message"),
    [
        (MergeParameters(MergeRule.MEAN, 1), (2, 4), r"\[2, 4\] does not have 1 planes"),
        (MergeParameters(MergeRule.MEDIAN, 1, 1), (1, 4), "does not have 2 planes"),
        (MergeParameters(MergeRule.MEAN, 1), (4,), "does not have 1 planes"),
        (MergeParameters(MergeRule.CENTERED_CLIP, 1, 0, 0, 1, 1, 1), (2, 130), "no whole chunks"),
    ],
)
def test_merge_round__when_the_state_does_not_fit__then_it_is_refused(
    parameters: MergeParameters, shape: tuple[int, ...], message: str
) -> None:
    update = np.zeros(shape[-1], dtype=np.int16)
    with pytest.raises(ValueError, match=message):
        merge_round(parameters, np.zeros(shape, dtype=np.int32), [update], None)


@pytest.mark.unit
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 13, 20, 64, 100, 255, 256])
def test_add_up_middle__whatever_is_dropped__then_it_is_the_sum_of_the_sorted_middle(count: int) -> None:
    draw = np.random.default_rng(count)
    values = draw.integers(-32768, 32767, (count, 1500), dtype=np.int16, endpoint=True)
    values[:, :500] //= 8192
    for dropped in {0, 1, 2, count // 3, (count - 1) // 2}:
        if 2 * dropped < count:
            sums = np.empty(1500, dtype=np.int32)
            add_up_middle(list(values), dropped, sums)
            assert np.array_equal(sums, np.sort(values, axis=0)[dropped : count - dropped].sum(axis=0, dtype=np.int64))


@pytest.mark.unit
@pytest.mark.parametrize("count", range(1, 11))
def test_middle_network__of_all_zeros_and_ones__then_the_middle_has_its_ones(count: int) -> None:
    """By the 0-1 principle a network that is right for these is right for all values."""
    for dropped in range((count + 1) // 2):
        for word in range(2**count):
            places = [word >> place & 1 for place in range(count)]
            for low, high, keep in middle_network(count, dropped):
                smaller, greater = sorted((places[low], places[high]))
                places[low] = smaller if Keep.LOW in keep else 7
                places[high] = greater if Keep.HIGH in keep else 7
            wanted = sum(sorted(word >> place & 1 for place in range(count))[dropped : count - dropped])
            assert sum(places[dropped : count - dropped]) == wanted


@pytest.mark.unit
def test_scale_of__then_no_greater_one_holds() -> None:
    rng = random.Random("scales")  # noqa: S311 - reproducible numbers, not secrets
    for _ in range(2000):
        tau, distance = rng.randrange(1, 2 ** rng.randint(1, 32)), rng.randrange(2 ** rng.randint(1, 64))
        scale = scale_of(distance, tau)
        if distance <= tau**2:
            assert scale == ONE
        else:
            assert scale**2 * distance <= ONE**2 * tau**2 < (scale + 1) ** 2 * distance


@pytest.mark.unit
def test_bucket_order__then_it_is_a_permutation_that_the_seed_chooses() -> None:
    orders = [tuple(bucket_order(9, bytes([seed]) * 32)) for seed in range(20)]
    assert all(sorted(order) == list(range(9)) for order in orders)
    assert len(set(orders)) == 20
    assert bucket_order(0, SEED) == []
    assert bucket_order(1, SEED) == [0]


@pytest.mark.unit
@pytest.mark.parametrize("rule", [rule for rule in MergeRule if rule not in PROVABLE])
def test_merge_coordinate__of_a_rule_that_looks_at_whole_updates__then_it_is_refused(rule: MergeRule) -> None:
    with pytest.raises(ValueError, match="no coordinate stands alone"):
        merge_coordinate(MergeParameters(rule, ONE, attackers=1), 5, 0, [1] * 9)


@pytest.mark.unit
def test_merge_coordinate__when_the_state_has_one_plane__then_nothing_is_remembered() -> None:
    assert merge_coordinate(MergeParameters(MergeRule.MEAN, ONE), 5, 0, [-1, 0, 0]) == (-81, 0)
    assert merge_coordinate(MergeParameters(MergeRule.MEAN, ONE, 32768), 5, 100, [-1, 0, 0]) == (12, 7)
    assert coordinate_mean(5, [-1, 0, 0], ONE) == -81


@pytest.mark.integration
def test_merge_round__when_blocks_run_in_other_processes__then_nothing_differs() -> None:
    rng = random.Random("processes")  # noqa: S311 - reproducible rounds, not secrets
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for rule in MergeRule:
            parameters = random_parameters(rule, rng)
            planes_PD, updates = random_round(parameters, 4 * CHUNK, rng, 11)
            elsewhere = merge_round(parameters, planes_PD, updates, SEED, Blocks(CHUNK, pool))
            assert same(elsewhere, merge_round(parameters, planes_PD, updates, SEED))
