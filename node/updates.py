"""Updates on the fixed-point grid, and their files (docs/PROTOCOL.md, sections 3 and 4).

Shape suffix: D coordinates, padding included.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from ledger.commitments import CHUNK
from node.errors import MalformedUpdate, NonFiniteUpdate, WrongLengthUpdate
from node.manifest_sections import UpdateSection

LIMIT = 32767
"""The greatest magnitude on the grid, in grid units."""

MAGIC = b"FBU1"
CODEC_INT16 = 0
HEADER = struct.Struct("<4sB3sI4s")

_BLOCK = 1 << 16


@dataclass(frozen=True)
class Quantised:
    """An update on the grid and what the grid cost it."""

    update: NDArray[np.int16]
    """(D,) int16."""
    squared_norm: int
    """In squared grid units; at most the grid's bound."""
    norm: float
    """The delta's L2 norm before clipping, in weights."""
    scale: float
    """What the delta was multiplied by to fit the bound; 1.0 where it did fit."""
    nonzero: int
    """Coordinates of the delta that are not 0."""
    lost: int
    """Of those, the ones that rounded to 0."""
    saturated: int
    """Coordinates cut to the grid's ends."""

    @property
    def lost_share(self) -> float:
        return self.lost / max(self.nonzero, 1)

    @property
    def saturated_share(self) -> float:
        return self.saturated / max(self.nonzero, 1)


def quantise(delta_D: NDArray[np.float32], grid: UpdateSection, rng: np.random.Generator) -> Quantised:
    """Clip a delta to the grid's L2 bound and round it to the grid.

    Shapes: delta_D (D,) float32 -> (D,) int16.
    Units:  weights -> grid units of 2**-bits.
    Holds:  the squared norm never exceeds the grid's bound; zeros, padding among them, stay zero;
            memory beyond the result is a few blocks. `rng` is used by stochastic rounding only.
    Raises: NonFiniteUpdate if a coordinate is infinite or not a number.
    """
    norm = _norm(delta_D)
    scale = min(1.0, grid.clip / norm) if norm > 0 else 1.0
    update_D = np.empty(len(delta_D), dtype=np.int16)
    noise = rng if grid.rounding == "stochastic" else None
    shrink = 2.0**-10
    while True:
        squared_norm, nonzero, saturated = _round(delta_D, scale, grid.bits, noise, update_D)
        if squared_norm <= grid.squared_norm_bound:
            break
        # rounding can lengthen a vector; doubling the step ends this even where noise is most of the norm
        scale *= 1.0 - shrink
        shrink = min(0.5, shrink * 2.0)
    before = int(np.count_nonzero(delta_D))
    return Quantised(update_D, squared_norm, norm, scale, before, before - nonzero, saturated)


def _blocks(size: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, size)) for start in range(0, size, _BLOCK))


def _norm(delta_D: NDArray[np.float32]) -> float:
    wide = np.empty(_BLOCK, dtype=np.float64)
    total = 0.0
    for block in _blocks(len(delta_D)):
        part = wide[: block.stop - block.start]
        np.copyto(part, delta_D[block])
        square = float(np.dot(part, part))
        if not np.isfinite(square):
            bad = int(np.flatnonzero(~np.isfinite(part))[0])
            raise NonFiniteUpdate(block.start + bad)
        total += square
    return float(np.sqrt(total))


def _round(
    delta_D: NDArray[np.float32], scale: float, bits: int, noise: np.random.Generator | None, out_D: NDArray[np.int16]
) -> tuple[int, int, int]:
    """Write the rounded update; give its squared norm, its non-zero and its saturated coordinates."""
    values = np.empty(_BLOCK, dtype=np.float64)
    chance = np.empty(_BLOCK, dtype=np.float64)
    factor = scale * 2.0**bits
    squared_norm = nonzero = saturated = 0
    for block in _blocks(len(delta_D)):
        part = values[: block.stop - block.start]
        np.multiply(delta_D[block], factor, out=part)
        if noise is None:
            np.rint(part, out=part)
        else:
            np.add(part, noise.random(out=chance[: len(part)]), out=part)
            np.floor(part, out=part)
        saturated += int(np.count_nonzero(part > LIMIT)) + int(np.count_nonzero(part < -LIMIT))
        np.clip(part, -LIMIT, LIMIT, out=part)
        np.copyto(out_D[block], part, casting="unsafe")
        squared_norm += int(np.dot(part, part))  # exact: 2**16 squares of at most 2**30
        nonzero += int(np.count_nonzero(out_D[block]))
    return squared_norm, nonzero, saturated


def encode_update(update_D: NDArray[np.int16]) -> bytes:
    """Write an update file with codec `int16`.

    Shapes: update_D (chunks * CHUNK,) int16, within the grid, padding 0.
    """
    chunks = len(update_D) // CHUNK
    payload = np.ascontiguousarray(update_D, dtype="<i2")
    return b"".join((HEADER.pack(MAGIC, CODEC_INT16, bytes(3), chunks, bytes(4)), payload.data.cast("B")))


def update_file_bytes(chunks: int) -> int:
    """The exact size of an update file with codec `int16`."""
    return HEADER.size + chunks * CHUNK * 2


def decode_update(data: Buffer, coordinates: int) -> NDArray[np.int16]:
    """Read an update file that anyone may have written, for a model of `coordinates` (padding not counted).

    Shapes: -> (chunks * CHUNK,) int16, a read-only view into `data`.
    Raises: MalformedUpdate or WrongLengthUpdate; each carries the reason for the chain. Whether all coordinates are on
            the grid, `off_grid_chunks` says.
    """
    view = memoryview(data).cast("B").toreadonly()
    chunks = -(-coordinates // CHUNK)
    _check_header(view, chunks)
    if len(view) != update_file_bytes(chunks):
        raise WrongLengthUpdate(f"the file has {len(view)} bytes, not {update_file_bytes(chunks)}")
    update_D = update_values(view)
    if update_D[coordinates:].any():
        at = coordinates + int(np.flatnonzero(update_D[coordinates:])[0])
        raise MalformedUpdate(f"the padding coordinate {at} is not 0")
    return update_D


def update_values(data: Buffer) -> NDArray[np.int16]:
    """The values of an update file that was checked before.

    Shapes: -> (chunks * CHUNK,) int16, a read-only view into `data`.
    """
    return np.frombuffer(memoryview(data).cast("B").toreadonly(), dtype="<i2", offset=HEADER.size)


def off_grid_chunks(update_D: NDArray[np.int16]) -> tuple[int, ...]:
    """The chunks that hold -32768, which is not on the grid.

    Shapes: update_D (chunks * CHUNK,) int16.
    """
    found: list[int] = []
    for block in _blocks(len(update_D)):
        if update_D[block].min() < -LIMIT:
            at = block.start + np.flatnonzero(update_D[block] < -LIMIT)
            found += np.unique(at // CHUNK).tolist()
    return tuple(found)


def _check_header(view: memoryview, chunks: int) -> None:
    if len(view) < HEADER.size:
        raise WrongLengthUpdate(f"the file has {len(view)} bytes, less than its header")
    magic, codec, reserved, counted, tail = HEADER.unpack_from(view)
    if magic != MAGIC:
        raise MalformedUpdate("it does not start with FBU1")
    if codec != CODEC_INT16:
        raise MalformedUpdate(f"codec {codec} is not int16 (0)")
    if any(reserved) or any(tail):
        raise MalformedUpdate("a reserved byte of the header is not 0")
    if counted != chunks:
        raise WrongLengthUpdate(f"it counts {counted} chunks, not {chunks}")
