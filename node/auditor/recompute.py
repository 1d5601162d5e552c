"""One round after the other, recomputed from bytes: what each recorded, and what follows.

Where a merge can't be repeated, because it is wrong or because bytes are missing, the next round is recomputed from the
published state instead, if that has the recorded root: a later round is judged by what it does itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ledger.cid import to_cid
from ledger.errors import ContentError, ContentUnreachable, ProtocolFault
from ledger.history import BountyHistory, RoundHistory, accepted
from ledger.keccak import Hash32
from ledger.merge_records import Reason
from ledger.records import Merged, Terms
from node.auditor.masked import MaskedJudge
from node.auditor.rejections import given_reasons, rejection_differences, screened
from node.auditor.report import Basis, Difference, RoundReport, Verdict, verdict_of
from node.auditor.rounds import (
    clip_differences,
    metric_difference,
    pay_differences,
    state_difference,
    state_file_difference,
)
from node.bounty_files import Artefacts, planes_of
from node.manifest import Manifest
from node.masked_updates import VerifiedMasked
from node.merged_states import MergedState, merge_accepted, needs_seed
from node.robustness import shortfall
from node.round_updates import Checked
from node.scoring import Scorer
from node.state_files import state_file_bytes
from node.verification import Rejection, VerifiedUpdate

SeedSource = Callable[[int], Hash32 | None]
"""The seed that was drawn for a round; None if none was."""


@dataclass(frozen=True)
class Start:
    """The state that a round starts from; cid: of its file, where it could not be had.

    Shapes: planes_PD (planes, chunks * CHUNK) int32.
    """

    planes_PD: NDArray[np.int32] | None  # noqa: N815 - shape suffix
    basis: Basis = Basis.RECOMPUTED
    cid: str = ""


@dataclass(frozen=True)
class _Outcome:
    """What became of a merge's state."""

    end: Start
    differences: tuple[Difference, ...] = ()
    missing: tuple[str, ...] = ()
    measured_PD: NDArray[np.int32] | None = None  # noqa: N815 - shape suffix


