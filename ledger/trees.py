"""Chunk trees and sum trees: how bytes are committed so that one chunk can be shown alone.

docs/PROTOCOL.md, section 2. The Solidity twins are `ChunkTreeLib` and `SumTreeLib`; both are held to
`tests/fixtures/trees.json` and to a fuzzed comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NewType

import numpy as np
from numpy.typing import NDArray
from sha3 import keccak_256
from typing_extensions import Buffer

from ledger.errors import BadInput
from ledger.keccak import ZERO_HASH, Hash32, keccak

NODE_BYTES = 32
"""Width of a node of either tree."""

SUM_BYTES = 8
"""Width of the sum that ends a sum tree's node: uint64, big-endian."""

HASH_BYTES = NODE_BYTES - SUM_BYTES
"""Width of the hash that begins it."""

SumNode = NewType("SumNode", Hash32)
"""A node of a sum tree in one word: the first 24 bytes of a hash, then the sum of what lies below as a uint64."""

EMPTY_SUM_NODE = SumNode(ZERO_HASH)


class Tag(IntEnum):
    """First byte of a leaf: what the leaf is, so that none passes for another."""

    UPDATE = 1
    STATE = 2
    PAYOUT = 3
    DISTANCE = 4
    LISTED = 5
    MASKED = 6
    MASK_KEYS = 7


class EmptyTree(BadInput):
    def __init__(self) -> None:
        super().__init__("A tree needs at least one leaf.")


def sum_node(hashed: Hash32, total: int) -> SumNode:
    """Put a hash and a sum in one word.

    Raises: OverflowError for a sum of 2**64 or more.
    """
    return SumNode(Hash32(hashed[:HASH_BYTES] + total.to_bytes(SUM_BYTES, "big")))


def node_sum(node: SumNode | Hash32) -> int:
    """The sum under a node; of an update's root, the squared norm that it commits to."""
    return int.from_bytes(node[HASH_BYTES:], "big")


def leaf_hash(tag: Tag, index: int, data: Buffer) -> Hash32:
    """Hash one leaf: twice, over tag, uint32 big-endian index and bytes."""
    inner = keccak_256(bytes((tag,)) + index.to_bytes(4, "big"))
    inner.update(data)
    return Hash32(keccak_256(inner.digest()).digest())


def leaf_hashes(tag: Tag, data: Buffer, leaf_bytes: int) -> list[Hash32]:
    """Cut `data` into leaves of `leaf_bytes` and hash each.

    Raises: ValueError if the length is not a multiple of `leaf_bytes`.
    """
    view = memoryview(data).cast("B")
    if len(view) % leaf_bytes:
        raise ValueError(f"{len(view)} bytes are not whole leaves of {leaf_bytes}")
    prefix = bytes((tag,))
    hashes = []
    for index, start in enumerate(range(0, len(view), leaf_bytes)):
        inner = keccak_256(prefix + index.to_bytes(4, "big"))
        inner.update(view[start : start + leaf_bytes])
        hashes.append(Hash32(keccak_256(inner.digest()).digest()))
    return hashes


def tree_depth(leaves: int) -> int:
    """Length of a proof in a tree of so many leaves: ceil(log2(leaves))."""
    if leaves < 1:
        raise EmptyTree
    return (leaves - 1).bit_length()


class ChunkTree:
    """A binary keccak tree over ordered leaves.

    Raises: EmptyTree without leaves.
    """

    def __init__(self, leaves: Sequence[Hash32]) -> None:
        if not leaves:
            raise EmptyTree
        self._levels: list[list[Hash32]] = [list(leaves)]
        while len(self._levels[-1]) > 1:
            level = self._levels[-1]
            if len(level) % 2:
                level.append(ZERO_HASH)
            self._levels.append([keccak(level[i] + level[i + 1]) for i in range(0, len(level), 2)])

    @property
    def root(self) -> Hash32:
        return self._levels[-1][0]

    @property
    def depth(self) -> int:
        return len(self._levels) - 1

    def proof(self, index: int) -> list[Hash32]:
        """The siblings of leaf `index`, from the leaf up."""
        return [level[(index >> k) ^ 1] for k, level in enumerate(self._levels[:-1])]


