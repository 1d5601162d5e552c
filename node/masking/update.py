"""Making a masked update: seeds, masks, key leaf, shares. docs/PROTOCOL.md, section 16.

Shape suffix: D coordinates, padding included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ledger.keccak import Hash32, keccak
from node.masking.context import RoundContext
from node.masking.errors import NotInGroup
from node.masking.files import encode_masked, masked_tree
from node.masking.groups import Group
from node.masking.key_leaf import KeyLeaf
from node.masking.masks import Mask, apply_masks, pair_mask
from node.masking.seeds import Secrets, pair_seed, self_seed
from node.masking.shares import Transfer, deal, seal_bundle


@dataclass(frozen=True)
class Seat:
    """A member in its group of a round: what its masks follow from."""

    context: RoundContext
    group: Group
    own: int
    secrets: Secrets

    def __post_init__(self) -> None:
        if self.own not in self.group.indices:
            raise NotInGroup(f"Member {self.own}", self.context.round)

    def seeds(self) -> list[bytes]:
        """The self seed, then that with each peer by rising index."""
        peers = self.group.peers_of(self.own)
        pairs = [pair_seed(self.secrets, self.context, self.own, (peer.index, peer.key)) for peer in peers]
        return [self_seed(self.secrets, self.context, self.own), *pairs]


@dataclass(frozen=True)
class MaskedUpdate:
    """A masked update file and the root that it is committed by."""

    data: bytes
    root: Hash32


def mask_update(update_D: NDArray[np.int16], seat: Seat) -> MaskedUpdate:
    """Mask an update and share its seeds among the group.

    Shapes: update_D (D,) int16, within the grid, padding 0 (which is masked like the rest).
    Raises: NotInGroup; ValueError for a group larger than a key leaf has room for.
    """
    seeds, members, peers = seat.seeds(), seat.group.members, seat.group.peers_of(seat.own)
    masks = [Mask(seeds[0], True)]
    masks += [pair_mask(seed, seat.own, peer.index) for seed, peer in zip(seeds[1:], peers, strict=True)]
    masked_D = mask_values(update_D, masks)
    pairs = tuple((peer.index, keccak(seed)) for peer, seed in zip(peers, seeds[1:], strict=True))
    leaf = KeyLeaf(seat.own, keccak(seeds[0]), pairs)
    root = masked_tree(masked_D, leaf).root
    sealed = [
        seal_bundle(bundle, seat.secrets, holder, Transfer(seat.context, seat.own, holder.index, root))
        for bundle, holder in zip(deal(seeds, seat.group.threshold, len(members)), members, strict=True)
    ]
    return MaskedUpdate(encode_masked(masked_D, leaf, sealed), root)


def mask_values(update_D: NDArray[np.int16], masks: list[Mask]) -> NDArray[np.uint32]:
    """The update's values with masks, modulo 2**32; nothing unmasked stays in the result's memory.

    Shapes: (D,) int16 -> (D,) uint32.
    """
    masked_D = np.empty(len(update_D), dtype=np.uint32)
    signed_D = masked_D.view(np.int32)
    apply_masks(masked_D, masks, fill=lambda block: np.copyto(signed_D[block], update_D[block]))
    return masked_D
