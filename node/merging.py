"""Merging updates into the global state, exactly, block by block. docs/PROTOCOL.md, section 7.

The result is a pure function of the integers: it does not depend on the size of the blocks, the number of threads or
the machine, and on the order of the updates only where a rule puts them into buckets. `node.merge_arithmetic` has the
same rules for one coordinate in plain integers.

Shape suffixes: P planes of a state, D coordinates, padding included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ledger.commitments import CHUNK
from ledger.merge_parameters import PROVABLE, MergeParameters
from ledger.records import MergeRule
from node.block_rules import ServerStep, TrimmedMean, add_up
from node.blocks import BLOCK, WHOLE_MACHINE, BlockRule, Blocks, run_blocks
from node.centered_clip import merge_clipped
from node.distances import gram, squared_distances
from node.merge_arithmetic import (
    MAX_UPDATES,
    ONE,
    STATE_MAX,
    STATE_MIN,
    bucket_order,
    chunk_distance,
    coordinate_mean,
    least_updates,
    merge_coordinate,
    scale_of,
    trimmed,
)
from node.robust_blocks import MixedTrimmedMean, WeightedMean
from node.robust_rules import krum_selection, median_weights, strangers

__all__ = [
    "BLOCK",
    "MAX_UPDATES",
    "ONE",
    "STATE_MAX",
    "STATE_MIN",
    "Blocks",
    "MergedRound",
    "add_up",
    "bucket_order",
    "chunk_distance",
    "coordinate_mean",
    "merge_coordinate",
    "merge_mean",
    "merge_round",
    "scale_of",
    "update_weights",
]


@dataclass(frozen=True)
class MergedRound:
    """A new state, and how clipping came to it; both are empty for the rules that don't clip.

    scales:        in units of 2**-16, entry iteration * buckets + bucket.
    distance_sums: each chunk's part of the squared distances, a row a pair.

    Shapes: planes_PD (P, D) int32, distance_sums (pairs, D / CHUNK) uint64.
    """

    planes_PD: NDArray[np.int32]  # noqa: N815 - shape suffix
    scales: list[int]
    distance_sums: NDArray[np.uint64]


def merge_round(
    parameters: MergeParameters,
    planes_PD: NDArray[np.int32],
    updates: Sequence[NDArray[np.int16]],
    seed: bytes | None,
    blocks: Blocks = WHOLE_MACHINE,
    out: NDArray[np.int32] | None = None,
) -> MergedRound:
    """Merge a round's accepted updates into the state; where there is nothing to merge it stays as it is.

    updates: by rising reveal index.
    seed:    of the round; used where the rule puts updates into buckets of several.
    out:     where to write the planes: memory that was used before is several times faster than fresh memory.

    Shapes:  planes_PD (P, D) int32, each update (D,) int16 (memory maps of files will do).
    Units:   updates in grid units, planes 2**8 finer.
    Raises:  ValueError for planes or updates of another shape or type, more than 256 updates, or a missing seed.
    """
    if planes_PD.ndim != 2 or len(planes_PD) != parameters.planes:
        raise ValueError(f"a state {list(planes_PD.shape)} does not have {parameters.planes} planes")
    clips = parameters.rule == MergeRule.CENTERED_CLIP
    _check(planes_PD, updates)
    merged_PD = _room(planes_PD, out)
    nothing = np.empty((0, planes_PD.shape[1] // CHUNK), dtype=np.uint64)
    if len(updates) < least_updates(parameters):
        np.copyto(merged_PD, planes_PD)
        return MergedRound(merged_PD, [], nothing)
    if clips:
        ordered = _in_buckets(parameters, updates, seed)
        return MergedRound(merged_PD, *merge_clipped(parameters, planes_PD, ordered, merged_PD, blocks))
    rule, counted = _rule(parameters, updates, blocks)
    run_blocks(rule, planes_PD, counted, merged_PD, blocks)
    return MergedRound(merged_PD, [], nothing)


def _rule(
    parameters: MergeParameters, updates: Sequence[NDArray[np.int16]], blocks: Blocks
) -> tuple[BlockRule, Sequence[NDArray[np.int16]]]:
    """What to do at each block, and with which updates; the rules that look at whole updates read them here first."""
    step, attackers = ServerStep(parameters.eta, parameters.beta), parameters.attackers
    if parameters.rule in PROVABLE:
        return TrimmedMean(step, trimmed(parameters, len(updates))), updates
    products_NN = gram(updates, blocks)
    distances = squared_distances(products_NN)
    match parameters.rule:
        case MergeRule.MULTI_KRUM:
            return TrimmedMean(step), [updates[place] for place in krum_selection(distances, attackers)]
        case MergeRule.NEAREST_NEIGHBOURS:
            far = tuple(map(tuple, strangers(distances, attackers)))
            return MixedTrimmedMean(step, far, attackers), updates
    return WeightedMean(step, tuple(median_weights(products_NN.tolist(), distances))), updates


def update_weights(parameters: MergeParameters, updates: Sequence[NDArray[np.int16]]) -> NDArray[np.float64]:
    """How much of each update is in the aggregate of `multi_krum` or `geometric_median`; they add up to 1.

    updates: at least as many as the rule needs.
    """
    products_NN = gram(updates)
    distances = squared_distances(products_NN)
    weights: NDArray[np.float64] = np.zeros(len(updates))
    if parameters.rule == MergeRule.MULTI_KRUM:
        weights[krum_selection(distances, parameters.attackers)] = 1
    else:
        weights[:] = median_weights(products_NN.tolist(), distances)
    weights /= weights.sum()
    return weights


def merge_mean(
    state_D: NDArray[np.int32],
    updates: Sequence[NDArray[np.int16]],
    eta: int,
    blocks: Blocks = WHOLE_MACHINE,
    out: NDArray[np.int32] | None = None,
) -> NDArray[np.int32]:
    """Step from the state by the mean of the updates, without momentum.

    Shapes: state_D (D,) int32, each update (D,) int16 -> (D,) int32.
    Raises: ValueError as `merge_round`, or for an eta that is no uint32.
    """
    if not 0 <= eta < 2**32:
        raise ValueError(f"eta {eta} is no uint32")
    merged_D = np.empty_like(state_D) if out is None else out
    merge_round(MergeParameters(MergeRule.MEAN, eta), state_D[None], updates, None, blocks, merged_D[None])
    return merged_D


def _in_buckets(
    parameters: MergeParameters, updates: Sequence[NDArray[np.int16]], seed: bytes | None
) -> Sequence[NDArray[np.int16]]:
    if len(updates[0]) % CHUNK:
        raise ValueError(f"{len(updates[0])} coordinates are no whole chunks of {CHUNK}")
    if parameters.bucket == 1:
        return updates
    if seed is None:
        raise ValueError("the order of the updates was not drawn")
    return [updates[place] for place in bucket_order(len(updates), seed)]


def _room(planes_PD: NDArray[np.int32], out: NDArray[np.int32] | None) -> NDArray[np.int32]:
    merged_PD = np.empty_like(planes_PD) if out is None else out
    if merged_PD.shape != planes_PD.shape or np.may_share_memory(merged_PD, planes_PD):
        raise ValueError("the result needs memory of its own, of the state's length")
    return merged_PD


def _check(planes_PD: NDArray[np.int32], updates: Sequence[NDArray[np.int16]]) -> None:
    if planes_PD.dtype != np.int32:
        raise ValueError(f"the state is {planes_PD.dtype}, not int32")
    if len(updates) > MAX_UPDATES:
        raise ValueError(f"{len(updates)} updates are more than the {MAX_UPDATES} that a round may have")
    expected = planes_PD.shape[1:]
    for number, update in enumerate(updates):
        if update.dtype != np.int16 or update.shape != expected:
            raise ValueError(
                f"update {number} is {update.dtype}{list(update.shape)}, not int16{list(expected)} as the state"
            )
