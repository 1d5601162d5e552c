"""What is committed: updates, states, payouts, and the commitment that hides an update until it is revealed.

docs/PROTOCOL.md, sections 2, 5 and 7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from eth_abi.abi import encode
from eth_utils.address import to_canonical_address
from numpy.typing import NDArray

from ledger.keccak import Hash32, keccak
from ledger.records import Address, BountyId, Wei
from ledger.trees import SUM_BYTES, ChunkTree, SumTree, Tag, folded_root, leaf_hash, leaf_hashes, sealed_root

CHUNK = 128
"""Coordinates in a chunk."""

_SALT_LABEL = b"fedbounty/salt/1"
_BLOCK_CHUNKS = 4096


def chunk_squares(update_D: NDArray[np.int16]) -> list[int]:
    """The sum of squares of each chunk, in squared grid units.

    Shapes: update_D (chunks * CHUNK,) int16 -> chunks integers.
    """
    chunks_CK = update_D.reshape(-1, CHUNK)
    squares: list[int] = []
    for start in range(0, len(chunks_CK), _BLOCK_CHUNKS):
        # 128 squares of at most 2**30 fit float64 exactly and int64 easily
        block = chunks_CK[start : start + _BLOCK_CHUNKS].astype(np.float64)
        squares.extend(np.einsum("ck,ck->c", block, block).astype(np.int64).tolist())
    return squares


def update_tree(update_D: NDArray[np.int16]) -> SumTree:
    """Commit to an update, its squared norm included.

    Shapes: update_D (chunks * CHUNK,) int16, little-endian, C-contiguous.
    """
    return SumTree(leaf_hashes(Tag.UPDATE, update_D.data, CHUNK * 2), chunk_squares(update_D))


def state_tree(planes_PD: NDArray[np.int32]) -> ChunkTree:
    """Commit to a state.

    Shapes: planes_PD (1 or 2, chunks * CHUNK) int32: the accumulators `A` and, for rules that keep one, the
             previous aggregate `M`.
    """
    planes, size = planes_PD.shape
    if planes == 1:
        return ChunkTree(leaf_hashes(Tag.STATE, np.ascontiguousarray(planes_PD).data, CHUNK * 4))
    interleaved = planes_PD.reshape(planes, size // CHUNK, CHUNK).transpose(1, 0, 2)
    return ChunkTree(leaf_hashes(Tag.STATE, np.ascontiguousarray(interleaved).data, CHUNK * 4 * planes))


@lru_cache(maxsize=64)
def zero_state_root(chunks: int, planes: int = 1) -> Hash32:
    """The root of the state that every bounty starts from; in constant memory, since anyone can post any size."""
    zeros = bytes(4 * CHUNK * planes)
    return folded_root(leaf_hash(Tag.STATE, index, zeros) for index in range(chunks))


def payout_tree(payouts: Sequence[tuple[Address, Wei]]) -> ChunkTree:
    """Commit to cumulative payouts, one a member, by member index."""
    return ChunkTree([payout_leaf(index, account, amount) for index, (account, amount) in enumerate(payouts)])


def payout_root(tree: ChunkTree) -> Hash32:
    """What a merge records of a payout tree: its root sealed with its depth."""
    return sealed_root(tree.root, tree.depth)


def distance_tree(sums: Sequence[int]) -> SumTree:
    """Commit to a squared distance, a part a chunk; see `centered_clip`."""
    contents = b"".join(one.to_bytes(SUM_BYTES, "big") for one in sums)
    return SumTree(leaf_hashes(Tag.DISTANCE, contents, SUM_BYTES), sums)


def payout_leaf(index: int, account: Address, cumulative: Wei) -> Hash32:
    """Hash one member's leaf of the payout tree."""
    return leaf_hash(Tag.PAYOUT, index, to_canonical_address(account) + cumulative.to_bytes(12, "big"))


def commitment_hash(
    chain_id: int, market: Address, bounty: BountyId, round_number: int, sender: Address, opening: tuple[Hash32, bytes]
) -> Hash32:
    """What is recorded before the reveal.

    opening: the update root and the 32-byte salt.
    """
    root, salt = opening
    types = ["uint256", "address", "uint256", "uint256", "address", "bytes32", "bytes32"]
    return keccak(encode(types, [chain_id, market, bounty, round_number, sender, root, salt]))


def salt_message(chain_id: int, market: Address, bounty: BountyId, round_number: int, update_root: Hash32) -> bytes:
    """The text whose HMAC under the provider's key is the commitment's salt."""
    bounty_and_round = bounty.to_bytes(32, "big") + round_number.to_bytes(32, "big")
    numbers = chain_id.to_bytes(32, "big") + to_canonical_address(market) + bounty_and_round
    return _SALT_LABEL + numbers + update_root


SaltSource = Callable[[bytes], bytes]
"""Turns a salt message into its HMAC-SHA256 under the provider's key, without showing the key."""
