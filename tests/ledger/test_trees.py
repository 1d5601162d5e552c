"""Trees against the golden vectors, which a second, plain implementation wrote."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.commitments import CHUNK, distance_tree, payout_root, state_tree, zero_state_root
from ledger.keccak import Hash32, keccak
from ledger.trees import (
    ChunkTree,
    EmptyTree,
    SumTree,
    Tag,
    chunk_root,
    folded_root,
    leaf_hash,
    leaf_hashes,
    node_sum,
    sealed_root,
    sum_node,
    sum_root,
    tree_depth,
)

VECTORS = json.loads((Path(__file__).parents[1] / "fixtures" / "trees.json").read_text())
TREES = VECTORS["trees"]

pytestmark = pytest.mark.unit


def hashes(words: list[str]) -> list[Hash32]:
    return [Hash32(bytes.fromhex(word[2:])) for word in words]


@pytest.mark.parametrize("vector", TREES, ids=lambda vector: f"size{vector['size']}")
def test_chunk_tree__when_built_from_a_vector__then_root_and_proof_agree(vector: dict[str, Any]) -> None:
    tree = ChunkTree(hashes(vector["leaves"]))
    assert tree.root.hex() == vector["root"][2:]
    assert tree.proof(vector["index"]) == hashes(vector["proof"])
    leaf = leaf_hash(Tag.UPDATE, vector["index"], bytes.fromhex(vector["chunk"][2:]))
    assert leaf.hex() == vector["leaf"][2:]
    assert chunk_root(leaf, vector["index"], tree.proof(vector["index"])) == tree.root


@pytest.mark.parametrize("vector", TREES, ids=lambda vector: f"size{vector['size']}")
def test_sum_tree__when_built_from_a_vector__then_root_norm_and_proof_agree(vector: dict[str, Any]) -> None:
    tree = SumTree(hashes(vector["leaves"]), vector["squares"])
    assert tree.root.hex() == vector["sumRoot"][2:]
    assert tree.total == node_sum(tree.root) == vector["sumTotal"]
    index = vector["index"]
    proof = tree.proof(index)
    assert b"".join(proof).hex() == vector["sumProof"][2:]
    leaf = sum_node(*hashes([vector["leaf"]]), vector["square"])
    assert leaf == tree.leaf(index)
    assert sum_root(leaf, index, proof) == tree.root
    assert sum_root(sum_node(*hashes([vector["leaf"]]), vector["square"] + 1), index, proof) != tree.root


@pytest.mark.parametrize("vector", TREES, ids=lambda vector: f"size{vector['size']}")
def test_distance_tree__when_built_from_a_vector__then_leaf_root_and_proof_agree(vector: dict[str, Any]) -> None:
    tree = distance_tree(vector["squares"])
    index = vector["index"]
    assert tree.leaf(index).hex() == vector["distanceLeaf"][2:]
    assert tree.root.hex() == vector["distanceRoot"][2:]
    assert b"".join(tree.proof(index)).hex() == vector["distanceProof"][2:]


@given(st.lists(st.binary(min_size=4, max_size=4), min_size=1, max_size=70), st.data())
def test_proof__when_any_leaf_is_shown__then_it_leads_to_the_root_and_no_other_leaf_does(
    chunks: list[bytes], data: st.DataObject
) -> None:
    leaves = leaf_hashes(Tag.STATE, b"".join(chunks), 4)
    sums = [int.from_bytes(chunk, "big") for chunk in chunks]
    plain, summed = ChunkTree(leaves), SumTree(leaves, sums)
    index = data.draw(st.integers(0, len(chunks) - 1))
    assert len(plain.proof(index)) == len(summed.proof(index)) == tree_depth(len(chunks))
    assert chunk_root(leaves[index], index, plain.proof(index)) == plain.root
    assert sum_root(sum_node(leaves[index], sums[index]), index, summed.proof(index)) == summed.root
    assert summed.total == sum(sums)
    other = leaf_hash(Tag.STATE, index, b"other")
    assert chunk_root(other, index, plain.proof(index)) != plain.root


def test_leaf__when_tag_or_index_differs__then_the_hash_differs() -> None:
    same = [leaf_hash(tag, index, bytes(256)) for tag in Tag for index in (0, 1)]
    assert len(set(same)) == len(same)


def test_sealed_root__when_the_depth_differs__then_the_root_differs() -> None:
    assert sealed_root(keccak(b"top"), 1) != sealed_root(keccak(b"top"), 2)


def test_sum_tree__when_the_sums_exceed_a_word__then_it_is_refused() -> None:
    with pytest.raises(OverflowError):
        SumTree([keccak(b"a"), keccak(b"b")], [2**63, 2**63])
    with pytest.raises(OverflowError):
        sum_root(sum_node(keccak(b"a"), 2**63), 0, [sum_node(keccak(b"b"), 2**63)])


def test_tree__when_there_is_no_leaf__then_it_is_refused() -> None:
    with pytest.raises(EmptyTree):
        ChunkTree([])
    with pytest.raises(EmptyTree):
        SumTree([], [])
    with pytest.raises(EmptyTree):
        tree_depth(0)


def test_folded_root__of_any_number_of_leaves__then_it_is_the_trees() -> None:
    leaves = [leaf_hash(Tag.STATE, index, b"") for index in range(130)]
    for size in range(1, len(leaves) + 1):
        assert folded_root(iter(leaves[:size])) == ChunkTree(leaves[:size]).root
    with pytest.raises(EmptyTree):
        folded_root([])


def test_zero_state_root__then_it_is_that_of_zeros_and_nothing_is_held() -> None:
    for chunks, planes in ((1, 1), (5, 2), (130, 2)):
        zeros = np.zeros((planes, chunks * CHUNK), dtype=np.int32)
        assert zero_state_root(chunks, planes) == state_tree(zeros).root
    tracemalloc.start()
    zero_state_root(1 << 13, 2)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 1 << 17


def test_leaf_hashes__when_the_bytes_are_not_whole_leaves__then_it_is_refused() -> None:
    with pytest.raises(ValueError, match="not whole leaves"):
        leaf_hashes(Tag.UPDATE, bytes(257), 256)


def test_payout_leaves__when_built_from_the_vector__then_the_root_agrees() -> None:
    payouts = VECTORS["payouts"]
    leaves = [
        leaf_hash(Tag.PAYOUT, index, bytes.fromhex(account[2:]) + int(amount).to_bytes(12, "big"))
        for index, (account, amount) in enumerate(zip(payouts["accounts"], payouts["amounts"], strict=True))
    ]
    assert leaves == hashes(payouts["leaves"])
    assert ChunkTree(leaves).root.hex() == payouts["unsealed"][2:]
    assert payout_root(ChunkTree(leaves)).hex() == payouts["root"][2:]
