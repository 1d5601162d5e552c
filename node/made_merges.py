"""The merge that was made, as a game between its updates: what it would be without some, and each one's part in it.

A player left out is a zero update; the number of updates stays. docs/PROTOCOL.md, section 14.

Shape suffixes: N updates, P planes, D coordinates, B coordinates of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ledger.merge_parameters import PROVABLE, MergeParameters
from ledger.records import MergeRule
from node.distances import gram, squared_distances
from node.merge_arithmetic import GUARD, ONE, bucket_order, least_updates, trimmed
from node.merging import merge_round, update_weights
from node.robust_rules import strangers

MEASURABLE = (MergeRule.MEAN, MergeRule.CENTERED_CLIP)
"""The rules under which a part of the step stands for its update, so that one can be paid by it."""


@dataclass(frozen=True)
class MadeMerge:
    """A round's merge: its accepted updates by rising reveal index, and the state that they were merged into.

    Shapes: before_PD (P, D) int32, each update (D,) int16.
    """

    parameters: MergeParameters
    before_PD: NDArray[np.int32]  # noqa: N815 - shape suffix
    updates: Sequence[NDArray[np.int16]]
    seed: bytes | None = None
    counts: Sequence[float] | None = None
    """How much each update counts in its part; None: 1."""

    def state_of(self, coalition: int) -> NDArray[np.int32]:
        """The state if only the updates whose bit is set counted, and the others were zero.

        Shapes: -> (D,) int32.
        """
        chosen = [update if coalition >> place & 1 else self._zero for place, update in enumerate(self.updates)]
        state_D: NDArray[np.int32] = merge_round(self.parameters, self.before_PD, chosen, self.seed).planes_PD[0]
        return state_D

    @cached_property
    def _zero(self) -> NDArray[np.int16]:
        return np.zeros(self.before_PD.shape[1], dtype=np.int16)

    @cached_property
    def state_D(self) -> NDArray[np.int32]:  # noqa: N802 - shape suffix
        """The state that was made."""
        return self.state_of((1 << len(self.updates)) - 1)

    @property
    def is_measurable(self) -> bool:
        """Whether a part stands for its update: not where the rule chooses among values or whole updates by the others.

        Nor for a geometric median, whose parts agree with Shapley's values less than pay wants (0.95 instead of 0.99).
        """
        return self.parameters.rule in PROVABLE and trimmed(self.parameters, len(self.updates)) == 0

    @property
    def _rate(self) -> float:
        """By how many of the state's units one unit of the aggregate moves it."""
        return self.parameters.eta / ONE * (ONE - self.parameters.beta) / ONE

    @cached_property
    def _pulls(self) -> NDArray[np.float64]:
        """How strongly each update pulls the aggregate, where that is the same at each coordinate."""
        count = len(self.updates)
        match self.parameters.rule:
            case MergeRule.CENTERED_CLIP:
                return _clipped_pulls(self.parameters, self._scales, count, self.seed)
            case MergeRule.MULTI_KRUM | MergeRule.GEOMETRIC_MEDIAN:
                return GUARD * update_weights(self.parameters, self.updates)
        return np.full(count, GUARD / max(1, count - 2 * trimmed(self.parameters, count)))

    @cached_property
    def _mixing(self) -> NDArray[np.float64]:
        """How much of each update is in each neighbourhood's mean.

        Shapes: -> (N, N) float64, each row adding up to 1.
        """
        count, attackers = len(self.updates), self.parameters.attackers
        mixing_NN = np.full((count, count), 1 / (count - attackers))
        for row_N, far in zip(mixing_NN, strangers(squared_distances(gram(self.updates)), attackers), strict=True):
            row_N[far] = 0
        return mixing_NN

    @cached_property
    def _scales(self) -> list[int]:
        return merge_round(self.parameters, self.before_PD, self.updates, self.seed).scales

    def parts(self, block: slice) -> NDArray[np.float64]:
        """Each update's part of the step that the merge made, in units of the state; they add up to what updates did.

        mean: all of them linear. trimmed_mean, median, nearest_neighbours: the values that were kept (the aggregate of
        t * q is t times that of q, so these are its slopes along the way; without an update others would be kept, of
        which they know nothing). centered_clip, multi_krum, geometric_median: with scales, selection or weights as they
        were.

        Shapes: -> (N, B) float64.
        """
        rows_NB = np.stack([update[block] for update in self.updates]).astype(np.float64)
        dropped = trimmed(self.parameters, len(rows_NB))
        if len(rows_NB) < least_updates(self.parameters):
            return np.zeros_like(rows_NB)
        if self.parameters.rule == MergeRule.NEAREST_NEIGHBOURS:
            rows_NB *= self._mixing.T @ _kept(self._mixing @ rows_NB, dropped)
        elif dropped:
            rows_NB *= _kept(rows_NB, dropped)
        pulls_N = self._pulls * self._rate * (1.0 if self.counts is None else np.asarray(self.counts))
        return np.multiply(rows_NB, pulls_N[:, np.newaxis])


def _kept(rows_NB: NDArray[np.float64], dropped: int) -> NDArray[np.float64]:
    """Which values the middle keeps: 1, 0, or a part where equal values stand on the border.

    Shapes: (N, B) -> (N, B) float64; each column adds up to N - 2 * dropped.
    """
    count = len(rows_NB)
    ranked_NB = np.sort(rows_NB, axis=0)
    low_B, high_B = ranked_NB[dropped], ranked_NB[count - dropped - 1]
    is_low_NB, is_high_NB = rows_NB == low_B, rows_NB == high_B
    equal_low, equal_high = is_low_NB.sum(axis=0), is_high_NB.sum(axis=0)
    kept_low = (rows_NB <= low_B).sum(axis=0) - dropped
    kept_high = (rows_NB >= high_B).sum(axis=0) - dropped
    kept_NB: NDArray[np.float64] = ((rows_NB > low_B) & (rows_NB < high_B)).astype(np.float64)
    kept_NB += is_low_NB * np.where(low_B == high_B, (count - 2 * dropped) / equal_low, kept_low / equal_low)
    kept_NB += is_high_NB * np.where(low_B == high_B, 0.0, kept_high / equal_high)
    return kept_NB


def _clipped_pulls(
    parameters: MergeParameters, scales: Sequence[int], count: int, seed: bytes | None
) -> NDArray[np.float64]:
    """`v += sum(c_j * (Y_j - v)) / (65536 m)`, some times: how much of each update is in the last v."""
    size = parameters.bucket
    buckets = -(-count // size)
    shares = np.reshape(scales, (parameters.iterations, buckets)) / (ONE * buckets)
    pulls = np.zeros(buckets)
    for row in shares:
        pulls = pulls * (1 - row.sum()) + row
    order = bucket_order(count, seed) if size > 1 and seed is not None else list(range(count))
    found = np.zeros(count)
    for place, update in enumerate(order):
        members = min(size, count - place // size * size)
        found[update] = GUARD * pulls[place // size] / members
    return found
