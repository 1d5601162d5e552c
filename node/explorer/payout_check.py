"""A provider's leaf of a payout tree, recomputed from the events and held to what the chain says now. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.address import to_canonical_address

from incentives.payouts import expected_paid
from ledger.chain import Block
from ledger.commitments import payout_leaf, payout_tree
from ledger.history import BountyHistory
from ledger.keccak import Hash32, keccak
from ledger.merge_records import KeptMerge, record_hash, record_of
from ledger.records import Merged
from ledger.trees import Tag, sealed_root
from node.explorer.display import exact, hexed
from node.explorer.round_page import payouts_of
from node.explorer.steps import Outcome, Step, chunk_rungs, compared

_AMOUNT_BYTES = 12


@dataclass(frozen=True)
class LiveMerge:
    """What the market answers about a round's merge at a block; `kept` None: no merge stands there."""

    kept: KeptMerge | None
    block: Block


def payout_steps(history: BountyHistory, merged: Merged, seat: int, live: LiveMerge) -> list[Step]:
    """seat: the member's index, within the merge's payout leaves."""
    payouts = payouts_of(history, merged.round)
    account, cumulative = payouts[seat]
    tree = payout_tree(payouts)
    rungs = chunk_rungs(payout_leaf(seat, account, cumulative), seat, tree.proof(seat))
    root = Hash32(rungs[-1].parent) if rungs else payout_leaf(seat, account, cumulative)
    sealed = sealed_root(root, len(rungs))
    content = to_canonical_address(account) + cumulative.to_bytes(_AMOUNT_BYTES, "big")
    inner = keccak(bytes((Tag.PAYOUT,)) + seat.to_bytes(4, "big") + content)
    return [
        Step(
            "Recompute the pay",
            Outcome.DONE,
            f"By the reward rule, over all rounds merged up to round {merged.round}, from the events alone.",
            (("account", account), ("leaf index", str(seat)), ("cumulative pay", f"{exact(cumulative)} tokens")),
        ),
        Step(
            "Hash the leaf",
            Outcome.DONE,
            "Twice, over the tag, the index and the bytes, so that no inner node passes for a leaf.",
            (
                ("bytes: address, then amount", hexed(content)),
                ("keccak(tag, index, bytes)", hexed(inner)),
                ("leaf", hexed(keccak(inner))),
            ),
        ),
        Step(
            "Climb to the root",
            Outcome.DONE,
            f"{len(rungs)} levels; on each, the running node is hashed with its sibling."
            if rungs
            else "The tree has one leaf, which is the root.",
            rungs=rungs,
        ),
        Step(
            "Seal the root with the tree's depth",
            Outcome.DONE,
            "The contract keeps the first 28 bytes of it.",
            (("root", hexed(root)), ("depth", str(len(rungs))), ("payout root", hexed(sealed))),
        ),
        _against_chain(sealed, live),
        *_record_steps(history, merged, live),
    ]


def _against_chain(sealed: Hash32, live: LiveMerge) -> Step:
    title = "Compare with the chain"
    if live.kept is None:
        text = f"At block {live.block.number} no merge of this round stands: it was voided, or the chain has changed."
        return Step(title, Outcome.MISMATCH, text)
    kept = live.kept.payout_root
    return Step(
        title,
        compared(sealed[: len(kept)] == kept),
        f"Read from the market at block {live.block.number}, just now.",
        (("computed", hexed(sealed[: len(kept)])), ("on chain", hexed(kept))),
    )


def _record_steps(history: BountyHistory, merged: Merged, live: LiveMerge) -> list[Step]:
    """The rest of what the chain keeps: the record's hash, and the sum paid."""
    if live.kept is None:
        return []
    computed, expected = record_hash(record_of(merged)), expected_paid(history, merged.round)
    return [
        Step(
            "Compare the merge's record",
            compared(computed == live.kept.record_hash),
            "State root, CIDs, rejected updates and reasons of the event, hashed, against the hash that is kept.",
            (("computed", hexed(computed)), ("on chain", hexed(live.kept.record_hash))),
        ),
        Step(
            "Compare the round's sum",
            compared(expected == live.kept.paid),
            "What the rules give to all accepted updates together, against what the merge claims.",
            (("by the rules", f"{exact(expected)} tokens"), ("on chain", f"{exact(live.kept.paid)} tokens")),
        ),
    ]
