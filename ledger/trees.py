"""Chunk trees and sum trees: how bytes are committed so that one chunk can be shown alone.

docs/PROTOCOL.md, section 2. The Solidity twins are `ChunkTreeLib` and `SumTreeLib`; both are held to
`tests/fixtures/trees.json` and to a fuzzed comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from sha3 import keccak_256
from typing_extensions import Buffer

from ledger.errors import BadInput
from ledger.keccak import ZERO_HASH, Hash32, keccak

SUM_BYTES = 16
"""Width of a sum inside a node: uint128, big-endian."""


class Tag(IntEnum):
    """First byte of a leaf: what the leaf is, so that none passes for another."""

    UPDATE = 1
    STATE = 2
    PAYOUT = 3


class EmptyTree(BadInput):
    def __init__(self) -> None:
        super().__init__("A tree needs at least one leaf.")


@dataclass(frozen=True)
class SumNode:
    """A node of a sum tree.

    hash: 32 bytes.
    sum:  of the squares below it, in squared grid units; < 2**128.
    """

    hash: Hash32
    sum: int

    def packed(self) -> bytes:
        return self.hash + self.sum.to_bytes(SUM_BYTES, "big")


EMPTY_SUM_NODE = SumNode(ZERO_HASH, 0)


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

    def proof(self, index: int) -> list[Hash32]:
        """The siblings of leaf `index`, from the leaf up."""
        return [level[(index >> k) ^ 1] for k, level in enumerate(self._levels[:-1])]


def chunk_root(leaf: Hash32, index: int, proof: Sequence[Hash32]) -> Hash32:
    """The root that a leaf's proof leads to."""
    node = leaf
    for k, sibling in enumerate(proof):
        node = keccak(sibling + node) if index >> k & 1 else keccak(node + sibling)
    return node


class SumTree:
    """A keccak tree whose nodes also carry the sum of what lies below.

    sums: one number a leaf, each >= 0.
    Raises: EmptyTree without leaves.
    """

    def __init__(self, leaves: Sequence[Hash32], sums: Sequence[int]) -> None:
        if not leaves:
            raise EmptyTree
        if len(leaves) != len(sums):
            raise ValueError(f"{len(leaves)} leaves but {len(sums)} sums")
        self._hashes: list[list[Hash32]] = [list(leaves)]
        self._sums: list[list[int]] = [list(sums)]
        while len(self._hashes[-1]) > 1:
            self._add_level()

    def _add_level(self) -> None:
        hashes, sums = self._hashes[-1], self._sums[-1]
        if len(hashes) % 2:
            hashes.append(ZERO_HASH)
            sums.append(0)
        packed = [h + s.to_bytes(SUM_BYTES, "big") for h, s in zip(hashes, sums, strict=True)]
        self._hashes.append([keccak(packed[i] + packed[i + 1]) for i in range(0, len(packed), 2)])
        self._sums.append([sums[i] + sums[i + 1] for i in range(0, len(sums), 2)])

    @property
    def top(self) -> SumNode:
        return SumNode(self._hashes[-1][0], self._sums[-1][0])

    @property
    def root(self) -> Hash32:
        """The sealed top node: what a commitment holds."""
        return seal(self.top)

    def proof(self, index: int) -> list[SumNode]:
        """The sibling nodes of leaf `index`, from the leaf up."""
        return [
            SumNode(hashes[(index >> k) ^ 1], sums[(index >> k) ^ 1])
            for k, (hashes, sums) in enumerate(zip(self._hashes[:-1], self._sums[:-1], strict=True))
        ]


def seal(top: SumNode) -> Hash32:
    """Bind a sum tree's top hash to its sum."""
    return keccak(top.packed())


def sum_root(leaf: SumNode, index: int, proof: Sequence[SumNode]) -> Hash32:
    """The sealed root that a leaf's proof leads to."""
    node = leaf
    for k, sibling in enumerate(proof):
        left, right = (sibling, node) if index >> k & 1 else (node, sibling)
        node = SumNode(keccak(left.packed() + right.packed()), left.sum + right.sum)
    return seal(node)
