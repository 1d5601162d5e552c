"""What pages read: the mirror for what was, the chain itself for what is now, IPFS for what was published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import BoundedSemaphore

from ledger.chain import Block
from ledger.errors import BadInput, ChainError, ContentError, FedbountyError
from ledger.evaluation_history import EvaluationHistory, build_evaluation
from ledger.evaluation_records import EvaluationEvent
from ledger.evaluations import EvaluationMarket
from ledger.history import BountyHistory, build_history
from ledger.market import Market
from ledger.mirror import GasUse, Mirror, MirroredTransaction, SearchHit
from ledger.records import Address, BountyId, Clock, Event, Joined, Merged, Revealed, Terms, Timestamp
from ledger.score_history import ScoreHistory, build_scores
from ledger.score_records import ScoreClock, ScoreEvent
from ledger.scores import Scores
from node.bounty_files import BountyFiles
from node.explorer.masked_groups import groups_in
from node.explorer.payout_check import LiveMerge
from node.explorer.reports import Report
from node.explorer.scoring import Scoring, Told, pays_by_contribution, scoring_of
from node.explorer.shelf import Missing, Shelf
from node.explorer.update_check import MOST_CHUNKS, FetchedFile, LiveReveal
from node.manifest import Manifest
from node.masked_rounds import opening_block

NO_ANSWER = "the chain does not answer now."

MOST_CHECKS = 2
"""Verifications at once."""


class NotFound(BadInput):
    """There is no such thing in the record; a page of its own says so."""


class NotRead(FedbountyError):
    """It is on the chain, and not in the mirror yet."""

    retryable = True

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} is not in the mirror yet.")


class Busy(FedbountyError):
    retryable = True

    def __init__(self) -> None:
        super().__init__("Other verifications are running. Try again in a moment.")


@dataclass(frozen=True)
class LiveClock:
    """A bounty's clock, with the block that it was read at."""

    clock: Clock
    block: Block


