"""The model's tensors as one vector of coordinates, and the state's integers as weights (PROTOCOL.md, section 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ledger.commitments import CHUNK
from node.manifest import STATE_EXTRA_BITS, Manifest

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Span:
    """Where one tensor's values stand among the coordinates: [start, stop)."""

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Layout:
    """The coordinates of a model. `size` counts padding, `used` does not."""

    spans: tuple[Span, ...]

    @property
    def used(self) -> int:
        return self.spans[-1].stop

    @property
    def chunks(self) -> int:
        return -(-self.used // CHUNK)

    @property
    def size(self) -> int:
        return self.chunks * CHUNK


def layout(manifest: Manifest) -> Layout:
    """Where each of the manifest's tensors stands, in the manifest's order."""
    spans, start = [], 0
    for tensor in manifest.tensors:
        spans.append(Span(tensor.name, tensor.shape, start, start + tensor.size))
        start += tensor.size
    return Layout(tuple(spans))


def flatten(tensors: Mapping[str, NDArray[np.float32]], where: Layout) -> NDArray[np.float32]:
    """Lay the tensors out as one padded vector.

    Shapes: one array per span, of the span's shape -> (chunks * CHUNK,) float32, padding 0.
    """
    weights_D = np.empty(where.size, dtype=np.float32)
    for span in where.spans:
        weights_D[span.start : span.stop] = tensors[span.name].reshape(-1)
    weights_D[where.used :] = 0
    return weights_D


def unflatten(weights_D: NDArray[np.float32], where: Layout) -> dict[str, NDArray[np.float32]]:
    """The tensors as views into the vector: writing to one writes to the other.

    Shapes: weights_D (chunks * CHUNK,) float32 -> one array per span, of the span's shape.
    """
    return {span.name: weights_D[span.start : span.stop].reshape(span.shape) for span in where.spans}


def apply_state(
    initial_D: NDArray[np.float32],
    state_D: NDArray[np.int32],
    bits: int,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """The global weights: W = W0 + A * 2**-(bits + 8), the product rounded to float32 first.

    Shapes: initial_D (D,) float32, state_D (D,) int32 -> (D,) float32.
    Units:  `bits` is the manifest's update.bits.
    Holds:  memory beyond the result is one block.
    """
    if out is None:
        out = np.empty_like(initial_D)
    scale = np.float32(2.0 ** -(bits + STATE_EXTRA_BITS))
    step = np.empty(_BLOCK, dtype=np.float32)
    for start in range(0, len(initial_D), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(initial_D)))
        part = step[: block.stop - start]
        # a power of two scales exactly: the only rounding of the product is int32 -> float32
        np.copyto(part, state_D[block], casting="unsafe")
        np.multiply(part, scale, out=part)
        np.add(initial_D[block], part, out=out[block])
    return out


def locate(where: Layout, coordinate: int) -> tuple[str, tuple[int, ...]]:
    """The tensor and the index in it that a coordinate stands for; ("padding", ()) beyond the last tensor.

    Raises: IndexError if the model has no such coordinate.
    """
    if not 0 <= coordinate < where.size:
        raise IndexError(f"coordinate {coordinate} is outside 0 .. {where.size - 1}")
    for span in where.spans:
        if coordinate < span.stop:
            offset = coordinate - span.start
            return span.name, _index(offset, span.shape)
    return "padding", ()


def _index(offset: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    index = []
    for axis in range(len(shape)):
        stride = math.prod(shape[axis + 1 :])
        index.append(offset // stride)
        offset %= stride
    return tuple(index)
