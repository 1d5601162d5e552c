"""One update's file against what its provider revealed: right, or wrong for a named reason.

docs/PROTOCOL.md, section 7, "Reasons".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ledger.commitments import update_tree
from ledger.keccak import Hash32
from ledger.merge_records import GivenReason, Reason
from ledger.records import Revealed
from node.errors import UpdateFault
from node.updates import decode_update, off_grid_chunks, update_values


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
    """An update that is left out of the merge, and why.

    chunks: where the committed bytes are faulty, if the reason is about them.
    """

    revealed: Revealed
    reason: Reason
    detail: str
    chunks: tuple[int, ...] = ()

    @property
    def given(self) -> GivenReason:
        """What a merge records for it."""
        return GivenReason(self.reason, self.chunks[0] if self.chunks else 0)


def check_update(path: Path, revealed: Revealed, coordinates: int) -> VerifiedUpdate | Rejection:
    """Check header, length, padding, root and range of an update's file.

    coordinates: of the model, padding not counted.
    Holds:       the file is mapped, not read into memory; the same bytes get the same answer everywhere. A root commits
                 to the squared norm, so bytes with the revealed root have the revealed norm.
    """
    return update_fault(path, revealed, coordinates) or mapped_update(path, revealed)


def update_fault(path: Path, revealed: Revealed, coordinates: int) -> Rejection | None:
    """What is wrong with an update's file; None if nothing is. Small to send from another process."""
    if path.stat().st_size == 0:
        return Rejection(revealed, Reason.WRONG_LENGTH, "the file is empty")  # and can't be mapped
    try:
        update_D = decode_update(np.memmap(path, dtype=np.uint8, mode="r").data, coordinates)
    except UpdateFault as error:
        return Rejection(revealed, error.reason, error.detail)
    fault = commitment_fault(update_tree(update_D).root, revealed)
    if fault is not None:
        return fault
    outside = off_grid_chunks(update_D)
    if outside:
        return Rejection(revealed, Reason.OUT_OF_RANGE, f"chunk {outside[0]} holds -32768", outside)
    return None


def mapped_update(path: Path, revealed: Revealed) -> VerifiedUpdate:
    """An update whose file has no fault, mapped."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    return VerifiedUpdate(revealed, update_values(data.data), data.size)


def commitment_fault(root: Hash32, revealed: Revealed) -> Rejection | None:
    """What is wrong with a reveal, given the root of the bytes' own tree; None if nothing is.

    Bytes without the revealed root are other bytes, or their tree was built from wrong leaves.
    """
    if root == revealed.update_root:
        return None
    roots = f"the root of the bytes is 0x{root.hex()}, 0x{revealed.update_root.hex()} was revealed"
    return Rejection(revealed, Reason.WRONG_ROOT, roots)