class Recomputation:
    """Recomputes the rounds of one bounty."""

    def __init__(
        self,
        files: Artefacts,
        history: BountyHistory,
        manifest: Manifest,
        scorer: Scorer | None,
        seed: SeedSource,
        masks: MaskedJudge | None = None,
    ) -> None:
        """masks: for a bounty in masked mode."""
        self._files, self._history, self._manifest = files, history, manifest
        self._scorer, self._seed, self._masks = scorer, seed, masks
        self._terms = history.posted.terms
        self._counted: list[VerifiedUpdate] = []
        self._is_whole = True

    def first(self) -> Start:
        return Start(self._files.state(None, self._terms))

    def round(self, one: RoundHistory, checked: Sequence[Checked], start: Start) -> tuple[RoundReport, Start]:
        """Recompute a round from its verified updates and the state before; its report and the state after.

        Raises: ContentUnreachable.
        """
        report = _figures(one, checked, self._terms)
        merged = one.merged
        if merged is None:
            return report, start
        rejected = self._rejections(merged, checked)
        self._note(merged, checked)
        outcome = self._state(merged, checked, start)
        measured = outcome.measured_PD
        metrics = self._scorer.score(measured[0]) if self._scorer and measured is not None else {}
        differences = (
            *rejected,
            *pay_differences(self._history, one),
            *outcome.differences,
            *metric_difference(merged, metrics, self._manifest),
        )
        return replace(
            report,
            verdict=verdict_of(differences, outcome.missing),
            metrics=metrics,
            basis=start.basis,
            differences=differences,
            missing=outcome.missing,
            notes=tuple(self._notes(merged, report.accepted)),
        ), outcome.end

    def _notes(self, merged: Merged, accepted: int) -> list[str]:
        """Whether the merge counts fewer than its rule's promise takes."""
        short = shortfall(self._terms, self._masks.groups(merged) if self._masks else accepted)
        return [short] if short else []

    def _rejections(self, merged: Merged, checked: Sequence[Checked]) -> list[Difference]:
        """What the merge left out or counted against the rules, as far as the updates are at hand."""
        if self._masks is not None:
            return self._masks.rejections(merged, checked)
        at_hand = [update for update in checked if not _is_missing(update)]
        judged = screened(self._history, merged, self._manifest, at_hand, self._counted)
        section = self._manifest.screening
        harm = section is not None and section.harm is not None
        whole = self._is_whole and all(not _is_missing(update) for update in _not_unavailable(merged, checked))
        return rejection_differences(merged, judged, harm=harm, whole=whole)

    def _note(self, merged: Merged, checked: Sequence[Checked]) -> None:
        """Keep what the merge counts: the next round's updates are held against it."""
        counted = [update for update in checked if not merged.claim.rejected >> update.revealed.index & 1]
        verified = [update for update in counted if isinstance(update, VerifiedUpdate)]
        self._counted = verified if self._manifest.screening else []  # each keeps a file open
        self._is_whole = len(verified) == len(counted)

    def _state(self, merged: Merged, checked: Sequence[Checked], start: Start) -> _Outcome:
        """Repeat the merge, if all that it counts is at hand, and compare."""
        counted = [update for update in checked if not merged.claim.rejected >> update.revealed.index & 1]
        missing = tuple(to_cid(update.revealed.cid) for update in counted if _is_missing(update))
        if start.planes_PD is None:
            missing = (start.cid, *missing)
        if self._masks is not None:
            return self._masked_state(self._masks, merged, counted, (start.planes_PD, missing))
        verified = [update.update for update in counted if isinstance(update, VerifiedUpdate)]
        seed = self._seed(merged.round) if needs_seed(self._terms) else None
        if needs_seed(self._terms) and seed is None:
            undrawn = Difference(merged.round, "order of the updates", "merged", "a drawn seed")
            return self._without_own(merged, (undrawn,), missing)
        if start.planes_PD is None or len(verified) < len(counted):
            return self._without_own(merged, (), missing)
        ours = merge_accepted(self._terms, start.planes_PD, verified, seed)
        return self._compared(merged, ours, clip_differences(merged, ours))

    def _masked_state(
        self,
        masks: MaskedJudge,
        merged: Merged,
        counted: Sequence[Checked],
        at_hand: tuple[NDArray[np.int32] | None, tuple[str, ...]],
    ) -> _Outcome:
        """As `_state`, for sums of groups. at_hand: the state before, and what can't be had."""
        before_PD, missing = at_hand
        verified = [update for update in counted if isinstance(update, VerifiedMasked)]
        if before_PD is None or len(verified) < len(counted):
            return self._without_own(merged, (), missing)
        again = masks.merge(merged, verified, before_PD)
        if again.merged is None:
            return self._without_own(merged, again.differences, again.missing)
        return self._compared(merged, again.merged, again.differences)

    def _compared(self, merged: Merged, ours: MergedState, found: Sequence[Difference]) -> _Outcome:
        """The recorded state held against the own one. found: what differs besides."""
        if ours.root != merged.claim.state_root:
            published = self._published(merged)
            wrong = state_difference(merged, ours, published.planes_PD, self._manifest)
            return _Outcome(published, (wrong, *found), (), ours.planes_PD)
        found = (*state_file_difference(merged, ours), *found)
        return _Outcome(Start(ours.planes_PD), found, (), ours.planes_PD)

    def _without_own(self, merged: Merged, found: tuple[Difference, ...], missing: tuple[str, ...]) -> _Outcome:
        published = self._published(merged)
        return _Outcome(published, found, missing, published.planes_PD)

    def _published(self, merged: Merged) -> Start:
        """The state of the merge's file, if that has the recorded root."""
        try:
            return Start(self._files.state(merged, self._terms), Basis.PUBLISHED)
        except ContentUnreachable:
            raise
        except (ContentError, ProtocolFault):
            return Start(None, Basis.MISSING, to_cid(merged.claim.state_cid))


def _not_unavailable(merged: Merged, checked: Sequence[Checked]) -> list[Checked]:
    """The updates that whoever merged had."""
    reasons = given_reasons(merged)
    codes = {index: given.code for index, given in reasons.items()}
    return [update for update in checked if codes.get(update.revealed.index) != Reason.UNAVAILABLE]


def _is_missing(update: Checked) -> bool:
    return isinstance(update, Rejection) and update.reason.label == "unavailable"


def _figures(one: RoundHistory, checked: Sequence[Checked], terms: Terms) -> RoundReport:
    """A round's figures, before anything is compared."""
    merged = one.merged
    kept = len(accepted(merged, one.reveals)) if merged else 0
    sizes = [update.file_bytes for update in checked if isinstance(update, VerifiedUpdate | VerifiedMasked)]
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
