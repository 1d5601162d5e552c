"""Quantising deltas and reading the files that others wrote."""

from __future__ import annotations

import struct
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ledger.commitments import CHUNK
from ledger.merge_records import Reason
from node.errors import BadStateFile, NonFiniteUpdate, UpdateFault
from node.manifest_sections import UpdateSection
from node.state_files import decode_state, encode_state
from node.updates import LIMIT, decode_update, encode_update, off_grid_chunks, quantise

pytestmark = pytest.mark.unit

COORDINATES = 200


def grid(bits: int = 16, clip: float = 4.0, rounding: str = "nearest") -> UpdateSection:
    return UpdateSection.model_validate({"codec": "int16", "bits": bits, "clip": clip, "rounding": rounding})


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(size: int, scale: float, seed: int = 0) -> NDArray[np.float32]:
    return (rng(seed).standard_normal(size) * scale).astype(np.float32)


def test_quantise__when_it_fits__then_every_coordinate_is_rounded_to_the_nearest_even() -> None:
    delta_D = np.array([0, 1, -1, 0.5, 1.5, 2.5, -0.5, -1.5, 0.49, 100.75], dtype=np.float32) / 65536
    made = quantise(delta_D, grid(), rng())
    assert made.update.tolist() == [0, 1, -1, 0, 2, 2, 0, -2, 0, 101]
    assert made.update.dtype == np.int16
    assert (made.scale, made.nonzero, made.lost, made.saturated) == (1.0, 9, 3, 0)
    assert made.squared_norm == sum(q * q for q in made.update.tolist())


def test_quantise__when_a_coordinate_is_beyond_the_grid__then_it_is_cut_at_the_end() -> None:
    made = quantise(np.array([0.6, -0.6, 0.1], dtype=np.float32), grid(), rng())
    assert made.update.tolist() == [LIMIT, -LIMIT, 6554]
    assert made.saturated == 2


@settings(max_examples=60)
@given(
    st.integers(1, 400), st.floats(1e-8, 1e3), st.integers(1, 24), st.floats(1e-3, 100),
    st.sampled_from(["nearest", "stochastic"]), st.integers(0, 2**32),
)  # fmt: skip
def test_quantise__when_anything_goes_in__then_the_norm_bound_holds_and_zeros_stay(
    size: int, scale: float, bits: int, clip: float, rounding: str, seed: int
) -> None:
    delta_D = normal(size, scale, seed)
    delta_D[::7] = 0
    made = quantise(delta_D, grid(bits, clip, rounding), rng(seed))
    exact = sum(q * q for q in made.update.tolist())
    assert made.squared_norm == exact <= grid(bits, clip).squared_norm_bound
    assert not made.update[::7].any()
    assert -LIMIT <= made.update.min() <= made.update.max() <= LIMIT


def test_quantise__when_rounding_noise_is_all_there_is__then_it_still_ends_within_the_bound() -> None:
    delta_D = np.full(300_000, 1e-7, dtype=np.float32)
    section = grid(16, 0.001, "stochastic")
    assert quantise(delta_D, section, rng()).squared_norm <= section.squared_norm_bound


def test_quantise__when_clipped__then_the_direction_stays() -> None:
    delta_D = normal(50_000, 1.0)
    made = quantise(delta_D, grid(bits=12, clip=10.0), rng())
    assert made.norm == pytest.approx(np.linalg.norm(delta_D), rel=1e-5)
    assert made.scale == pytest.approx(10.0 / made.norm, rel=1e-2)
    back = made.update / 2.0**12
    cosine = back @ delta_D / (np.linalg.norm(back) * np.linalg.norm(delta_D))
    assert cosine > 0.99


def test_quantise__when_stochastic__then_it_is_unbiased_and_follows_the_seed() -> None:
    delta_D = np.full(100_000, 0.3 / 65536, dtype=np.float32)
    made = quantise(delta_D, grid(clip=100.0, rounding="stochastic"), rng(5))
    assert made.update.mean() == pytest.approx(0.3, abs=0.01)
    assert np.array_equal(made.update, quantise(delta_D, grid(clip=100.0, rounding="stochastic"), rng(5)).update)
    assert not np.array_equal(made.update, quantise(delta_D, grid(clip=100.0, rounding="stochastic"), rng(6)).update)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_quantise__when_a_coordinate_is_not_finite__then_it_is_named(value: float) -> None:
    delta_D = normal(100_000, 1e-3)
    delta_D[70_001] = value
    with pytest.raises(NonFiniteUpdate) as refused:
        quantise(delta_D, grid(), rng())
    assert refused.value.coordinate == 70_001


