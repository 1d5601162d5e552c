"""The exact mean: against plain integers, at the ends of every range, whatever the blocks and threads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from node.merging import MAX_UPDATES, ONE, STATE_MAX, STATE_MIN, Blocks, add_up, coordinate_mean, merge_mean
from node.updates import LIMIT, decode_update, encode_update

ETAS = st.sampled_from([0, 1, 255, 32768, 65535, ONE, 65537, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
EDGES = [-LIMIT, -LIMIT + 1, -257, -2, -1, 0, 1, 2, 257, LIMIT - 1, LIMIT]
STATES = [STATE_MIN, STATE_MIN + 1, -(2**23), -1, 0, 1, 2**23, STATE_MAX - 1, STATE_MAX]


def reference(state: Sequence[int], rows: Sequence[Sequence[int]], eta: int) -> list[int]:
    """The rule as docs/PROTOCOL.md words it, in plain integers."""
    merged = []
    for coordinate, accumulator in enumerate(state):
        total = sum(row[coordinate] for row in rows)
        step = eta * (total * 256 // len(rows)) // 65536
        merged.append(max(-(2**31), min(2**31 - 1, accumulator + step)))
    return merged


def columns(rows: Sequence[Sequence[int]]) -> list[NDArray[np.int16]]:
    return [np.array(row, dtype=np.int16) for row in rows]


def random_round(updates: int, size: int, seed: int = 0) -> tuple[NDArray[np.int32], list[NDArray[np.int16]]]:
    rng = np.random.default_rng(seed)
    state_D = rng.integers(STATE_MIN, STATE_MAX, size, dtype=np.int32, endpoint=True)
    return state_D, [rng.integers(-LIMIT, LIMIT, size, dtype=np.int16, endpoint=True) for _ in range(updates)]


@pytest.mark.unit
@given(st.data(), st.integers(1, 9), st.integers(1, 12), ETAS)
def test_merge_mean__when_values_are_at_the_ends__then_it_is_the_rule_in_plain_integers(
    data: st.DataObject, count: int, size: int, eta: int
) -> None:
    values = st.sampled_from(EDGES) | st.integers(-LIMIT, LIMIT)
    rows = data.draw(st.lists(st.lists(values, min_size=size, max_size=size), min_size=count, max_size=count))
    state = data.draw(st.lists(st.sampled_from(STATES), min_size=size, max_size=size))
    merged_D = merge_mean(np.array(state, dtype=np.int32), columns(rows), eta)
    assert merged_D.dtype == np.int32
    assert merged_D.tolist() == reference(state, rows, eta)


@pytest.mark.unit
@given(st.sampled_from(STATES), st.lists(st.integers(-LIMIT, LIMIT), max_size=20), ETAS)
def test_coordinate_mean__when_compared_with_the_merge__then_they_agree(
    accumulator: int, values: list[int], eta: int
) -> None:
    merged_D = merge_mean(np.array([accumulator], dtype=np.int32), columns([[value] for value in values]), eta)
    assert merged_D.tolist() == [coordinate_mean(accumulator, values, eta)]


@pytest.mark.unit
@pytest.mark.parametrize("count", [1, 2, 3, 255, 256])
@pytest.mark.parametrize("value", [-LIMIT, LIMIT])
def test_merge_mean__when_all_updates_are_extreme__then_nothing_overflows(count: int, value: int) -> None:
    state = [0, STATE_MIN, STATE_MAX]
    update = np.full(3, value, dtype=np.int16)
    merged_D = merge_mean(np.array(state, dtype=np.int32), [update] * count, 2**32 - 1)
    assert merged_D.tolist() == reference(state, [[value] * 3] * count, 2**32 - 1)


@pytest.mark.unit
@pytest.mark.parametrize("count", [1, 2, 127, 128, 129, 256])
def test_add_up__when_bytes_carry_in_every_way__then_the_sums_are_exact(count: int) -> None:
    rng = np.random.default_rng(count)
    updates = [rng.integers(-32768, 32767, 1000, dtype=np.int16, endpoint=True) for _ in range(count)]
    for column, value in enumerate([-32768, -32767, -257, -256, -255, -1, 0, 1, 255, 256, 32512, 32767]):
        for update in updates:
            update[column] = value
    sums = np.empty(1000, dtype=np.int32)
    add_up(updates, sums)
    assert np.array_equal(sums, np.sum(updates, axis=0, dtype=np.int64))


@pytest.mark.unit
@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("value", [-LIMIT, LIMIT])
def test_merge_mean__when_the_state_is_near_its_ends__then_it_clamps_and_never_wraps(offset: int, value: int) -> None:
    state = [STATE_MIN + 2**23 + offset, STATE_MAX - 2**23 + offset]
    for each in state:
        merged_D = merge_mean(np.array([each], dtype=np.int32), columns([[value]]), ONE)
        assert merged_D.tolist() == [coordinate_mean(each, [value], ONE)]


@pytest.mark.unit
@pytest.mark.parametrize(
    ("accumulator", "values", "eta", "merged"),
    [
        (0, [1], ONE, 256),
        (0, [-1, 0, 0], ONE, -86),  # -256 // 3 floors to -86; truncation would give -85
        (0, [1, 0, 0], ONE, 85),
        (5, [-1], 1, 4),  # -256 // 65536 floors to -1
        (5, [1], 1, 5),
        (STATE_MAX - 3, [LIMIT], ONE, STATE_MAX),
        (STATE_MIN + 3, [-LIMIT], ONE, STATE_MIN),
        (77, [LIMIT], 0, 77),
        (77, [], ONE, 77),
    ],
)
def test_merge_mean__when_worked_by_hand__then_divisions_floor_and_ends_clamp(
    accumulator: int, values: list[int], eta: int, merged: int
) -> None:
    state_D = np.array([accumulator], dtype=np.int32)
    assert merge_mean(state_D, columns([[value] for value in values]), eta).tolist() == [merged]
    assert coordinate_mean(accumulator, values, eta) == merged


@pytest.mark.unit
@settings(max_examples=30)
@given(st.integers(1, 400), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_merge_mean__when_blocks_and_threads_differ__then_the_bytes_do_not(size: int, threads: int, seed: int) -> None:
    state_D, updates = random_round(7, 1000, seed)
    whole = merge_mean(state_D, updates, ONE)
    with ThreadPoolExecutor(threads) as pool:
        assert merge_mean(state_D, updates, ONE, Blocks(size, pool)).tobytes() == whole.tobytes()
    assert merge_mean(state_D, updates, ONE, Blocks(size)).tobytes() == whole.tobytes()


@pytest.mark.unit
@given(st.permutations(range(9)))
def test_merge_mean__when_updates_are_reordered__then_the_bytes_do_not_change(order: list[int]) -> None:
    state_D, updates = random_round(9, 300)
    expected = merge_mean(state_D, updates, 40_000).tobytes()
    assert merge_mean(state_D, [updates[index] for index in order], 40_000).tobytes() == expected


@pytest.mark.unit
def test_merge_mean__when_the_model_has_many_blocks__then_each_is_in_its_place() -> None:
    state_D, updates = random_round(3, 600_001)
    merged_D = merge_mean(state_D, updates, ONE)
    total = sum(update.astype(np.int64) for update in updates)
    expected = np.clip(state_D.astype(np.int64) + total * 256 // 3, STATE_MIN, STATE_MAX)
    assert np.array_equal(merged_D, expected)


@pytest.mark.unit
def test_merge_mean__when_updates_are_mapped_files__then_they_are_merged_in_place(tmp_path: Path) -> None:
    state_D, updates = random_round(4, 512)
    mapped = []
    for index, update in enumerate(updates):
        path = tmp_path / str(index)
        path.write_bytes(encode_update(update))
        mapped.append(decode_update(np.memmap(path, dtype=np.uint8, mode="r").data, 512))
    assert not any(update.flags.writeable or update.flags.owndata for update in mapped)
    assert np.array_equal(merge_mean(state_D, mapped, ONE), merge_mean(state_D, updates, ONE))


@pytest.mark.unit
def test_merge_mean__when_memory_is_given__then_the_result_is_written_there() -> None:
    state_D, updates = random_round(2, 300)
    out = np.full(300, 9, dtype=np.int32)
    before = state_D.copy()
    assert merge_mean(state_D, updates, ONE, out=out) is out
    assert np.array_equal(out, merge_mean(state_D, updates, ONE))
    assert np.array_equal(state_D, before)


@pytest.mark.unit
def test_merge_mean__when_there_are_no_updates__then_the_state_is_copied() -> None:
    state_D, _ = random_round(0, 10)
    merged_D = merge_mean(state_D, [], ONE)
    assert np.array_equal(merged_D, state_D)
    assert not np.may_share_memory(merged_D, state_D)


STATE = np.zeros(4, dtype=np.int32)
UPDATE = np.zeros(4, dtype=np.int16)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("state_D", "updates", "message"),
    [
        (STATE, [UPDATE, UPDATE[:3]], r"update 1 is int16\[3\]"),
        (STATE, [UPDATE.astype(np.int32)], r"update 0 is int32"),
        (STATE, [UPDATE.reshape(2, 2)], r"update 0 is int16\[2, 2\]"),
        (STATE.astype(np.int64), [UPDATE], "the state is int64"),
        (STATE, [UPDATE] * (MAX_UPDATES + 1), "257 updates are more than the 256"),
    ],
)
def test_merge_mean__when_arrays_do_not_fit__then_they_are_refused(
    state_D: NDArray[np.int32], updates: list[NDArray[np.int16]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        merge_mean(state_D, updates, ONE)


@pytest.mark.unit
@pytest.mark.parametrize("eta", [-1, 2**32])
def test_merge_mean__when_the_rate_is_no_uint32__then_it_is_refused(eta: int) -> None:
    with pytest.raises(ValueError, match="no uint32"):
        merge_mean(STATE, [UPDATE], eta)


@pytest.mark.unit
@pytest.mark.parametrize("out", [STATE, np.zeros(3, dtype=np.int32)])
def test_merge_mean__when_the_result_has_no_room_of_its_own__then_it_is_refused(out: NDArray[np.int32]) -> None:
    with pytest.raises(ValueError, match="memory of its own"):
        merge_mean(STATE, [UPDATE], ONE, out=out)


@pytest.mark.integration
def test_merge_mean__when_blocks_run_in_other_processes__then_the_bytes_are_the_same() -> None:
    state_D, updates = random_round(5, 5000)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        merged_D = merge_mean(state_D, updates, ONE, Blocks(1024, pool))
    assert merged_D.tobytes() == merge_mean(state_D, updates, ONE).tobytes()
