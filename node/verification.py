"""One update's file against what its provider revealed: right, or wrong for a named reason.

docs/PROTOCOL.md, section 7, "Reasons".
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ledger.commitments import update_tree
from ledger.keccak import Hash32
from ledger.records import Reason, Revealed
from ledger.trees import SumNode, seal
from node.errors import UpdateFault
from node.updates import decode_update

NO_ROOTS: Collection[Hash32] = frozenset()


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


def check_update(
    path: Path, revealed: Revealed, coordinates: int, seen_roots: Collection[Hash32] = NO_ROOTS
) -> VerifiedUpdate | Rejection:
    """Check header, length, padding, range, root, squared norm and repetition of an update's file.

    coordinates: of the model, padding not counted.
    seen_roots:  of the round's updates with a lower reveal index.
    Holds:       the file is mapped, not read into memory; the same bytes get the same answer everywhere.
    """
    if path.stat().st_size == 0:
        return Rejection(revealed, Reason.WRONG_LENGTH, "the file is empty")  # and can't be mapped
    data = np.memmap(path, dtype=np.uint8, mode="r")
    try:
        update_D = decode_update(data.data, coordinates)
    except UpdateFault as error:
        return Rejection(revealed, error.reason, error.detail)
    fault = commitment_fault(update_tree(update_D).top, revealed)
    if fault is not None:
        return fault
    if revealed.update_root in seen_roots:
        return Rejection(revealed, Reason.DUPLICATE, f"the root 0x{revealed.update_root.hex()} was revealed before")
    return VerifiedUpdate(revealed, update_D, data.size)


def commitment_fault(top: SumNode, revealed: Revealed) -> Rejection | None:
    """What is wrong with a reveal, given the top node of the bytes' own tree; None if nothing is.

    The revealed root seals the revealed norm. If the bytes' own top hash with that norm gives the root, these are the
    committed bytes and the norm is a lie; otherwise they are other bytes, or their tree was built from wrong leaves.
    """
    root = seal(top)
    if root == revealed.update_root and top.sum == revealed.squared_norm:
        return None
    norms = f"the squared norm of the bytes is {top.sum}, {revealed.squared_norm} was revealed"
    if seal(SumNode(top.hash, revealed.squared_norm)) == revealed.update_root:
        return Rejection(revealed, Reason.WRONG_NORM, norms)
    roots = f"the root of the bytes is 0x{root.hex()}, 0x{revealed.update_root.hex()} was revealed"
    return Rejection(revealed, Reason.WRONG_ROOT, roots if top.sum == revealed.squared_norm else f"{roots}; {norms}")
