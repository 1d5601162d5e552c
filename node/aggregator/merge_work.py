"""One round's merge, from revealed records to what is posted: fetch, verify, merge, measure, publish."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import orjson
import structlog

from incentives.payouts import pay_round
from ledger.commitments import payout_tree, state_tree
from ledger.errors import ContentError
from ledger.history import BountyHistory
from ledger.records import MergeClaim, Reason, Revealed, Terms
from node.bounty_files import BountyFiles
from node.manifest import Manifest, coordinates
from node.merging import merge_mean
from node.round_updates import FETCHES_AT_ONCE, check_updates
from node.scoring import Scorer
from node.state_files import encode_state
from node.verification import Rejection, VerifiedUpdate

log = structlog.get_logger()


@dataclass(frozen=True)
class MadeMerge:
    """A merge ready to be posted.

    rejections: what was left out, by reveal index.
    metrics:    what the new model does on the hold-out; empty without one.
    """

    claim: MergeClaim
    rejections: dict[int, Rejection]
    metrics: dict[str, float]


class MergeWork:
    """Merges rounds of one bounty. Without a scorer the report carries no metrics."""

    def __init__(self, files: BountyFiles, terms: Terms, manifest: Manifest, scorer: Scorer | None) -> None:
        self.files = files
        self._terms = terms
        self._manifest = manifest
        self._scorer = scorer

    def prefetch(self, reveals: Sequence[Revealed]) -> None:
        """Bring what can be had already, side by side; what can't is tried again at the merge."""
        with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
            list(pool.map(self._bring, reveals))

    def _bring(self, revealed: Revealed) -> None:
        try:
            self.files.update(revealed, self._terms)
        except ContentError as error:
            log.info("not_yet", index=revealed.index, error=str(error))

    def merge(self, history: BountyHistory, number: int) -> MadeMerge:
        """Verify and merge a round; the new state and the report are pinned when this returns."""
        reveals = history.rounds[number].reveals
        verified, rejections = self._verify(reveals)
        state_D = self.files.state(history.latest_merge(before_round=number), self._terms)
        merged_D = merge_mean(state_D, [one.update for one in verified], self._manifest.merge.rate_units)
        metrics = self._scorer.score(merged_D) if self._scorer else {}
        rejected = sum(1 << index for index in rejections)
        paid, payouts = pay_round(history, number, rejected)
        claim = MergeClaim(
            state_root=state_tree(merged_D[None]).root,
            state_cid=self.files.publish(encode_state(merged_D[None])),
            report_cid=self.files.publish(self._report(history, number, rejections, metrics)),
            payout_root=payout_tree(payouts).root,
            paid=paid,
            rejected=rejected,
            reasons=bytes(rejections[index].reason for index in sorted(rejections)),
        )
        return MadeMerge(claim, rejections, metrics)

    def _verify(self, reveals: Sequence[Revealed]) -> tuple[list[VerifiedUpdate], dict[int, Rejection]]:
        verified: list[VerifiedUpdate] = []
        rejections: dict[int, Rejection] = {}
        for one in check_updates(self.files, self._terms, reveals, coordinates(self._manifest)):
            if isinstance(one, Rejection):
                rejections[one.revealed.index] = one
                log.warning("rejected", index=one.revealed.index, reason=one.reason.label, detail=one.detail)
            else:
                verified.append(one)
                self.files.store.pin(one.revealed.cid)
        return verified, rejections

    def _report(
        self, history: BountyHistory, number: int, rejections: dict[int, Rejection], metrics: dict[str, float]
    ) -> bytes:
        reveals = history.rounds[number].reveals
        document = {
            "format": 1,
            "bounty": history.bounty,
            "round": number,
            "metrics": {name: value for name, value in metrics.items() if math.isfinite(value)},
            "rejections": [
                {
                    "index": index,
                    "provider": reveals[index].provider,
                    "reason": Reason(rejection.reason).label,
                    "detail": rejection.detail,
                }
                for index, rejection in sorted(rejections.items())
            ],
        }
        return orjson.dumps(document)
