"""One chunk of an update's file, hashed up to the root that its provider revealed. Pure, given the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ledger.chain import Block
from ledger.cid import to_cid
from ledger.commitments import CHUNK, chunk_squares, update_tree
from ledger.keccak import keccak
from ledger.records import PrivacyMode, Revealed, Terms
from ledger.trees import SumTree, Tag, node_sum
from node.errors import UpdateFault
from node.explorer.display import hexed, number
from node.explorer.steps import Outcome, Step, compared, sum_rungs
from node.masking.files import decode_masked, masked_tree
from node.updates import decode_update

MOST_CHUNKS = 2**18
"""Of a file that a page verifies: 64 MiB. `fedbounty audit` takes any."""


@dataclass(frozen=True)
class LiveReveal:
    """The reveal as the market's log at that block says it now; None if it is not there any more."""

    reveal: Revealed | None
    block: Block


@dataclass(frozen=True)
class FetchedFile:
    """An update's file, or why it can't be had."""

    path: Path | None
    why: str = ""


def update_steps(known: Revealed, terms: Terms, chunk: int, live: LiveReveal, file: FetchedFile) -> list[Step]:
    """chunk: one of the update's. The padding is checked by `fedbounty audit`, which has the manifest."""
    steps = [_live_step(known, live), _fetched_step(known, file)]
    if file.path is None:
        return steps
    revealed_root = (live.reveal or known).update_root
    if terms.privacy == PrivacyMode.MASKED:
        return [*steps, *masked_steps(file.path, revealed_root, terms.chunks, chunk)]
    try:
        update_D = decode_update(file.path.read_bytes(), terms.chunks * CHUNK)
    except UpdateFault as error:
        return [*steps, Step("Read the file", Outcome.MISMATCH, f"It is {error.reason.label}: {error.detail}.")]
    tree = update_tree(update_D)
    return [
        *steps,
        *_chunk_steps(update_D, tree, chunk),
        Step(
            "Compare the root with what was revealed",
            compared(tree.root == revealed_root),
            "The last 8 bytes of the root are the sum: the update's squared norm.",
            (("computed", hexed(tree.root)), ("on chain", hexed(revealed_root))),
        ),
        Step(
            "Hold the norm to the bound",
            compared(node_sum(revealed_root) <= terms.squared_norm_bound and tree.total == node_sum(revealed_root)),
            "The sum over all chunks is the committed squared norm, and no more than the bounty allows.",
            (
                ("sum of squares of the file", number(tree.total)),
                ("committed", number(node_sum(revealed_root))),
                ("bound", number(terms.squared_norm_bound)),
            ),
        ),
    ]


def _live_step(known: Revealed, live: LiveReveal) -> Step:
    title = "Read the reveal from the chain"
    if live.reveal is None:
        return Step(
            title, Outcome.MISMATCH, f"Block {known.at.block} does not hold it any more: the chain has changed."
        )
    return Step(
        title,
        compared(live.reveal == known),
        f"The log of block {known.at.block}, asked for just now (the chain is at block {live.block.number}).",
        (
            ("provider", live.reveal.provider),
            ("CID", to_cid(live.reveal.cid)),
            ("update root", hexed(live.reveal.update_root)),
        ),
    )


def _fetched_step(known: Revealed, file: FetchedFile) -> Step:
    title = "Fetch the file"
    if file.path is None:
        return Step(title, Outcome.UNAVAILABLE, file.why, (("CID", to_cid(known.cid)),))
    size = file.path.stat().st_size
    text = "From IPFS or from this machine's cache; its bytes were hashed and have the CID."
    return Step(title, Outcome.OK, text, (("CID", to_cid(known.cid)), ("bytes", number(size))))


def _chunk_steps(update_D: NDArray[np.int16], tree: SumTree, chunk: int) -> list[Step]:
    values_K = np.ascontiguousarray(update_D[chunk * CHUNK : (chunk + 1) * CHUNK], dtype="<i2")
    inner = keccak(bytes((Tag.UPDATE,)) + chunk.to_bytes(4, "big") + values_K.tobytes())
    rungs = sum_rungs(tree.leaf(chunk), chunk, tree.proof(chunk))
    coordinates = f"{chunk * CHUNK} to {(chunk + 1) * CHUNK - 1}"
    return [
        Step(
            f"Read chunk {chunk}",
            Outcome.DONE,
            f"Coordinates {coordinates}, each an integer in grid units.",
            (
                ("integers", " ".join(map(str, values_K.tolist()))),
                ("sum of squares", number(chunk_squares(values_K)[0])),
            ),
        ),
        Step(
            "Hash the leaf",
            Outcome.DONE,
            "Twice, over the tag, the index and the bytes; 24 bytes of the hash and 8 of the sum make the node.",
            (
                ("keccak(tag, index, bytes)", hexed(inner)),
                ("hash", hexed(keccak(inner))),
                ("leaf node", hexed(tree.leaf(chunk))),
            ),
        ),
        Step(
            "Climb to the root",
            Outcome.DONE,
            f"{len(rungs)} levels; hashes are hashed, sums are added."
            if rungs
            else "The tree has one leaf, which is the root.",
            rungs=rungs,
        ),
    ]


def masked_steps(path: Path, revealed_root: bytes, chunks: int, chunk: int) -> list[Step]:
    """One chunk of a masked update's file, hashed up to the revealed root; its norm nobody can see."""
    try:
        file = decode_masked(path.read_bytes(), chunks)
    except UpdateFault as error:
        return [Step("Read the file", Outcome.MISMATCH, f"It is {error.reason.label}: {error.detail}.")]
    tree = masked_tree(file.masked_D, file.leaf)
    values_K = np.ascontiguousarray(file.masked_D[chunk * CHUNK : (chunk + 1) * CHUNK], dtype="<u4")
    inner = keccak(bytes((Tag.MASKED,)) + chunk.to_bytes(4, "big") + values_K.tobytes())
    rungs = sum_rungs(tree.leaf(chunk), chunk, tree.proof(chunk))
    return [
        Step(
            f"Read chunk {chunk}",
            Outcome.DONE,
            "Integers modulo 2^32 under masks: they tell nothing until their group's masks are off, and then its sum.",
            (("integers", " ".join(map(str, values_K.tolist()))),),
        ),
        Step(
            "Climb to the root",
            Outcome.DONE,
            f"{len(rungs)} levels. The last leaf, {chunks}, is the key leaf: it commits to the seeds of the masks.",
            (("leaf node", hexed(tree.leaf(chunk))), ("keccak(tag, index, bytes)", hexed(inner))),
            rungs=rungs,
        ),
        Step(
            "Compare the root with what was revealed",
            compared(tree.root == revealed_root),
            "A masked update has no norm that could be held to the bound; its group's sum has.",
            (("computed", hexed(tree.root)), ("on chain", hexed(revealed_root))),
        ),
    ]
