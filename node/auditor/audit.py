"""The audit of one bounty from chain and files alone: every root, every merge, every payment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ledger.chain import Block
from ledger.history import BountyHistory, build_history
from ledger.keccak import Hash32
from ledger.market import Market, UnknownBounty
from ledger.proofs import FraudProofs
from ledger.records import BountyId
from node.auditor.masked import MaskedJudge
from node.auditor.money import check_money, replay
from node.auditor.privacy import check_privacy
from node.auditor.recompute import Recomputation, Start
from node.auditor.report import AuditReport, RoundReport, Unchecked, verdict_of
from node.auditor.scoring import check_scoring
from node.auditor.sources import ChainEvents, EventSource, read_events
from node.bounty_files import Artefacts
from node.hashing_processes import open_processes
from node.manifest import Manifest, coordinates, privacy
from node.merged_states import needs_seed
from node.round_updates import open_checks
from node.score_work import ScoreWork, open_score_work
from node.scored_rounds import scores_of
from node.scoring import open_scorer

Progress = Callable[[int, int], None]
"""Called with the number of updates that were verified, and of those that there are; from several threads."""


@dataclass(frozen=True)
class Audited:
    """A report, with what it is about."""

    report: AuditReport
    history: BountyHistory
    manifest: Manifest
    block: Block


class Auditor:
    """Audits one bounty.

    files:  where its artefacts are read.
    source: where its events are read; the chain itself by default.
    validation: the data on which a panel measured contributions; without it its reports are not measured again.
    """

    def __init__(
        self,
        market: Market,
        files: Artefacts,
        bounty: BountyId,
        source: EventSource | None = None,
        validation: Path | None = None,
    ) -> None:
        self._market, self._files, self._bounty = market, files, bounty
        self._source: EventSource = source or ChainEvents(market)
        self._validation = validation

    def run(self, progress: Progress = lambda done, updates: None) -> AuditReport:
        """Recompute everything up to the newest block; see `audit`."""
        return self.audit(self._market.chain.block(), progress).report

    def audit(self, block: Block, progress: Progress = lambda done, updates: None) -> Audited:
        """Recompute everything up to `block`.

        Raises: ChainError, ContentUnreachable; ContentUnavailable if the manifest or the model can't be had;
                TermsMismatch if chain and manifest contradict each other; UnknownBounty.
        """
        told = read_events(self._source, block)
        own = [event for event in told.events if event.bounty == self._bounty]
        if not own:
            raise UnknownBounty(self._bounty, self._market.address)
        history = build_history(own)
        money = check_money(self._market, history, replay(self._bounty, told.events), block)
        manifest = self._files.manifest(history.posted.terms)
        scorer = open_scorer(self._files, manifest)
        again = Recomputation(
            self._files,
            history,
            manifest,
            scorer,
            self._seed,
            masked_judge(self._market, self._files, history, manifest),
        )
        start = again.first()
        metrics = scorer.score(start.planes_PD[0]) if scorer and start.planes_PD is not None else {}
        rounds = self._rounds(history, again, start, coordinates(manifest), progress)
        missing = [cid for one in rounds for cid in one.missing]
        spent, misreported = check_privacy(self._files, history, manifest)
        scoring = check_scoring(self._market, history, told, self._score_work(history), self._seed)
        general = (*money.differences, *misreported, *scoring.differences)
        found = [*general, *(difference for one in rounds for difference in one.differences)]
        report = AuditReport(
            bounty=self._bounty,
            block=block.number,
            block_hash="0x" + block.hash.hex(),
            verdict=verdict_of(found, missing),
            metrics_start=metrics,
            rounds=tuple(rounds),
            money=money.books.figures,
            books=money.books,
            differences=general,
            unchecked=(*unchecked(history, manifest), *money.unchecked, *scoring.unchecked),
            privacy=tuple(spent),
            scoring=scoring.rounds,
        )
        return Audited(report, history, manifest, block)

    def _score_work(self, history: BountyHistory) -> ScoreWork | None:
        """What measures contributions again, where that is asked for.

        Raises: OtherValidation.
        """
        scores, terms = scores_of(self._market, history.posted.terms), history.posted.terms
        panel = scores.panel(self._bounty) if scores and self._validation else None
        if panel is None or self._validation is None:
            return None
        return open_score_work(self._files, terms, self._validation, panel.validation)

    def _rounds(
        self, history: BountyHistory, again: Recomputation, start: Start, coordinates: int, progress: Progress
    ) -> list[RoundReport]:
        """Recompute the rounds in order, while the updates of later ones are being verified."""
        rounds, terms = list(history.rounds.values()), history.posted.terms
        updates = sum(len(one.reveals) for one in rounds)
        counted = count(1)
        reports = []
        with (
            open_processes(updates * terms.chunks) as workers,
            open_checks(self._files, terms, coordinates, workers) as checks,
        ):
            told = lambda: progress(next(counted), updates)  # noqa: E731
            verified = checks.in_order((one.reveals for one in rounds), told)
            for one, checked in zip(rounds, verified, strict=True):
                report, start = again.round(one, checked, start)
                reports.append(report)
        return reports

    def _seed(self, number: int) -> Hash32 | None:
        judge, _ = self._market.judges()
        return FraudProofs(self._market.chain, judge).seed(self._bounty, number)


def masked_judge(market: Market, files: Artefacts, history: BountyHistory, manifest: Manifest) -> MaskedJudge | None:
    """What judges masked merges; None for a bounty that is not masked."""
    if manifest.masking is None:
        return None
    chain = market.chain
    place = (chain.chain_id, market.address)
    return MaskedJudge(files, history, manifest, place, lambda block: chain.block(block).hash)


def unchecked(history: BountyHistory, manifest: Manifest) -> list[Unchecked]:
    """What no audit of this bounty can see."""
    found = [
        Unchecked(
            "that providers trained at all, and on what: nothing outside a provider can see it",
            "each provider, as far as the merge rule lets one of them move the model",
        ),
        Unchecked("that an update rejected as unavailable could not be had at the time", "whoever merged the round"),
        Unchecked("what merge reports say beyond the chain's record, such as accuracies", "whoever merged the round"),
        Unchecked("that the chain is as its endpoint tells it", "the endpoint, unless the node is your own"),
    ]
    if manifest.holdout is not None:
        what = "that the hold-out stands for the task; its scores are float sums, measured here and recorded nowhere"
        found.append(Unchecked(what, "the owner, who chose the hold-out"))
    else:
        found.append(Unchecked("how good the model is: no hold-out was published", "the owner and whoever merged"))
    if manifest.screening is not None and manifest.screening.harm is not None:
        what = "that an update left out as harmful was: what it did to the loss is floating point"
        found.append(Unchecked(what, "whoever merged the round"))
    if manifest.masking is not None:
        what = "what single masked updates hold: only sums of groups can be seen, and only they are bounded"
        found.append(Unchecked(what, "each provider, as far as the merge rule lets one group move the model"))
        what = "that the shares of a group that was left out as unmaskable could not be had at the time"
        found.append(Unchecked(what, "whoever merged the round"))
    if privacy(manifest).has_noise:
        what = "that providers added the noise that the manifest asks for"
        found.append(Unchecked(what, "each provider with its own data, and with its part of what hides in sums"))
    if needs_seed(history.posted.terms):
        what = "that nobody steered the drawn order of the updates"
        found.append(Unchecked(what, "whoever proposed the block that it was drawn from"))
    return found
