"""One round's merge, from revealed records to what is posted: fetch, verify, merge, measure, publish."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from time import monotonic

import numpy as np
import orjson
import structlog
from numpy.typing import NDArray

from incentives.payouts import Payouts, pay_round
from ledger.cid import Digest
from ledger.commitments import payout_root, payout_tree
from ledger.errors import ContentError
from ledger.history import BountyHistory
from ledger.keccak import ZERO_HASH, Hash32
from ledger.merge_records import Reason, pack_reasons
from ledger.notices import Observer, ignore
from ledger.records import MergeClaim, PrivacyMode, Revealed, Terms
from node.aggregator.harm import harmful
from node.aggregator.unmasking import Unmasking
from node.bounty_files import BountyFiles
from node.clip_files import encode_clip
from node.hashing_processes import open_processes
from node.manifest import Manifest, coordinates
from node.merged_states import MergedState, merge_accepted
from node.notices import UpdatesVerified
from node.privacy.record import spent_in_round
from node.robustness import shortfall
from node.round_updates import UPDATES_AT_ONCE, check_updates
from node.scoring import Scorer
from node.screening import background, compared_with, screen
from node.state_files import encode_state
from node.targets import measured_units
from node.verification import Rejection, VerifiedUpdate

log = structlog.get_logger()

MOST_LISTED = 4096
"""Payouts that a report lists at most, so that it stays within its size; the leaves of a longer tree are demanded."""


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
    """Merges rounds of one bounty. Without a scorer the report carries no metrics.

    unmasking: for a bounty in masked mode.
    """

    def __init__(
        self,
        files: BountyFiles,
        terms: Terms,
        manifest: Manifest,
        scorer: Scorer | None,
        tell: Observer = ignore,
        unmasking: Unmasking | None = None,
    ) -> None:
        assert (unmasking is not None) == (terms.privacy == PrivacyMode.MASKED), "masked rounds have to be unmasked"
        self.files = files
        self._unmasking = unmasking
        self._terms = terms
        self._manifest = manifest
        self._scorer = scorer
        self._tell = tell

    def prefetch(self, reveals: Sequence[Revealed]) -> None:
        """Bring what can be had already, side by side; what can't is tried again at the merge."""
        with ThreadPoolExecutor(UPDATES_AT_ONCE) as pool:
            list(pool.map(self._bring, reveals))

    def _bring(self, revealed: Revealed) -> None:
        try:
            self.files.update(revealed, self._terms)
        except ContentError as error:
            log.info("not_yet", index=revealed.index, error=str(error))

    def merge(self, history: BountyHistory, number: int, seed: Hash32 | None = None) -> MadeMerge:
        """Verify and merge a round; the new state and the report are pinned when this returns.

        seed:   of the round, where the rule draws an order.
        Raises: NoSeed if it was not drawn.
        """
        before_PD = self.files.state(history.latest_merge(before_round=number), self._terms)
        merged, rejections, bound = self._merged(history, number, before_PD, seed)
        metrics = self._scorer.score(merged.planes_PD[0]) if self._scorer else {}
        rejected = sum(1 << index for index in rejections)
        paid, payouts = pay_round(history, number, rejected)
        scales_hash, distances_hash, clip_cid = bound
        claim = MergeClaim(
            state_root=merged.root,
            state_cid=self.files.publish(encode_state(merged.planes_PD)),
            report_cid=self.files.publish(self._report(history, number, rejections, metrics, payouts)),
            payout_root=payout_root(payout_tree(payouts)),
            paid=paid,
            payout_leaves=len(payouts),
            metric=measured_units(metrics, self._manifest),
            rejected=rejected,
            reasons=pack_reasons([rejections[index].given for index in sorted(rejections)]),
            scales_hash=scales_hash,
            distances_hash=distances_hash,
            clip_cid=clip_cid,
        )
        return MadeMerge(claim, rejections, metrics)

    def _merged(
        self, history: BountyHistory, number: int, before_PD: NDArray[np.int32], seed: Hash32 | None
    ) -> tuple[MergedState, dict[int, Rejection], tuple[Hash32, Hash32, Digest]]:
        """The new state, what was left out, and what the merge binds: scales and distances, or the mask table."""
        if self._unmasking is not None:
            started = monotonic()
            made = self._unmasking.merge(history, number, before_PD)
            self._say(history, number, made.rejections, monotonic() - started)
            self._warn(history, number, made.groups)
            return made.merged, made.rejections, (made.table_hash, ZERO_HASH, made.table_cid)
        verified, rejections = self._verify(history, number, before_PD, seed)
        self._warn(history, number, len(verified))
        merged = merge_accepted(self._terms, before_PD, [one.update for one in verified], seed)
        return merged, rejections, (*merged.clip_hashes, self._publish_clip(merged))

    def gather(self, history: BountyHistory, number: int) -> None:
        """Bring what a masked round is unmasked with, as far as it is there."""
        if self._unmasking is not None:
            self._unmasking.gather(history, number)

    def is_complete(self, number: int) -> bool:
        """Whether waiting for more would be of no use."""
        return self._unmasking is None or self._unmasking.is_complete(number)

    def _publish_clip(self, merged: MergedState) -> Digest:
        return self.files.publish(encode_clip(merged.clipping)) if merged.clipping else Digest(ZERO_HASH)

    def _verify(
        self, history: BountyHistory, number: int, before_PD: NDArray[np.int32], seed: Hash32 | None
    ) -> tuple[list[VerifiedUpdate], dict[int, Rejection]]:
        reveals, started = history.rounds[number].reveals, monotonic()
        with open_processes(len(reveals) * self._terms.chunks) as workers:
            checked = check_updates(self.files, self._terms, reveals, coordinates(self._manifest), workers=workers)
        sound = [one for one in checked if isinstance(one, VerifiedUpdate)]
        rejections = {one.revealed.index: one for one in checked if isinstance(one, Rejection)}
        rejections |= {one.revealed.index: one for one in self._screened(history, number, sound)}
        rest = [one for one in sound if one.revealed.index not in rejections]
        rejections |= {one.revealed.index: one for one in self._harmful(before_PD, rest, seed)}
        verified = [one for one in sound if one.revealed.index not in rejections]
        for update in sound:
            self.files.store.pin(update.revealed.cid)
        self._say(history, number, rejections, monotonic() - started)
        return verified, rejections

    def _say(self, history: BountyHistory, number: int, rejections: Mapping[int, Rejection], seconds: float) -> None:
        """What became of a round's updates, for logs and metrics."""
        for index, one in sorted(rejections.items()):
            where = {"bounty": history.bounty, "round": number, "index": index}
            log.warning("rejected", reason=one.reason.label, detail=one.detail, **where)
        reasons = Counter(one.reason.label for one in rejections.values())
        counted = len(history.rounds[number].reveals) - len(rejections)
        self._tell(UpdatesVerified(history.bounty, number, counted, reasons, seconds))

    def _warn(self, history: BountyHistory, number: int, counted: int) -> None:
        """Say it where too few are counted for what the rule is to withstand. counted: updates, or masked groups."""
        short = shortfall(self._terms, counted)
        if short:
            log.warning("less_robust_than_promised", bounty=history.bounty, round=number, why=short)

    def _screened(self, history: BountyHistory, number: int, sound: list[VerifiedUpdate]) -> list[Rejection]:
        """What is copied, replayed or nothing, if the manifest asks for it."""
        section = self._manifest.screening
        if section is None:
            return []
        before = check_updates(self.files, self._terms, compared_with(history, number), coordinates(self._manifest))
        kept = [one for one in before if isinstance(one, VerifiedUpdate)]
        return screen(section, self._manifest.update.bits, sound, background(history, number, kept))

    def _harmful(
        self, before_PD: NDArray[np.int32], updates: list[VerifiedUpdate], seed: Hash32 | None
    ) -> list[Rejection]:
        section, scorer = self._manifest.screening, self._scorer
        if section is None or section.harm is None or scorer is None:
            return []
        return harmful(
            self._terms, before_PD, updates, seed, lambda state_D: scorer.score(state_D)["loss"], section.harm
        )

    def _report(
        self,
        history: BountyHistory,
        number: int,
        rejections: dict[int, Rejection],
        metrics: dict[str, float],
        payouts: Payouts,
    ) -> bytes:
        reveals = history.rounds[number].reveals
        document = {
            "format": 1,
            "bounty": history.bounty,
            "round": number,
            "metrics": {name: value for name, value in metrics.items() if math.isfinite(value)},
            "payouts": [str(amount) for _, amount in payouts[:MOST_LISTED]],
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
        privacy = spent_in_round(history, self._manifest, number)
        return orjson.dumps(document | ({"privacy": [asdict(one) for one in privacy]} if privacy else {}))
