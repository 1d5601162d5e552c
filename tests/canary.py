"""A canary: an aggregator that lies in a chosen way. For tests and benchmarks only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from incentives.payouts import pay_round
from ledger.cid import Digest, to_cid
from ledger.commitments import payout_root, payout_tree
from ledger.history import BountyHistory
from ledger.keccak import keccak
from ledger.merge_records import GivenReason, Reason, pack_reasons
from ledger.records import MergeClaim, Wei
from ledger.unixfs import digest_of
from node.aggregator.merge_work import MergeWork
from node.bounty_files import planes_of, write_atomically
from node.clip_files import Clipping, clip_file_bytes, clip_hashes, decode_clip, encode_clip, pack_scales
from node.merged_states import MergedState, merge_accepted, parameters_of
from node.round_updates import check_updates
from node.state_files import decode_state, encode_state, state_file_bytes
from node.updates import HEADER
from node.verification import VerifiedUpdate
from tests.integration.liars import Liar
from tests.integration.world import CLASSES, COLUMNS

HIDDEN = 80
COORDINATES = (len(COLUMNS) + 1) * HIDDEN + (HIDDEN + 1) * len(CLASSES)
CHUNKS = -(-COORDINATES // 128)
UPDATES = 3
MEAN: dict[str, Any] = {"rule": "mean", "attackers": 0, "learning_rate": 1.0}
CLIP: dict[str, Any] = {
    "rule": "centered_clip",
    "attackers": 0,
    "learning_rate": 1.0,
    "bucket": 2,
    "iterations": 2,
    "radius": 0.02,
}


class Kind(StrEnum):
    """What the canary lies about."""

    HONEST = "honest"
    UNIT = "one unit in one coordinate"
    DROPPED = "an accepted update left out of the sum"
    SCALE = "a clipping scale off by one"
    WEI = "one wei moved between two providers"
    REJECTED = "a good update rejected"
    WITHHELD = "a wrong state behind a file that nobody has"
    HOARDED = "a wrong state that is shown only on demand"
    DISTANCE = "a squared distance off by one, shown only on demand"
    ACCEPTED = "an update accepted that lies about its norm"


LIES = tuple(kind for kind in Kind if kind != Kind.HONEST)

RULES: dict[Kind, str] = {Kind.SCALE: "centered_clip", Kind.DISTANCE: "centered_clip"}
"""The merge rule that a kind of lie needs; `mean` for the others."""


# --- lies ---


@dataclass(frozen=True)
class Told:
    """What a lie starts from: the honest claim and all that it was made of."""

    work: MergeWork
    history: BountyHistory
    number: int
    claim: MergeClaim
    rng: np.random.Generator
    home: Path

    def with_state(self, planes_PD: Any) -> MergeClaim:
        state = MergedState(planes_PD)
        return replace(self.claim, state_root=state.root, state_cid=self.work.files.publish(encode_state(planes_PD)))

    def hoard(self, data: bytes) -> Digest:
        """Keep a file at hand, to answer from it, and publish it nowhere."""
        digest = digest_of(data)
        write_atomically(self.home / "cache" / to_cid(digest), data)
        return digest

    def moved(self) -> Any:
        """The honest state, one unit off at one coordinate."""
        terms = self.history.posted.terms
        path = self.work.files.file(self.claim.state_cid, state_file_bytes(terms.chunks, planes_of(terms)))
        planes_PD = decode_state(path.read_bytes(), terms.chunks, planes_of(terms)).copy()
        planes_PD[0, int(self.rng.integers(COORDINATES))] += int(self.rng.choice((-1, 1)))
        return planes_PD

    def merged_without(self, index: int) -> Any:
        """The state without one update."""
        terms, reveals = self.history.posted.terms, self.history.rounds[self.number].reveals
        checked = check_updates(self.work.files, terms, reveals, COORDINATES)
        counted = [one.update for one in checked if isinstance(one, VerifiedUpdate) and one.revealed.index != index]
        before_PD = self.work.files.state(self.history.latest_merge(before_round=self.number), terms)
        return merge_accepted(terms, before_PD, counted, None).planes_PD


def _unit(told: Told) -> MergeClaim:
    return told.with_state(told.moved())


def _dropped(told: Told) -> MergeClaim:
    return told.with_state(told.merged_without(int(told.rng.integers(UPDATES))))


def _clipping(told: Told) -> Clipping:
    """The honest clipping."""
    terms, parameters = told.history.posted.terms, parameters_of(told.history.posted.terms)
    pairs = -(-UPDATES // parameters.bucket) * parameters.iterations
    path = told.work.files.file(told.claim.clip_cid, clip_file_bytes(pairs, terms.chunks))
    return decode_clip(path.read_bytes(), pairs, terms.chunks)


def _with_clipping(told: Told, wrong: Clipping, digest: Digest) -> MergeClaim:
    hashes = clip_hashes(pack_scales(wrong.scales), [tree.root for tree in wrong.trees()])
    return replace(told.claim, scales_hash=hashes[0], distances_hash=hashes[1], clip_cid=digest)


def _scale(told: Told) -> MergeClaim:
    clipping = _clipping(told)
    scales = list(clipping.scales)
    scales[int(told.rng.integers(len(scales)))] -= 1
    wrong = replace(clipping, scales=tuple(scales))
    return _with_clipping(told, wrong, told.work.files.publish(encode_clip(wrong)))


def _distance(told: Told) -> MergeClaim:
    clipping = _clipping(told)
    sums_PC = clipping.distances_PC.copy()
    sums_PC[int(told.rng.integers(len(sums_PC))), int(told.rng.integers(CHUNKS))] += 1
    wrong = replace(clipping, distances_PC=sums_PC)
    return _with_clipping(told, wrong, told.hoard(encode_clip(wrong)))


def _wei(told: Told) -> MergeClaim:
    """The report lists what the wrong tree holds: nobody has to demand it."""
    _, payouts = pay_round(told.history, told.number, told.claim.rejected)
    giver, taker = (int(one) for one in told.rng.choice(len(payouts), 2, replace=False))
    moved = dict(enumerate(payouts))
    moved[giver] = (payouts[giver][0], Wei(payouts[giver][1] - 1))
    moved[taker] = (payouts[taker][0], Wei(payouts[taker][1] + 1))
    wrong = [moved[seat] for seat in range(len(payouts))]
    report = orjson.loads(told.work.files.file(told.claim.report_cid, 256 * 1024).read_bytes())
    report["payouts"] = [str(amount) for _, amount in wrong]
    digest = told.work.files.publish(orjson.dumps(report))
    return replace(told.claim, payout_root=payout_root(payout_tree(wrong)), report_cid=digest)


def _rejected(told: Told) -> MergeClaim:
    """All the rest follows from the rejection."""
    index = int(told.rng.integers(UPDATES))
    paid, payouts = pay_round(told.history, told.number, 1 << index)
    given = GivenReason(Reason.WRONG_NORM, int(told.rng.integers(CHUNKS)))
    return replace(
        told.with_state(told.merged_without(index)),
        paid=paid,
        payout_root=payout_root(payout_tree(payouts)),
        rejected=1 << index,
        reasons=pack_reasons([given]),
    )


def _withheld(told: Told) -> MergeClaim:
    state = MergedState(told.moved())
    return replace(told.claim, state_root=state.root, state_cid=Digest(keccak(told.rng.bytes(32))))


def _hoarded(told: Told) -> MergeClaim:
    planes_PD = told.moved()
    return replace(told.claim, state_root=MergedState(planes_PD).root, state_cid=told.hoard(encode_state(planes_PD)))


def _accepted(told: Told) -> MergeClaim:
    """All updates are in the sum, whatever is wrong with them."""
    terms, reveals = told.history.posted.terms, told.history.rounds[told.number].reveals
    files = [told.work.files.update(one, terms).read_bytes() for one in reveals]
    updates = [np.frombuffer(data, dtype="<i2", offset=HEADER.size) for data in files]
    before_PD = told.work.files.state(None, terms)
    paid, payouts = pay_round(told.history, told.number, 0)
    claim = told.with_state(merge_accepted(terms, before_PD, updates, None).planes_PD)
    return replace(claim, paid=paid, payout_root=payout_root(payout_tree(payouts)), rejected=0, reasons=b"")


_TELL: dict[Kind, Callable[[Told], MergeClaim]] = {
    Kind.HONEST: lambda told: told.claim,
    Kind.UNIT: _unit,
    Kind.DROPPED: _dropped,
    Kind.SCALE: _scale,
    Kind.WEI: _wei,
    Kind.REJECTED: _rejected,
    Kind.WITHHELD: _withheld,
    Kind.HOARDED: _hoarded,
    Kind.DISTANCE: _distance,
    Kind.ACCEPTED: _accepted,
}


class Canary(Liar):
    """Lies in one way, at a place that the seed draws."""

    def __init__(self, honest: MergeWork, kind: Kind, seed: int, home: Path) -> None:
        super().__init__(honest, self._tell)
        self._kind, self._home, self._rng = kind, home, np.random.default_rng(seed)

    def _tell(self, work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
        return _TELL[self._kind](Told(work, history, number, claim, self._rng, self._home))
