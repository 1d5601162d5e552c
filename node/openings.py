"""Chunks of what a merge commits to, opened: the chunk and its way to the root. Pure.

What a challenger proves with and what an aggregator answers demands with. docs/PROTOCOL.md, sections 2 and 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from eth_utils.address import to_canonical_address
from numpy.typing import NDArray

from ledger.commitments import CHUNK, chunk_squares, update_tree
from ledger.keccak import Hash32
from ledger.proofs import OpenedUpdate, Opening, joined
from ledger.records import Address, Wei
from ledger.trees import (
    SUM_BYTES,
    ChunkTree,
    SumTree,
    Tag,
    leaf_hashes,
    node_sum,
    sum_node,
    sum_root,
)

OFF_GRID = -(2**15)
"""Not on the grid, which is symmetric."""

AMOUNT_BYTES = 12


@dataclass(frozen=True)
class CommittedUpdate:
    """An update's bytes under the very tree that its provider committed to.

    sums:   of squares a chunk, as the tree holds them.
    faulty: the first chunk that breaks the protocol: its sum is a lie, or it leaves the grid; None if none does.

    Shapes: update_D (chunks * CHUNK,) int16.
    """

    update_D: NDArray[np.int16]  # noqa: N815 - shape suffix
    tree: SumTree
    sums: tuple[int, ...]
    faulty: int | None


def committed_update(update_D: NDArray[np.int16], root: Hash32) -> CommittedUpdate | None:
    """Find the tree with `root` over an update's bytes; None if these are other bytes.

    A provider that lies about its norm has changed sums. One changed sum is found; where several are, nobody but the
    provider has the tree, and its leaves come to light by demanding them.

    Shapes: update_D (chunks * CHUNK,) int16.
    """
    tree, sums = update_tree(update_D), chunk_squares(update_D)
    if tree.root == root:
        off = np.flatnonzero(update_D == OFF_GRID)
        return CommittedUpdate(update_D, tree, tuple(sums), int(off[0]) // CHUNK if len(off) else None)
    lie = _lying_chunk(tree, sums, root)
    if lie is None:
        return None
    sums[lie] += node_sum(root) - tree.total
    hashes = leaf_hashes(Tag.UPDATE, update_D.data, CHUNK * 2)
    return CommittedUpdate(update_D, SumTree(hashes, sums), tuple(sums), lie)


def _lying_chunk(tree: SumTree, sums: Sequence[int], root: Hash32) -> int | None:
    difference = node_sum(root) - tree.total
    if difference == 0:
        return None
    for chunk, honest in enumerate(sums):
        if 0 <= honest + difference < 2**64:
            leaf = sum_node(tree.leaf(chunk), honest + difference)
            if sum_root(leaf, chunk, tree.proof(chunk)) == root:
                return chunk
    return None


def open_update(update: CommittedUpdate, chunk: int) -> OpenedUpdate:
    content = np.ascontiguousarray(update.update_D[chunk * CHUNK : (chunk + 1) * CHUNK], dtype="<i2").tobytes()
    return OpenedUpdate(Opening(content, joined(update.tree.proof(chunk))), update.sums[chunk])


def open_state(planes_PD: NDArray[np.int32], tree: ChunkTree, chunk: int) -> Opening:
    """Shapes: planes_PD (planes, chunks * CHUNK) int32, the state that `tree` commits to."""
    part_PK = planes_PD[:, chunk * CHUNK : (chunk + 1) * CHUNK]
    return Opening(np.ascontiguousarray(part_PK, dtype="<i4").tobytes(), joined(tree.proof(chunk)))


def read_state_chunk(content: bytes) -> NDArray[np.int32]:
    """The planes in an opened state chunk.

    Shapes: -> (planes, CHUNK) int32.
    """
    return np.frombuffer(content, dtype="<i4").reshape(-1, CHUNK)


def open_payout(payouts: Sequence[tuple[Address, Wei]], tree: ChunkTree, seat: int) -> Opening:
    account, amount = payouts[seat]
    content = to_canonical_address(account) + amount.to_bytes(AMOUNT_BYTES, "big")
    return Opening(content, joined(tree.proof(seat)))


def open_distance(sums: Sequence[int], tree: SumTree, chunk: int) -> Opening:
    return Opening(int(sums[chunk]).to_bytes(SUM_BYTES, "big"), joined(tree.proof(chunk)))
