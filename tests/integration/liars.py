"""Aggregators that lie: each wraps an honest merge and posts something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from incentives.payouts import Payouts, pay_round
from ledger.cid import Digest
from ledger.commitments import CHUNK, payout_root, payout_tree, state_tree
from ledger.history import BountyHistory
from ledger.keccak import Hash32, keccak
from ledger.merge_records import GivenReason, Reason, pack_reasons
from ledger.records import MergeClaim, Wei
from node.aggregator.merge_work import MadeMerge, MergeWork
from node.merging import merge_mean
from node.round_updates import check_updates
from node.state_files import decode_state, encode_state
from node.targets import measured_units
from node.verification import VerifiedUpdate
from tests.integration.forgery import COORDINATES

RATE_UNITS = 65536

Lie = Callable[[MergeWork, BountyHistory, int, MergeClaim], MergeClaim]


class Liar:
    """Stands where an aggregator's `MergeWork` would."""

    def __init__(self, honest: MergeWork, lie: Lie) -> None:
        self.files, self._honest, self._lie = honest.files, honest, lie

    def prefetch(self, reveals: Any) -> None:
        self._honest.prefetch(reveals)

    def gather(self, history: BountyHistory, number: int) -> None:
        self._honest.gather(history, number)

    def is_complete(self, number: int) -> bool:
        return self._honest.is_complete(number)

    def merge(self, history: BountyHistory, number: int, seed: Hash32 | None = None) -> MadeMerge:
        made = self._honest.merge(history, number, seed)
        return replace(made, claim=self._lie(self._honest, history, number, made.claim))


def lying(honest: MergeWork, lie: Lie) -> MergeWork:
    return cast(MergeWork, Liar(honest, lie))


def _with_state(work: MergeWork, claim: MergeClaim, state_D: NDArray[np.int32]) -> MergeClaim:
    root, digest = state_tree(state_D[None]).root, work.files.publish(encode_state(state_D[None]))
    return replace(claim, state_root=root, state_cid=digest)


def _merged_without(work: MergeWork, history: BountyHistory, number: int, left_out: int) -> NDArray[np.int32]:
    terms, reveals = history.posted.terms, history.rounds[number].reveals
    checked = check_updates(work.files, terms, reveals, COORDINATES)
    counted = [one.update for one in checked if isinstance(one, VerifiedUpdate) and one.revealed.index != left_out]
    return merge_mean(work.files.state(history.latest_merge(), terms)[0], counted, RATE_UNITS)


def one_unit(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    """Coordinate 6 of the new state is one unit of 2**-22 too large."""
    chunks = history.posted.terms.chunks
    path = work.files.file(claim.state_cid, 10**6)
    state_D = decode_state(path.read_bytes(), chunks)[0].copy()
    state_D[6] += 1
    return _with_state(work, claim, state_D)


def dropped(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    """Update 1 is called accepted, and is not in the sum."""
    return _with_state(work, claim, _merged_without(work, history, number, left_out=1))


def _rejecting(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim, reason: Reason) -> MergeClaim:
    paid, payouts = pay_round(history, number, 0b10)
    state_D = _merged_without(work, history, number, left_out=1)
    assert work._scorer is not None, "the stage's package has a hold-out"
    without = replace(
        _with_state(work, claim, state_D), metric=measured_units(work._scorer.score(state_D), work._manifest)
    )
    root = payout_root(payout_tree(payouts))
    return replace(without, paid=paid, payout_root=root, rejected=0b10, reasons=pack_reasons([GivenReason(reason)]))


def rejected(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    """A good update 1 is rejected; all the rest follows from that."""
    return _rejecting(work, history, number, claim, Reason.WRONG_ROOT)


def called_unavailable(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    return _rejecting(work, history, number, claim, Reason.UNAVAILABLE)


def moved_wei(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    """One wei goes from the first provider to the second."""
    _, ((first, amount), (second, other), *rest) = pay_round(history, number, claim.rejected)
    payouts: Payouts = [(first, Wei(amount - 1)), (second, Wei(other + 1)), *rest]
    return replace(claim, payout_root=payout_root(payout_tree(payouts)))


def underpaid(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    return replace(claim, paid=Wei(claim.paid - 1))


def wrong_state_cid(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    """The root is right, the file is not to be had."""
    return replace(claim, state_cid=Digest(keccak(b"nobody has this")))


def other_state(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    """The root is right, the file is another state's."""
    zeros_PD = np.zeros((1, history.posted.terms.chunks * CHUNK), dtype=np.int32)
    return replace(claim, state_cid=work.files.publish(encode_state(zeros_PD)))


def wrong_report(work: MergeWork, history: BountyHistory, number: int, claim: MergeClaim) -> MergeClaim:
    """Nothing that is paid depends on the report."""
    return replace(claim, report_cid=Digest(keccak(b"nobody has this")))
