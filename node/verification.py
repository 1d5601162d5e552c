"""One update's file against what its provider revealed: right, or wrong for a named reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ledger.commitments import update_tree
from ledger.records import Reason, Revealed
from node.errors import UpdateFault
from node.updates import decode_update


@dataclass(frozen=True)
class VerifiedUpdate:
    """An update whose bytes have the revealed root and norm.

    Shapes: update (chunks * CHUNK,) int16, a read-only view of the file.
    """

    revealed: Revealed
    update: NDArray[np.int16]
    file_bytes: int


@dataclass(frozen=True)
class Rejection:
    """An update that is left out of the merge, and why."""

    revealed: Revealed
    reason: Reason
    detail: str


def check_update(path: Path, revealed: Revealed, coordinates: int) -> VerifiedUpdate | Rejection:
    """Check header, length, padding, range, root and squared norm of an update's file.

    coordinates: of the model, padding not counted.
    """
    if path.stat().st_size == 0:
        return Rejection(revealed, Reason.WRONG_LENGTH, "the file is empty")
    data = np.memmap(path, dtype=np.uint8, mode="r")
    try:
        update_D = decode_update(data.data, coordinates)
    except UpdateFault as fault:
        return Rejection(revealed, fault.reason, fault.detail)
    tree = update_tree(update_D)
    if tree.top.sum != revealed.squared_norm:
        detail = f"the squared norm of the bytes is {tree.top.sum}, {revealed.squared_norm} was revealed"
        return Rejection(revealed, Reason.WRONG_NORM, detail)
    if tree.root != revealed.update_root:
        detail = f"the root of the bytes is 0x{tree.root.hex()}, 0x{revealed.update_root.hex()} was revealed"
        return Rejection(revealed, Reason.WRONG_ROOT, detail)
    return VerifiedUpdate(revealed, update_D, data.size)
