"""Inner products and squared distances of whole updates, exactly, in one pass. docs/PROTOCOL.md, section 7.

Shape suffixes: N and M updates, B coordinates of a block, W coordinates of a piece of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.blocks import WHOLE_MACHINE, Blocks, Scratch, pieces, run_blocks

_VALUES = 2**20
"""Values of all updates at a time, in the cache; so many products of int16 add up exactly in a float64."""

_LEAST = 2**12
"""Coordinates below which the calls would cost more than the cache saves."""

_scratch = Scratch()


@dataclass(frozen=True)
class Products:
    """The products of the first updates with the others; of all with all, if `rows` is 0."""

    rows: int = 0

    def merge_block(
        self, planes_PB: NDArray[np.int32], updates: Sequence[NDArray[np.int16]], merged_PB: NDArray[np.int32]
    ) -> NDArray[np.uint64]:
        """Add up a block's products; the planes are not looked at.

        Shapes: each update (B,) int16 -> (N, M), modulo 2**64.
        Holds:  a piece has at most 2**20 coordinates and a product at most 2**30, so every partial sum is an integer
                below 2**53.
        """
        length = len(updates[0])
        total_NM = np.zeros((self.rows or len(updates), len(updates) - self.rows), dtype=np.int64)
        for part in pieces(length, max(_LEAST, _VALUES // len(updates))):
            values_NW = _scratch.rows(len(updates), part.stop - part.start, np.float64)
            for row_W, update_B in zip(values_NW, updates, strict=True):
                np.copyto(row_W, update_B[part])
            others_MW = values_NW[self.rows :]
            total_NM += ((values_NW[: self.rows] if self.rows else others_MW) @ others_MW.T).astype(np.int64)
        return total_NM.view(np.uint64)


def inner_products(
    rows: Sequence[NDArray[np.int16]], columns: Sequence[NDArray[np.int16]], blocks: Blocks = WHOLE_MACHINE
) -> NDArray[np.int64]:
    """All products of two lists of one or more updates.

    Shapes: rows N and columns M of (D,) int16 -> (N, M) int64.
    Holds:  |q| <= 2**15 and D <= 2**31, so that no sum leaves an int64.
    """
    return _sums(Products(len(rows)), [*rows, *columns], blocks)


def gram(updates: Sequence[NDArray[np.int16]], blocks: Blocks = WHOLE_MACHINE) -> NDArray[np.int64]:
    """All products of one or more updates with each other; the diagonal has their squared norms.

    Shapes: N of (D,) int16 -> (N, N) int64.
    """
    return _sums(Products(), updates, blocks)


def _sums(rule: Products, updates: Sequence[NDArray[np.int16]], blocks: Blocks) -> NDArray[np.int64]:
    no_planes = np.empty((0, len(updates[0])), dtype=np.int32)
    given = run_blocks(rule, no_planes, updates, no_planes, blocks)
    parts = [one for one in given if one is not None]
    total_NM: NDArray[np.uint64] = np.add.reduce(parts, axis=0, dtype=np.uint64)
    return total_NM.view(np.int64)


def squared_distances(gram_NN: NDArray[np.int64]) -> list[list[int]]:
    """Each pair's `|x|^2 + |y|^2 - 2 x . y`, which is at most 2**63.

    Shapes: (N, N) -> N lists of N.
    """
    sums_NN = gram_NN.view(np.uint64)  # modulo 2**64
    norms_N = sums_NN.diagonal()
    found: list[list[int]] = (norms_N[:, np.newaxis] + norms_N - sums_NN - sums_NN).tolist()
    return found
