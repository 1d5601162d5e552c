"""What a round's merge makes of the accepted updates, with all that it commits to. Pure.

Aggregator and auditor both start here, so that they can't differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ledger.commitments import state_tree
from ledger.keccak import ZERO_HASH, Hash32
from ledger.merge_parameters import MergeParameters
from ledger.records import MergeRule, Terms
from node.clip_files import Clipping, clip_hashes, pack_scales
from node.merging import merge_round


class NoSeed(ValueError):
    """The order of a round's updates was not drawn."""


@dataclass(frozen=True)
class MergedState:
    """What follows from the bytes. clipping: scales and distances, for the rule that has them.

    Shapes: planes_PD (1 or 2, chunks * CHUNK) int32.
    """

    planes_PD: NDArray[np.int32]  # noqa: N815 - shape suffix
    clipping: Clipping | None = None

    @cached_property
    def root(self) -> Hash32:
        return state_tree(self.planes_PD).root

    @cached_property
    def clip_hashes(self) -> tuple[Hash32, Hash32]:
        """The hash of the scales and that of the distance trees' roots; zero words where there are none."""
        if self.clipping is None:
            return ZERO_HASH, ZERO_HASH
        return clip_hashes(pack_scales(self.clipping.scales), [tree.root for tree in self.clipping.trees()])


def parameters_of(terms: Terms) -> MergeParameters:
    return MergeParameters.unpack(terms.merge_rule, terms.merge_parameters)


def needs_seed(terms: Terms) -> bool:
    """Whether a round's updates are merged in an order that is drawn."""
    return terms.merge_rule == MergeRule.CENTERED_CLIP and parameters_of(terms).bucket > 1


def merge_accepted(
    terms: Terms, before_PD: NDArray[np.int32], accepted: Sequence[NDArray[np.int16]], seed: Hash32 | None
) -> MergedState:
    """Merge the accepted updates, by rising reveal index, into the state before.

    seed:   of the round; None where none was drawn.
    Shapes: before_PD (planes, D) int32, each update (D,) int16.
    Raises: NoSeed if one is needed.
    """
    if seed is None and needs_seed(terms):
        raise NoSeed
    made = merge_round(parameters_of(terms), before_PD, accepted, seed or ZERO_HASH)
    if terms.merge_rule != MergeRule.CENTERED_CLIP:
        return MergedState(made.planes_PD)
    return MergedState(made.planes_PD, Clipping(tuple(made.scales), made.distance_sums))
