"""Updates that do harm on the hold-out. Floating point: only whoever merges decides it, and an auditor reads of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ledger.keccak import Hash32
from ledger.merge_records import Reason
from ledger.records import Terms
from node.merged_states import merge_accepted
from node.verification import Rejection, VerifiedUpdate

Loss = Callable[[NDArray[np.int32]], float]
"""The loss of a state's first plane on the hold-out; it may be infinite or no number."""


def harmful(
    terms: Terms,
    before_PD: NDArray[np.int32],
    updates: Sequence[VerifiedUpdate],
    seed: Hash32 | None,
    loss: Loss,
    tolerance: float,
) -> list[Rejection]:
    """The updates without each of which the merge of the others has a loss lower by more than `tolerance`.

    Shapes: before_PD (planes, D) int32.
    Cost:   one merge and one evaluation an update.
    """
    if not updates:
        return []

    def merged_without(left_out: int | None) -> float:
        kept = [one.update for place, one in enumerate(updates) if place != left_out]
        return loss(merge_accepted(terms, before_PD, kept, seed).planes_PD[0])

    together = merged_without(None)
    found = []
    for place, one in enumerate(updates):
        without = merged_without(place)
        # a model that diverged has no loss: whoever it is without has done the harm
        if math.isfinite(without) and not together - without <= tolerance:
            detail = f"the loss on the hold-out is {together:.6g} with it and {without:.6g} without"
            found.append(Rejection(one.revealed, Reason.HARMFUL, detail))
    return found
