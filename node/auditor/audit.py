"""The audit of one bounty from chain and IPFS alone: every root, every merge, every payment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from incentives.settlement import settle
from ledger.cid import to_cid
from ledger.errors import ContentError, ContentUnreachable, ProtocolFault
from ledger.history import BountyHistory, RoundHistory, accepted, build_history
from ledger.keccak import Hash32
from ledger.market import Market
from ledger.proofs import FraudProofs
from ledger.records import BountyId, Merged, Terms
from node.auditor.money import money_differences
from node.auditor.report import AuditReport, Difference, RoundReport, Verdict, verdict_of
from node.auditor.rounds import (
    clip_differences,
    pay_differences,
    rejection_differences,
    state_difference,
    state_file_difference,
)
from node.bounty_files import BountyFiles, planes_of
from node.manifest import Manifest, coordinates
from node.merged_states import MergedState, merge_accepted, needs_seed
from node.round_updates import Checked, check_updates
from node.scoring import Scorer, open_scorer
from node.state_files import state_file_bytes
from node.verification import Rejection, VerifiedUpdate

RoundProgress = Callable[[RoundReport, int], None]
"""Called after each round with its report and the number of rounds there are."""

UNCHECKED = (
    "that providers trained at all, and on what: nothing outside a provider can see it",
    "that an update rejected as unavailable could not be had at the time",
)


class Auditor:
    """Audits one bounty. The state it carries forward is its own, never the recorded one."""

    def __init__(self, market: Market, files: BountyFiles, bounty: BountyId) -> None:
        self._market, self._files, self._bounty = market, files, bounty

    def run(self, progress: RoundProgress = lambda report, rounds: None) -> AuditReport:
        """Recompute everything up to the newest block.

        Raises: ChainError, ContentUnreachable; ContentUnavailable if the manifest or the model can't be had;
                TermsMismatch if chain and manifest contradict each other.
        """
        block = self._market.chain.block()
        history = build_history(self._market.events(self._bounty, last=block.number))
        terms = history.posted.terms
        manifest = self._files.manifest(terms)
        scorer = open_scorer(self._files, manifest)
        settlement = settle(history.events)
        differences = money_differences(history, settlement, self._market.money(self._bounty, at=block))
        state_PD = self._files.state(None, terms)
        start = scorer.score(state_PD[0]) if scorer else {}
        reports: list[RoundReport] = []
        for one in history.rounds.values():
            report, state_PD = self._round(history, one, state_PD, manifest, scorer)
            reports.append(report)
            progress(report, len(history.rounds))
            if report.verdict != Verdict.OK:
                break
        missing = [cid for report in reports for cid in report.missing]
        found = [*differences, *(one for report in reports for one in report.differences)]
        return AuditReport(
            bounty=self._bounty,
            verdict=verdict_of(found, missing),
            metrics_start=start,
            rounds=tuple(reports),
            money=settlement.figures(),
            differences=tuple(differences),
            unchecked=UNCHECKED if scorer else (*UNCHECKED, "how good the model is: no hold-out was published"),
        )

    def _round(
        self,
        history: BountyHistory,
        one: RoundHistory,
        before_PD: NDArray[np.int32],
        manifest: Manifest,
        scorer: Scorer | None,
    ) -> tuple[RoundReport, NDArray[np.int32]]:
        checked = check_updates(self._files, history.posted.terms, one.reveals, coordinates(manifest))
        report = _basic_report(one, checked, history.posted.terms)
        merged = one.merged
        if merged is None:
            return report, before_PD
        counted = [update for update in checked if not merged.claim.rejected >> update.revealed.index & 1]
        missing = [to_cid(update.revealed.cid) for update in counted if _is_missing(update)]
        differences = [
            *rejection_differences(merged, [update for update in checked if not _is_missing(update)]),
            *pay_differences(history, one),
        ]
        verified = [update for update in counted if isinstance(update, VerifiedUpdate)]
        metrics: dict[str, float] = {}
        is_drawn = needs_seed(history.posted.terms)
        seed = self._seed(one.number) if is_drawn else None
        if is_drawn and seed is None:
            differences.append(Difference(one.number, "order of the updates", "merged", "a drawn seed"))
        elif len(verified) == len(counted):
            ours = merge_accepted(history.posted.terms, before_PD, [update.update for update in verified], seed)
            if ours.root == merged.claim.state_root:
                differences += [*state_file_difference(merged, ours), *clip_differences(merged, ours)]
            else:
                differences.append(self._state_difference(merged, ours, history, manifest))
            metrics = scorer.score(ours.planes_PD[0]) if scorer else {}
            before_PD = ours.planes_PD
        verdict = verdict_of(differences, missing)
        report = replace(
            report, verdict=verdict, metrics=metrics, differences=tuple(differences), missing=tuple(missing)
        )
        return report, before_PD

    def _seed(self, number: int) -> Hash32 | None:
        judge, _ = self._market.judges()
        return FraudProofs(self._market.chain, judge).seed(self._bounty, number)

    def _state_difference(
        self, merged: Merged, ours: MergedState, history: BountyHistory, manifest: Manifest
    ) -> Difference:
        try:
            published_PD: NDArray[np.int32] | None = self._files.state(merged, history.posted.terms)
        except ContentUnreachable:
            raise
        except (ContentError, ProtocolFault):
            published_PD = None
        return state_difference(merged, ours, published_PD, manifest)


def _is_missing(update: Checked) -> bool:
    return isinstance(update, Rejection) and update.reason.label == "unavailable"


def _basic_report(one: RoundHistory, checked: list[Checked], terms: Terms) -> RoundReport:
    """A round's figures, before anything is compared."""
    merged = one.merged
    kept = len(accepted(merged, one.reveals)) if merged else 0
    sizes = [update.file_bytes for update in checked if isinstance(update, VerifiedUpdate)]
    state_bytes = state_file_bytes(terms.chunks, planes_of(terms)) if merged else 0
    return RoundReport(
        round=one.number,
        verdict=Verdict.OK,
        state=one.state,
        revealed=len(one.reveals),
        accepted=kept,
        rejected=merged.reveals - kept if merged else 0,
        paid=merged.claim.paid if merged else 0,
        bytes=sum(sizes) + state_bytes,
        metrics={},
    )
