"""All that is known of one merge: what was committed, what was posted, what was shown, and what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from incentives.shares import NOTHING
from ledger.commitments import state_tree
from ledger.demands import ChunkKind
from ledger.history import accepted
from ledger.keccak import ZERO_HASH, Hash32
from ledger.merge_records import GivenReason, record_of, unpack_reasons
from ledger.proofs import NO_RECORD, Clip, Disputed, Opening
from ledger.records import Address, Merged, Revealed, Terms, Wei
from ledger.trees import ChunkTree
from node.challenger.masked import MaskEvidence
from node.clip_files import Clipping
from node.model import Layout
from node.openings import CommittedUpdate

Payouts = Sequence[tuple[Address, Wei]]

Shown = Mapping[tuple[ChunkKind, Hash32], Mapping[int, Opening]]
"""Answers to demands about the merge, by what they open and by leaf."""

_NOTHING: Mapping[int, Opening] = {}


@dataclass(frozen=True)
class SeenUpdate:
    """A revealed update; `committed` is None where its bytes can't be had."""

    revealed: Revealed
    committed: CommittedUpdate | None


@dataclass(frozen=True)
class Ours:
    """What follows from the committed bytes.

    order:  reveal indices of the accepted updates as the rule takes them.
    bucket: updates a bucket, for a rule that clips.

    Shapes: planes_PD (planes, chunks * CHUNK) int32.
    """

    planes_PD: NDArray[np.int32]  # noqa: N815 - shape suffix
    order: tuple[int, ...]
    clipping: Clipping | None = None
    bucket: int = 1

    def tree(self) -> ChunkTree:
        return state_tree(self.planes_PD)


@dataclass(frozen=True)
class Pay:
    """A merge's payouts, for as many members as its tree claims to have.

    follows, before: by seat, after the merge and before it; `before` has the leaves of the tree that it builds on.
    earned:          by seat, in this round alone; of every member, with a leaf or without.
    posted:          by seat, as the report lists them under the recorded root; None where it does not.
    leafless:        a member that earned something and has no leaf, if there is one.
    released:        what the merge must claim as paid although no leaf earns it: another contract divides it.
    """

    follows: Payouts
    before: Payouts
    earned: Mapping[int, int]
    posted: Payouts | None
    leafless: Address | None = None
    released: Wei = NOTHING


@dataclass(frozen=True)
class Posted:
    """What the aggregator published under the recorded roots; None where it can't be had.

    Shapes: planes_PD (planes, chunks * CHUNK) int32.
    """

    planes_PD: NDArray[np.int32] | None = None  # noqa: N815 - shape suffix
    clip: Clip | None = None
    clipping: Clipping | None = None


@dataclass(frozen=True)
class Case:
    """One merge under examination.

    previous: the merge that it builds on; None for the initial state.
    before_PD: the state that it builds on, under the root that is recorded.
    ours:     None where an accepted update is missing, or the order of the buckets was never drawn.
    undrawn:  the rule needs a seed, and there is none.
    masks:    of masked updates, which are seen here and not in `updates`; None for a bounty without masks.
    """

    terms: Terms
    merged: Merged
    previous: Merged | None
    layout: Layout
    updates: tuple[SeenUpdate, ...]
    disqualified: frozenset[int]
    before_PD: NDArray[np.int32]  # noqa: N815 - shape suffix
    ours: Ours | None
    pay: Pay
    posted: Posted = Posted()
    shown: Shown = field(default_factory=dict)
    undrawn: bool = False
    masks: MaskEvidence | None = None

    @property
    def round(self) -> int:
        return self.merged.round

    @property
    def accepted(self) -> list[SeenUpdate]:
        """By rising reveal index."""
        counted = {one.index for one in accepted(self.merged, [seen.revealed for seen in self.updates])}
        return [seen for seen in self.updates if seen.revealed.index in counted]

    @property
    def rejected(self) -> list[tuple[SeenUpdate, GivenReason]]:
        out = [seen for seen in self.updates if self.merged.claim.rejected >> seen.revealed.index & 1]
        return list(zip(out, unpack_reasons(self.merged.claim.reasons), strict=False))

    def answers(self, kind: ChunkKind, key: Hash32 = ZERO_HASH) -> Mapping[int, Opening]:
        return self.shown.get((kind, key), _NOTHING)

    def shown_updates(self) -> Mapping[Hash32, Mapping[int, Opening]]:
        """What was shown of updates on demand, by root and leaf."""
        return {key: answers for (kind, key), answers in self.shown.items() if kind == ChunkKind.UPDATE}

    def disputed(self) -> Disputed:
        previous = record_of(self.previous) if self.previous else NO_RECORD
        return Disputed(self.merged.bounty, self.round, record_of(self.merged), previous)


def pair_key(pair: int) -> Hash32:
    """How a demand names a distance tree."""
    return Hash32(pair.to_bytes(32, "big"))
