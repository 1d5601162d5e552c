"""One round's merge, from revealed records to what is posted: fetch, verify, merge, measure, publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
import structlog

from incentives.payouts import cumulative_payouts, merge_pay
from ledger.commitments import payout_tree, state_tree
from ledger.errors import ContentError
from ledger.history import BountyHistory
from ledger.records import MergeClaim, Reason, Revealed, Terms
from node.bounty_files import BountyFiles
from node.evaluation import Evaluator
from node.manifest import Manifest
from node.merging import merge_mean
from node.state_files import encode_state
from node.verification import Rejection, VerifiedUpdate, check_update

log = structlog.get_logger()


@dataclass(frozen=True)
class MadeMerge:
    """A merge ready to be posted.

    rejections: reveal index and reason of each update left out.
    metrics:    what the new model does on the hold-out; empty without one.
    """

    claim: MergeClaim
    rejections: list[tuple[int, Reason]]
    metrics: dict[str, float]


class MergeWork:
    """Merges rounds of one bounty. Without an evaluator the report carries no metrics."""

    def __init__(self, files: BountyFiles, terms: Terms, manifest: Manifest, evaluator: Evaluator | None) -> None:
        self.files = files
        self._terms = terms
        self._manifest = manifest
        self._evaluator = evaluator

    def prefetch(self, reveals: Sequence[Revealed]) -> None:
        """Bring what can be had already; what can't is tried again at the merge."""
        for revealed in reveals:
            try:
                self.files.update(revealed, self._terms)
            except ContentError as error:
                log.info("not_yet", index=revealed.index, error=str(error))