class Record:
    """Reads of one market. Safe to use from several threads."""

    def __init__(
        self,
        market: Market,
        mirror: Mirror,
        files: BountyFiles,
        shelf: Shelf,
        evaluations: EvaluationMarket | None = None,
        scores: Scores | None = None,
    ) -> None:
        """evaluations: the market for them, if the settings name one; the mirror then follows it too.

        scores: the contract that divides by contribution, which the mirror follows.
        """
        self.market, self.mirror, self.shelf = market, mirror, shelf
        self._evaluation_market = evaluations
        self._evaluations: dict[int, EvaluationHistory] | None = None
        self._scores = scores
        self._scored: dict[BountyId, ScoreHistory] = {}
        self._files = files
        self._histories: dict[BountyId, BountyHistory] = {}
        self._checks = BoundedSemaphore(MOST_CHECKS)

    def forget(self) -> None:
        """The mirror has changed: read histories anew."""
        self._histories, self._scored = {}, {}
        self._evaluations = None

    @property
    def now(self) -> Timestamp:
        """The time of the last mirrored block."""
        head = self.mirror.head()
        return head.timestamp if head else Timestamp(0)

    def history(self, bounty: int) -> BountyHistory:
        """Raises: NotFound, NotRead; ProtocolFault where the events make no sense."""
        histories, number = self._histories, BountyId(bounty)
        if number not in histories:
            events = self.mirror.events(number) if 0 < bounty < 2**64 else []
            if not events:
                raise self._absent("bounty", bounty, self.market.bounty_count)
            histories[number] = build_history(events)
        return histories[number]

    def scoring(self, history: BountyHistory) -> Scoring | None:
        """How a bounty is divided by contribution; None where pay is by another rule.

        Raises: ProtocolFault where the events make no sense.
        """
        scores, known, number = self._scores, self._scored, history.bounty
        if scores is None or not pays_by_contribution(history.posted.terms):
            return None
        if number not in known:
            known[number] = build_scores(scores.read(self.mirror.logs(scores.address, subject=number)))
        return scoring_of(history, Told(known[number], self.now, self.mirror.block_time))

    def groups(self, history: BountyHistory, number: int) -> Mapping[Address, int]:
        """The group of each provider in a masked round; none where it is not masked or its manifest is not at hand."""
        manifest, opened = self.manifest(history), opening_block(history, number)
        if not isinstance(manifest, Manifest) or manifest.masking is None or opened is None:
            return {}
        place = (self.market.chain.chain_id, self.market.address)
        return groups_in(history, number, place, self.mirror.block(opened).hash, manifest.masking)

    def histories(self) -> list[BountyHistory]:
        return [self.history(number) for number in self.mirror.bounties()]

    def round_of(self, bounty: int, number: int) -> tuple[BountyHistory, Merged | None]:
        """A bounty with one of its rounds' standing merge.

        Raises: NotFound.
        """
        history = self.history(bounty)
        if number not in history.rounds:
            raise NotFound(f"Bounty {bounty} has no round {str(number)[:24]} up to block {self._last}.")
        return history, history.rounds[number].merged

    def name(self, history: BountyHistory) -> str:
        """By the manifest; empty while that is not at hand."""
        manifest = self.manifest(history)
        return manifest.name if isinstance(manifest, Manifest) else ""

    def manifest(self, history: BountyHistory) -> Manifest | Missing:
        for member in history.members:
            if isinstance(member, Joined) and member.multiaddr:
                self.shelf.meet(member.multiaddr)
        return self.shelf.manifest(history.bounty, history.posted.terms)

    def report(self, bounty: BountyId, merged: Merged | None) -> Report | Missing | None:
        return self.shelf.report(bounty, merged) if merged is not None else None

    def clock(self, bounty: BountyId) -> LiveClock | None:
        """Where a bounty stands now; None if the chain does not answer."""
        try:
            block = self.market.chain.block()
            return LiveClock(self.market.clock(bounty, at=block), block)
        except (ChainError, BadInput):
            return None

    def score_clock(self, bounty: BountyId, number: int) -> tuple[ScoreClock, Block] | None:
        """Where the scoring of a round stands now; None if the chain does not answer."""
        if self._scores is None:
            return None
        try:
            block = self.market.chain.block()
            return self._scores.clock(bounty, number, block), block
        except (ChainError, BadInput):
            return None

    def evaluations(self) -> dict[int, EvaluationHistory]:
        """All evaluations by number; none where no market for them is set.

        Raises: BrokenEvaluation.
        """
        market, known = self._evaluation_market, self._evaluations
        if known is None:
            by_number: dict[int, list[EvaluationEvent]] = {}
            for log in self.mirror.logs(market.address) if market else ():
                event = market.decoder.decode(log) if market else None
                if event is not None:
                    by_number.setdefault(event.evaluation, []).append(event)
            known = self._evaluations = {number: build_evaluation(events) for number, events in by_number.items()}
        return known

    def evaluation(self, number: int) -> tuple[EvaluationHistory, EvaluationMarket]:
        """Raises: NotFound, NotRead."""
        market, history = self._evaluation_market, self.evaluations().get(number)
        if market is None:
            what = f"There is no evaluation {str(number)[:24]} here"
            raise NotFound(f"{what}: the settings name no market for them (chain.evaluations, FEDBOUNTY_EVALUATIONS).")
        if history is None:
            raise self._absent("evaluation", number, market.count)
        return history, market

    def is_posted(self, text: str) -> bool:
        """Whether the chain has a bounty of this number, mirrored or not."""
        try:
            return text.isascii() and text.isdecimal() and 0 < int(text) <= self.market.bounty_count()
        except (ChainError, BadInput):
            return False

    def newest(self) -> Block | None:
        """The chain's newest block; None if it does not answer."""
        try:
            return self.market.chain.block()
        except ChainError:
            return None

    @property
    def _last(self) -> int:
        head = self.mirror.head()
        return head.number if head else 0

    def _absent(self, kind: str, number: int, count: Callable[[], int]) -> NotFound | NotRead:
        """Why the mirror has nothing of a number. count: how many there are on chain."""
        what = f"{kind} {str(number)[:24]}"
        try:
            posted = 0 < number <= count()
        except (ChainError, BadInput):
            return NotFound(f"There is no {what} up to block {self._last}. What came since can't be told: {NO_ANSWER}")
        return NotRead(what.capitalize()) if posted else NotFound(f"There is no {what} in this market.")

    def gas(self, bounty: BountyId) -> list[GasUse]:
        return self.mirror.gas_by_bounty(bounty)

    def transaction(self, tx_hash: str) -> tuple[MirroredTransaction, list[Event], list[EvaluationEvent]]:
        """A transaction, what it did in the market, and in the market for evaluations.

        Raises: NotFound.
        """
        found = self.mirror.transaction(tx_hash)
        if found is None:
            raise NotFound("This market has no event of that transaction.")
        events = [*self.mirror.events(None, found.block, found.block), *self._score_events(found.block)]
        events.sort(key=lambda event: event.at.log_index)
        told = [event for history in self.evaluations().values() for event in history.events]
        own = [event for event in events if event.at.transaction == found.hash]
        return found, own, [event for event in told if event.at.transaction == found.hash]

    def _score_events(self, block: int) -> list[ScoreEvent]:
        scores = self._scores
        return scores.read(self.mirror.logs(scores.address, block, block)) if scores else []

    def search(self, text: str) -> list[SearchHit]:
        return self.mirror.search(text)

    def live_merge(self, bounty: BountyId, number: int) -> LiveMerge:
        """Raises: ChainError."""
        block = self.market.chain.block()
        return LiveMerge(self.market.merge(bounty, number, at=block), block)

    def live_reveal(self, known: Revealed) -> LiveReveal:
        """Raises: ChainError."""
        block = self.market.chain.block()
        events = self.market.events(known.bounty, known.at.block, known.at.block)
        same = (event for event in events if isinstance(event, Revealed) and event.at.log_index == known.at.log_index)
        return LiveReveal(next(same, None), block)

    def update_file(self, known: Revealed, terms: Terms) -> FetchedFile:
        """An update's file, from the cache or from IPFS."""
        if terms.chunks > MOST_CHUNKS:
            return FetchedFile(None, "It is too large for this page. `fedbounty audit` verifies it.")
        try:
            return FetchedFile(self._files.update(known, terms))
        except ContentError as error:
            return FetchedFile(None, str(error))

    @property
    def checks(self) -> BoundedSemaphore:
        """Held while a verification runs."""
        return self._checks
