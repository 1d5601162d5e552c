"""State files: the global model's integers on IPFS (docs/PROTOCOL.md, section 3)."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from ledger.commitments import CHUNK
from node.errors import BadStateFile

MAGIC = b"FBS1"
HEADER = struct.Struct("<4sB3sI4s")


def encode_state(planes_PD: NDArray[np.int32]) -> bytes:
    """Write a state file.

    Shapes: planes_PD (1 or 2, chunks * CHUNK) int32: `A`, and `M` for rules that keep a previous aggregate.
    """
    planes, size = planes_PD.shape
    payload = np.ascontiguousarray(planes_PD, dtype="<i4")
    return b"".join((HEADER.pack(MAGIC, planes, bytes(3), size // CHUNK, bytes(4)), payload.data.cast("B")))


def state_file_bytes(chunks: int, planes: int = 1) -> int:
    """The exact size of a state file."""
    return HEADER.size + planes * chunks * CHUNK * 4


def decode_state(data: Buffer, chunks: int, planes: int = 1) -> NDArray[np.int32]:
    """Read a state file that anyone may have written. Whether it is the right one, its root says.

    Shapes: -> (planes, chunks * CHUNK) int32, a read-only view into `data`.
    Raises: BadStateFile.
    """
    view = memoryview(data).cast("B").toreadonly()
    if len(view) != state_file_bytes(chunks, planes):
        raise BadStateFile(f"it has {len(view)} bytes, not {state_file_bytes(chunks, planes)}")
    magic, counted_planes, reserved, counted, tail = HEADER.unpack_from(view)
    if magic != MAGIC:
        raise BadStateFile("it does not start with FBS1")
    if any(reserved) or any(tail):
        raise BadStateFile("a reserved byte of the header is not 0")
    if (counted_planes, counted) != (planes, chunks):
        raise BadStateFile(f"it has {counted_planes} planes of {counted} chunks, not {planes} of {chunks}")
    return np.frombuffer(view, dtype="<i4", offset=HEADER.size).reshape(planes, chunks * CHUNK)
