"""Every way in which an update's file can be wrong, each with its name; next to the right file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ledger.commitments import CHUNK, chunk_squares, update_tree
from ledger.merge_records import GivenReason, Reason
from ledger.records import Revealed
from ledger.trees import SumTree, Tag, leaf_hashes
from node.updates import LIMIT, encode_update
from node.verification import Rejection, VerifiedUpdate, check_update, commitment_fault
from tests import builders as make

pytestmark = pytest.mark.unit

COORDINATES = 300
SIZE = 3 * CHUNK


def sample(seed: int = 0) -> NDArray[np.int16]:
    update_D = np.zeros(SIZE, dtype=np.int16)
    rng = np.random.default_rng(seed)
    update_D[:COORDINATES] = rng.integers(-LIMIT, LIMIT, COORDINATES, dtype=np.int16, endpoint=True)
    return update_D


def reveal_of(update_D: NDArray[np.int16]) -> Revealed:
    tree = update_tree(update_D)
    return replace(make.revealed(make.ALICE, 1, 0, 5), update_root=tree.root, squared_norm=tree.total)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = tmp_path / "update"
    written.write_bytes(encode_update(sample()))
    return written


def reject(path: Path, data: bytes) -> Rejection:
    path.write_bytes(data)
    outcome = check_update(path, reveal_of(sample()), COORDINATES)
    assert isinstance(outcome, Rejection)
    assert outcome.detail
    return outcome


def test_check_update__when_the_bytes_are_those_revealed__then_they_are_mapped_and_read_only(path: Path) -> None:
    revealed = reveal_of(sample())
    outcome = check_update(path, revealed, COORDINATES)
    assert isinstance(outcome, VerifiedUpdate)
    assert outcome.revealed == revealed
    assert np.array_equal(outcome.update, sample())
    assert not outcome.update.flags.writeable
    assert outcome.file_bytes == path.stat().st_size == 16 + 2 * SIZE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.WRONG_LENGTH),
        (encode_update(sample())[:15], Reason.WRONG_LENGTH),
        (encode_update(sample())[:-1], Reason.WRONG_LENGTH),
        (encode_update(sample()) + b"\0", Reason.WRONG_LENGTH),
        (encode_update(sample())[:-256], Reason.WRONG_LENGTH),
        (encode_update(np.zeros(4 * CHUNK, dtype=np.int16)), Reason.WRONG_LENGTH),
        (b"FBU2" + encode_update(sample())[4:], Reason.MALFORMED),
        (b"\x80\x04." + encode_update(sample())[3:], Reason.MALFORMED),
        (b"FBU1\x01" + encode_update(sample())[5:], Reason.MALFORMED),
        (b"FBU1\x00\x01" + encode_update(sample())[6:], Reason.MALFORMED),
        (encode_update(np.ones(SIZE, dtype=np.int16)), Reason.MALFORMED),
        (encode_update(np.where(np.arange(SIZE) == 7, -32768, 0).astype(np.int16)), Reason.WRONG_ROOT),
        (encode_update(sample(1)), Reason.WRONG_ROOT),
        (encode_update(-sample()), Reason.WRONG_ROOT),
    ],
)
def test_check_update__when_the_file_is_wrong__then_the_reason_is_named(
    path: Path, data: bytes, reason: Reason
) -> None:
    assert reject(path, data).reason == reason


@settings(max_examples=60)
@given(position=st.integers(16, 16 + 2 * COORDINATES - 1), bit=st.integers(0, 7))
def test_check_update__when_one_bit_of_the_payload_is_flipped__then_it_is_rejected(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    data = bytearray(encode_update(sample()))
    data[position] ^= 1 << bit
    path = tmp_path_factory.mktemp("flipped") / "update"
    assert reject(path, bytes(data)).reason == Reason.WRONG_ROOT


def test_check_update__when_the_committed_bytes_are_off_the_grid__then_the_chunk_is_named(path: Path) -> None:
    off_D = sample()
    off_D[[CHUNK + 3, CHUNK + 9, 2 * CHUNK]] = -32768
    path.write_bytes(encode_update(off_D))
    outcome = check_update(path, reveal_of(off_D), COORDINATES)
    assert isinstance(outcome, Rejection)
    assert (outcome.reason, outcome.chunks) == (Reason.OUT_OF_RANGE, (1, 2))
    assert outcome.given == GivenReason(Reason.OUT_OF_RANGE, 1)


def test_check_update__when_a_leaf_carries_a_false_norm__then_it_is_wrong_root(path: Path) -> None:
    squares = chunk_squares(sample())
    tree = SumTree(leaf_hashes(Tag.UPDATE, sample().data, CHUNK * 2), [0, *squares[1:]])
    revealed = replace(reveal_of(sample()), update_root=tree.root, squared_norm=tree.total)
    outcome = check_update(path, revealed, COORDINATES)
    assert isinstance(outcome, Rejection)
    assert outcome.given == GivenReason(Reason.WRONG_ROOT)


def test_commitment_fault__when_the_root_is_right__then_there_is_none() -> None:
    assert commitment_fault(update_tree(sample()).root, reveal_of(sample())) is None
