"""A small merge as a challenger sees it: right unless a test says otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from eth_utils.address import to_checksum_address
from numpy.typing import NDArray

from ledger.commitments import payout_root, payout_tree, state_tree, update_tree
from ledger.history import BountyHistory, build_history
from ledger.keccak import Hash32
from ledger.records import Address, Merged, Revealed, Wei
from ledger.trees import node_sum
from node.challenger.evidence import Case, Ours, Pay, Posted, SeenUpdate
from node.clip_files import Clipping, clip_hashes, pack_scales
from node.merging import merge_mean
from node.model import Layout, Span
from node.openings import CommittedUpdate, committed_update
from tests.builders import ALICE, BOB, joined, merged, opened, posted, revealed, terms

FIRST, SECOND = (Address(to_checksum_address(account)) for account in (ALICE, BOB))
CHUNKS = 5
SIZE = CHUNKS * 128
LAYOUT = Layout((Span("first", (20, 30), 0, 600), Span("bias", (), 600, 601)))


def update_of(seed: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-500, 500, SIZE).astype("<i2")


def seen(index: int, update_D: NDArray[np.int16], root: Hash32 | None = None) -> SeenUpdate:
    own = Hash32(update_tree(update_D).root) if root is None else root
    reveal = replace(revealed((ALICE, BOB)[index % 2], 1, index, 5), update_root=own, squared_norm=node_sum(own))
    return SeenUpdate(reveal, committed_update(update_D, own))


def known(one: SeenUpdate) -> CommittedUpdate:
    assert one.committed is not None
    return one.committed


def payouts(*amounts: int) -> list[tuple[Address, Wei]]:
    return [(account, Wei(amount)) for account, amount in zip((FIRST, SECOND), amounts, strict=False)]


@dataclass(frozen=True)
class Small:
    """Two updates, two payouts, one round."""

    updates: tuple[SeenUpdate, ...] = field(default_factory=lambda: (seen(0, update_of(0)), seen(1, update_of(1))))

    def ours(self, rejected: int = 0) -> Ours:
        taken = [one for one in self.updates if not rejected >> one.revealed.index & 1]
        before_D = np.zeros(SIZE, dtype=np.int32)
        merged_D = merge_mean(before_D, [known(one).update_D for one in taken], 65536)
        return Ours(merged_D[None], tuple(one.revealed.index for one in taken))

    def claim(self, **changes: Any) -> Merged:
        """A right merge's event; `changes` are those of `builders.merged`."""
        root = payout_root(payout_tree(payouts(150, 150)))
        state = state_tree(self.ours(changes.get("rejected", 0)).planes_PD).root
        given = {"state_root": state, "payout_root": root, "payout_leaves": 2, "paid": Wei(300), "reveals": 2}
        return merged(1, 20, **{**given, **changes})

    def case(self, merge: Merged | None = None, **changes: Any) -> Case:
        merge = merge or self.claim()
        base = Case(
            terms=terms(chunks=CHUNKS),
            merged=merge,
            previous=None,
            layout=LAYOUT,
            updates=self.updates,
            disqualified=frozenset(),
            before_PD=np.zeros((1, SIZE), dtype=np.int32),
            ours=self.ours(merge.claim.rejected),
            pay=Pay(payouts(150, 150), (), {0: 150, 1: 150}, None),
            posted=Posted(self.ours(merge.claim.rejected).planes_PD),
        )
        return replace(base, **changes)


def clipped(scales: tuple[int, ...], distances_PC: NDArray[np.uint64]) -> tuple[Clipping, dict[str, Hash32]]:
    """A clipping, and what its merge records of it."""
    clipping = Clipping(scales, distances_PC)
    hashes = clip_hashes(pack_scales(scales), [tree.root for tree in clipping.trees()])
    return clipping, {"scales_hash": hashes[0], "distances_hash": hashes[1]}


def played(merge: Merged, reveals: list[Revealed]) -> BountyHistory:
    """The history of a bounty with two members and one merged round."""
    members = [joined(ALICE, 0), joined(BOB, 1)]
    return build_history([posted(chunks=CHUNKS), *members, opened(1, 3), *reveals, merge])
