"""What a merge must hold: the protocol's own merge, over the committed bytes of the updates that it accepted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ledger.keccak import Hash32
from ledger.records import Terms
from node.challenger.evidence import Ours
from node.merge_arithmetic import bucket_order
from node.merged_states import merge_accepted, needs_seed, parameters_of

__all__ = ["needs_seed", "recompute"]


def recompute(
    terms: Terms, before_PD: NDArray[np.int32], updates: Sequence[tuple[int, NDArray[np.int16]]], seed: Hash32 | None
) -> Ours:
    """Merge the accepted updates into the state before.

    updates: reveal index and integers, by rising index.
    seed:    of the round; only asked for where `needs_seed`.

    Shapes: before_PD (planes, D) int32, each update (D,) int16 -> (planes, D) int32.
    """
    made = merge_accepted(terms, before_PD, [update_D for _, update_D in updates], seed)
    places: Sequence[int] = range(len(updates))
    if seed is not None and needs_seed(terms):
        places = bucket_order(len(updates), seed)
    order = tuple(updates[place][0] for place in places)
    return Ours(made.planes_PD, order, made.clipping, max(1, parameters_of(terms).bucket))