def folded_root(leaves: Iterable[Hash32]) -> Hash32:
    """The root of a chunk tree over leaves that are never held together.

    Raises: EmptyTree without leaves.
    """
    waiting: list[Hash32 | None] = []  # by level the node that waits for its right sibling
    for leaf in leaves:
        node, level = leaf, 0
        while level < len(waiting) and (left := waiting[level]) is not None:
            waiting[level] = None
            node, level = keccak(left + node), level + 1
        waiting[level : level + 1] = [node]
    if not waiting:
        raise EmptyTree
    last: Hash32 | None = None
    for left in waiting[:-1]:
        if left is not None or last is not None:
            last = keccak((left or last or ZERO_HASH) + (last if left and last else ZERO_HASH))
    top = waiting[-1]
    assert top is not None, "the highest node never moves on"
    return top if last is None else keccak(top + last)


def chunk_root(leaf: Hash32, index: int, proof: Sequence[Hash32]) -> Hash32:
    """The root that a leaf's proof leads to."""
    node = leaf
    for k, sibling in enumerate(proof):
        node = keccak(sibling + node) if index >> k & 1 else keccak(node + sibling)
    return node


def sealed_root(root: Hash32, depth: int) -> Hash32:
    """Bind a root to its tree's depth: else a tree could hold a second leaf of an index at another depth."""
    return keccak(root + depth.to_bytes(32, "big"))


class SumTree:
    """A keccak tree whose nodes also carry the sum of what lies below.

    sums: one number a leaf, each >= 0; all together less than 2**64.
    Raises: EmptyTree without leaves; OverflowError for sums that are too large.
    """

    def __init__(self, leaves: Sequence[Hash32], sums: Sequence[int]) -> None:
        if not leaves:
            raise EmptyTree
        if len(leaves) != len(sums):
            raise ValueError(f"{len(leaves)} leaves but {len(sums)} sums")
        if sum(sums) >= 2 ** (8 * SUM_BYTES):
            raise OverflowError(f"the sums are {sum(sums)} together")
        self._levels = [_packed(leaves, np.array(sums, dtype=np.uint64))]
        while len(self._levels[-1]) > 1:
            self._add_level()

    def _add_level(self) -> None:
        level = self._levels[-1]
        if len(level) % 2:
            level = self._levels[-1] = np.concatenate((level, np.zeros((1, NODE_BYTES), dtype=np.uint8)))
        data = level.tobytes()
        hashes = [keccak(data[at : at + 2 * NODE_BYTES]) for at in range(0, len(data), 2 * NODE_BYTES)]
        sums = _sums(level)
        self._levels.append(_packed(hashes, sums[::2] + sums[1::2]))

    @property
    def root(self) -> SumNode:
        """The top node: what a commitment holds."""
        return self._node(len(self._levels) - 1, 0)

    @property
    def total(self) -> int:
        """The sum over all leaves."""
        return node_sum(self.root)

    def leaf(self, index: int) -> SumNode:
        return self._node(0, index)

    def proof(self, index: int) -> list[SumNode]:
        """The sibling nodes of leaf `index`, from the leaf up."""
        return [self._node(k, (index >> k) ^ 1) for k in range(len(self._levels) - 1)]

    def _node(self, level: int, position: int) -> SumNode:
        return SumNode(Hash32(self._levels[level][position].tobytes()))


def _packed(hashes: Sequence[Hash32], sums: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """One node a row; N nodes.

    Shapes: sums (N,) uint64 -> (N, NODE_BYTES) uint8.
    """
    nodes = np.frombuffer(bytearray(b"".join(hashes)), dtype=np.uint8).reshape(-1, NODE_BYTES)
    nodes[:, HASH_BYTES:] = sums.astype(">u8").view(np.uint8).reshape(-1, SUM_BYTES)
    return nodes


def _sums(nodes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Shapes: nodes (N, NODE_BYTES) uint8 -> (N,) uint64."""
    return np.ascontiguousarray(nodes[:, HASH_BYTES:]).view(">u8").ravel().astype(np.uint64)


def sum_root(leaf: SumNode, index: int, proof: Sequence[SumNode]) -> SumNode:
    """The root that a leaf's proof leads to.

    Raises: OverflowError if the sums exceed 2**64 - 1.
    """
    node = leaf
    for k, sibling in enumerate(proof):
        left, right = (sibling, node) if index >> k & 1 else (node, sibling)
        node = sum_node(keccak(left + right), node_sum(left) + node_sum(right))
    return node
