"""The first thing that is provably wrong with how a merge clipped. Pure.

Pairs are taken in their order. Up to the first that differs all scales agree, so what follows from them is what one
computed oneself; and of that pair the distance is looked at before the scale, which is judged by it.
"""

from __future__ import annotations

from ledger.demands import ChunkKind
from ledger.keccak import ZERO_HASH, keccak
from ledger.proofs import Clip, Opening, joined
from ledger.trees import NODE_BYTES, SUM_BYTES, SumTree
from node.challenger.bisection import Answer, next_demand
from node.challenger.evidence import Case, Ours, pair_key
from node.challenger.faults import Withheld, WrongDistance, WrongScale
from node.clip_files import SCALE_BYTES, Clipping, clip_hashes, pack_scales, unpack_scales


def clip_fault(case: Case, ours: Ours) -> WrongScale | WrongDistance | Withheld | None:
    """None for a rule that does not clip, or where all is right."""
    if ours.clipping is None:
        return None
    trees = ours.clipping.trees()
    claim = case.merged.claim
    right = clip_hashes(pack_scales(ours.clipping.scales), [tree.root for tree in trees])
    if (claim.scales_hash, claim.distances_hash) == right:
        return None
    posted = posted_clip(case)
    if posted is None:
        return Withheld(case.round, ChunkKind.CLIP, ZERO_HASH, 0)
    pairs = len(trees)
    if len(posted.scales) != SCALE_BYTES * pairs or len(posted.distances) != NODE_BYTES * pairs:
        return WrongScale(case.round, 0, None, pairs)
    scales = unpack_scales(posted.scales)
    for pair, tree in enumerate(trees):
        if distance_root(posted, pair) != tree.root:
            return _distance_fault(case, ours.clipping, tree, pair)
        if scales[pair] != ours.clipping.scales[pair]:
            return WrongScale(case.round, pair, scales[pair], ours.clipping.scales[pair])
    return None


def posted_clip(case: Case) -> Clip | None:
    """What the recorded hashes stand for, from the clip file or from an answer."""
    if case.posted.clip is not None:
        return case.posted.clip
    answer = case.answers(ChunkKind.CLIP).get(0)
    return None if answer is None else Clip(answer.content, answer.siblings)


def distance_root(clip: Clip, pair: int) -> bytes:
    return clip.distances[NODE_BYTES * pair : NODE_BYTES * (pair + 1)]


def clip_of(clipping: Clipping) -> Clip:
    """What a merge that clips so commits to."""
    return Clip(pack_scales(clipping.scales), joined([tree.root for tree in clipping.trees()]))


def matches(clip: Clip, scales_hash: bytes, distances_hash: bytes) -> bool:
    return (keccak(clip.scales), keccak(clip.distances)) == (scales_hash, distances_hash)


def _distance_fault(case: Case, right: Clipping, own: SumTree, pair: int) -> WrongDistance | Withheld | None:
    follows_C = right.distances_PC[pair]
    if case.posted.clipping is not None:
        claimed_C = case.posted.clipping.distances_PC[pair]
        chunk = next(k for k, (a, b) in enumerate(zip(claimed_C, follows_C, strict=True)) if a != b)
        return WrongDistance(case.round, pair, chunk, int(claimed_C[chunk]), int(follows_C[chunk]))
    opened = case.answers(ChunkKind.DISTANCE, pair_key(pair))
    shown = {chunk: read_distance(one) for chunk, one in opened.items()}
    answers = {chunk: Answer(one.nodes, shown[chunk] == int(follows_C[chunk])) for chunk, one in opened.items()}
    found = next_demand(own, len(follows_C), answers)
    if isinstance(found, int):
        return Withheld(case.round, ChunkKind.DISTANCE, pair_key(pair), found)
    if found is None:
        return None
    return WrongDistance(case.round, pair, found.index, shown[found.index], int(follows_C[found.index]), found.stray)


def read_distance(opening: Opening) -> int:
    """The sum in a leaf that was shown; behind it stand all roots."""
    return int.from_bytes(opening.content[:SUM_BYTES], "big")
