"""What a merge must hold: the protocol's own merge, over the committed bytes of the updates that it accepted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ledger.keccak import Hash32
from ledger.records import MergeRule, Terms
from node.challenger.evidence import Ours
from node.merging import merge_mean


def needs_seed(terms: Terms) -> bool:
    """Whether the order of updates is drawn."""
    return terms.merge_rule == MergeRule.CENTERED_CLIP


def recompute(
    terms: Terms, before_PD: NDArray[np.int32], updates: Sequence[tuple[int, NDArray[np.int16]]], seed: Hash32 | None
) -> Ours:
    """Merge the accepted updates into the state before.

    updates: reveal index and integers, by rising index.

    Shapes: before_PD (planes, D) int32, each update (D,) int16 -> (planes, D) int32.
    """
    eta = int.from_bytes(terms.merge_parameters, "big") & 0xFFFFFFFF
    merged_D = merge_mean(before_PD[0], [update_D for _, update_D in updates], eta)
    return Ours(merged_D[None], tuple(index for index, _ in updates))
