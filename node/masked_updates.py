"""A masked update's file against what its provider revealed: right, or wrong for a named reason.

Whether it fits its group, `node.masked_rounds` says. docs/PROTOCOL.md, section 16.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ledger.merge_records import Reason
from ledger.records import Revealed
from node.errors import UpdateFault
from node.masking.files import MaskedFile, decode_masked, masked_tree
from node.verification import Rejection, commitment_fault


@dataclass(frozen=True)
class VerifiedMasked:
    """A masked update whose bytes have the revealed root; its values are a read-only view of the file."""

    revealed: Revealed
    file: MaskedFile
    file_bytes: int


def check_masked(path: Path, revealed: Revealed, chunks: int) -> VerifiedMasked | Rejection:
    """Check header, lengths, key leaf and root of a masked update's file; the file is mapped, not read into memory."""
    return masked_fault(path, revealed, chunks) or mapped_masked(path, revealed, chunks)


def masked_fault(path: Path, revealed: Revealed, chunks: int) -> Rejection | None:
    """What is wrong with a masked update's file; None if nothing is. Small to send from another process."""
    if path.stat().st_size == 0:
        return Rejection(revealed, Reason.WRONG_LENGTH, "the file is empty")  # and can't be mapped
    try:
        file = decode_masked(np.memmap(path, dtype=np.uint8, mode="r").data, chunks)
    except UpdateFault as error:
        return Rejection(revealed, error.reason, error.detail)
    return commitment_fault(masked_tree(file.masked_D, file.leaf).root, revealed)


def mapped_masked(path: Path, revealed: Revealed, chunks: int) -> VerifiedMasked:
    """A masked update whose file has no fault, mapped."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    return VerifiedMasked(revealed, decode_masked(data.data, chunks), data.size)
