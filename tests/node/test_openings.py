"""Openings lead to their roots; a tree that lies at one chunk is found again from honest bytes."""

from __future__ import annotations

import numpy as np
import pytest

from ledger.commitments import CHUNK, distance_tree, payout_tree, state_tree, update_tree
from ledger.keccak import Hash32
from ledger.records import Wei
from ledger.trees import SumTree, Tag, chunk_root, leaf_hash, leaf_hashes, sum_node, sum_root
from node.openings import committed_update, open_distance, open_payout, open_state, open_update, read_state_chunk
from tests.builders import ALICE, BOB

pytestmark = pytest.mark.unit

UPDATE_D = np.random.default_rng(0).integers(-9, 9, 5 * CHUNK).astype("<i2")


def lying_root(chunk: int, by: int) -> Hash32:
    sums = [int((part.astype(np.int64) ** 2).sum()) for part in UPDATE_D.reshape(-1, CHUNK)]
    sums[chunk] += by
    return Hash32(SumTree(leaf_hashes(Tag.UPDATE, UPDATE_D.data, CHUNK * 2), sums).root)


def test_committed_update__when_the_bytes_have_the_root__then_nothing_is_faulty() -> None:
    found = committed_update(UPDATE_D, Hash32(update_tree(UPDATE_D).root))
    assert found is not None
    assert found.faulty is None


@pytest.mark.parametrize(("chunk", "by"), [(0, 1), (3, -5), (4, 1000)])
def test_committed_update__when_one_sum_is_a_lie__then_its_chunk_is_found(chunk: int, by: int) -> None:
    found = committed_update(UPDATE_D, lying_root(chunk, by))
    assert found is not None
    assert found.faulty == chunk
    assert found.tree.root == lying_root(chunk, by)


def test_committed_update__when_these_are_other_bytes__then_there_is_no_such_tree() -> None:
    other_D = UPDATE_D.copy()
    other_D[0] += 1
    assert committed_update(other_D, Hash32(update_tree(UPDATE_D).root)) is None


@pytest.mark.parametrize("chunk", range(5))
def test_open_update__then_its_siblings_lead_to_the_root(chunk: int) -> None:
    root = lying_root(2, 7)
    update = committed_update(UPDATE_D, root)
    assert update is not None
    opened = open_update(update, chunk)
    leaf = sum_node(leaf_hash(Tag.UPDATE, chunk, opened.opening.content), opened.sum)
    assert sum_root(leaf, chunk, opened.opening.nodes) == root
    assert len(opened.packed()) == 256 + 8 + 3 * 32


@pytest.mark.parametrize("planes", [1, 2])
def test_open_state__then_its_siblings_lead_to_the_root(planes: int) -> None:
    planes_PD = np.arange(planes * 3 * CHUNK, dtype=np.int32).reshape(planes, -1)
    tree = state_tree(planes_PD)
    opened = open_state(planes_PD, tree, 2)
    assert chunk_root(leaf_hash(Tag.STATE, 2, opened.content), 2, opened.nodes) == tree.root
    assert np.array_equal(read_state_chunk(opened.content), planes_PD[:, 2 * CHUNK :])


def test_open_payout__then_its_siblings_lead_to_the_root() -> None:
    payouts = [(ALICE, Wei(1)), (BOB, Wei(2**96 - 1))]
    tree = payout_tree(payouts)
    opened = open_payout(payouts, tree, 1)
    assert chunk_root(leaf_hash(Tag.PAYOUT, 1, opened.content), 1, opened.nodes) == tree.root


def test_open_distance__then_its_siblings_lead_to_the_root() -> None:
    tree = distance_tree([5, 6, 7])
    opened = open_distance([5, 6, 7], tree, 2)
    leaf = sum_node(leaf_hash(Tag.DISTANCE, 2, opened.content), 7)
    assert sum_root(leaf, 2, opened.nodes) == tree.root