def test_quantise__when_the_model_is_large__then_memory_beyond_the_result_is_a_few_blocks() -> None:
    delta_D = normal(4_000_000, 1e-3)
    tracemalloc.start()
    quantise(delta_D, grid(), rng())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000 + 4_000_000


def sample() -> NDArray[np.int16]:
    update_D = np.zeros(256, dtype=np.int16)
    update_D[:COORDINATES] = rng().integers(-LIMIT, LIMIT + 1, COORDINATES)
    update_D[:2] = (LIMIT, -LIMIT)
    return update_D


def test_decode_update__when_encoded__then_it_is_a_view_of_the_same_integers() -> None:
    data = encode_update(sample())
    assert data[:16] == b"FBU1\0\0\0\0" + struct.pack("<I", 2) + bytes(4)
    assert len(data) == 16 + 2 * 256
    back = decode_update(data, COORDINATES)
    assert np.array_equal(back, sample())
    assert not back.flags.owndata
    assert not back.flags.writeable


def changed(at: int, value: bytes) -> bytes:
    data = bytearray(encode_update(sample()))
    data[at : at + len(value)] = value
    return bytes(data)


HOSTILE_UPDATES = [
    ("empty", b"", Reason.WRONG_LENGTH),
    ("half a header", encode_update(sample())[:15], Reason.WRONG_LENGTH),
    ("only a header", encode_update(sample())[:16], Reason.WRONG_LENGTH),
    ("cut by one byte", encode_update(sample())[:-1], Reason.WRONG_LENGTH),
    ("one byte more", encode_update(sample()) + b"\0", Reason.WRONG_LENGTH),
    ("another model's", encode_update(np.zeros(128, dtype=np.int16)), Reason.WRONG_LENGTH),
    ("huge count", changed(8, b"\xff\xff\xff\xff"), Reason.WRONG_LENGTH),
    ("magic", changed(0, b"FBS1"), Reason.MALFORMED),
    ("codec", changed(4, b"\x01"), Reason.MALFORMED),
    ("reserved byte", changed(5, b"\x01"), Reason.MALFORMED),
    ("last reserved byte", changed(15, b"\x01"), Reason.MALFORMED),
    ("padding", changed(16 + 2 * COORDINATES, b"\x01"), Reason.MALFORMED),
    ("last padding", changed(16 + 2 * 255, b"\x00\x80"), Reason.MALFORMED),
]


@pytest.mark.parametrize(("name", "data", "reason"), HOSTILE_UPDATES, ids=[name for name, _, _ in HOSTILE_UPDATES])
def test_decode_update__when_the_file_is_hostile__then_the_fault_has_the_reason_for_the_chain(
    name: str, data: bytes, reason: Reason
) -> None:
    with pytest.raises(UpdateFault) as refused:
        decode_update(data, COORDINATES)
    assert refused.value.reason is reason


@given(st.binary(max_size=600))
def test_decode_update__when_the_bytes_are_any__then_only_faults_come_out(data: bytes) -> None:
    for content in (data, encode_update(sample())[:16] + data):
        with suppress(UpdateFault):
            assert len(decode_update(content, COORDINATES)) == 256


@pytest.mark.parametrize("planes", [1, 2])
def test_decode_state__when_encoded__then_it_is_the_same(planes: int) -> None:
    state_PD = rng().integers(-(2**31), 2**31, (planes, 256)).astype(np.int32)
    data = encode_state(state_PD)
    assert data[:16] == b"FBS1" + bytes([planes, 0, 0, 0]) + struct.pack("<I", 2) + bytes(4)
    assert np.array_equal(decode_state(data, 2, planes), state_PD)


@pytest.mark.parametrize("at", [0, 4, 5, 8, 15])
def test_decode_state__when_a_header_byte_is_wrong__then_it_is_refused(at: int) -> None:
    data = bytearray(encode_state(np.zeros((1, 256), dtype=np.int32)))
    data[at] ^= 0x40
    with pytest.raises(BadStateFile):
        decode_state(bytes(data), 2)


@pytest.mark.parametrize("length", [0, 15, 16, 1039, 1041])
def test_decode_state__when_the_length_is_wrong__then_it_is_refused(length: int) -> None:
    data = (encode_state(np.zeros((1, 256), dtype=np.int32)) + b"\0")[:length]
    with pytest.raises(BadStateFile):
        decode_state(data, 2)


def test_off_grid_chunks__then_each_chunk_with_the_unused_integer_is_listed_once() -> None:
    update_D = np.zeros(1000 * CHUNK, dtype=np.int16)
    update_D[[0, 1, 127, 700 * CHUNK, 999 * CHUNK + 5]] = -32768
    update_D[5 * CHUNK] = -32767
    assert off_grid_chunks(update_D) == (0, 700, 999)
    assert off_grid_chunks(np.zeros(CHUNK, dtype=np.int16)) == ()
