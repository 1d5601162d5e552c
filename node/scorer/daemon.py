"""The panel evaluator's daemon: the effects behind its decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from ledger.accounts import Key
from ledger.chain import Block
from ledger.erc20 import Token
from ledger.history import BountyHistory, build_history
from ledger.keccak import Hash32
from ledger.market import Market
from ledger.merge_records import record_of
from ledger.notices import Observer, ignore
from ledger.proofs import FraudProofs
from ledger.records import BountyId, Terms
from ledger.score_records import Panel, ScorePhase, ScoreScope, ScoreState, pack, score_commitment, score_salt_message
from ledger.scores import Scores, ScoreWriter
from ledger.transactions import Transactor
from node.connections import log_approval, spent
from node.loop import Finish
from node.merged_states import needs_seed
from node.notices import BountySeen
from node.score_work import ScoreWork
from node.scored_rounds import Scoring, observe_scoring
from node.scorer import decisions
from node.scorer.decisions import Action, OwnReport, ScorerView
from node.scorer.journal import ScoreJournal

log = structlog.get_logger()


@dataclass(frozen=True)
class ScorerSetup:
    """What an evaluator brings to one bounty's panel.

    once: end when nothing is due now.
    tell: hears what is seen.
    """

    market: Market
    scores: Scores
    key: Key
    transactor: Transactor
    bounty: BountyId
    terms: Terms
    panel: Panel
    work: ScoreWork
    journal: ScoreJournal
    once: bool = False
    tell: Observer = ignore


class ScorerDaemon:
    """Reports on all rounds of one bounty with one key."""

    def __init__(self, setup: ScorerSetup) -> None:
        self._setup = setup
        self._writer = ScoreWriter(setup.scores, setup.transactor)
        self._history: BountyHistory | None = None
        self._scoring: Scoring | None = None
        self._attempts: Counter[int] = Counter()

    def observe(self) -> ScorerView:
        setup = self._setup
        block = setup.market.chain.block()
        clock = setup.market.clock(setup.bounty, at=block)
        history = build_history(setup.market.events(setup.bounty, last=block.number))
        scoring = observe_scoring(setup.scores, history, block)
        self._history, self._scoring = history, scoring
        setup.tell(BountySeen(setup.bounty, block.timestamp, clock, setup.terms.rounds))
        return ScorerView(
            phase=clock.phase,
            panel=setup.panel,
            seat=setup.scores.evaluator(setup.bounty, setup.key.address, at=block),
            scoring=scoring,
            reports={number: self._own(number, scoring, block) for number in scoring.clocks},
            attempts=dict(self._attempts),
            once=setup.once,
        )

    def _own(self, number: int, scoring: Scoring, block: Block) -> OwnReport:
        setup = self._setup
        if scoring.clocks[number].phase not in (ScorePhase.COMMIT, ScorePhase.REVEAL):
            return OwnReport(ScoreState.NONE)
        kept = setup.scores.report(setup.bounty, number, setup.key.address, at=block)
        words = setup.journal.made(self._scope(number))
        opens = words is not None and self._commitment(number, words) == kept.content
        return OwnReport(kept.state, words, opens)

    def decide(self, view: ScorerView) -> Sequence[Action | Finish]:
        return decisions.decide(view)

    def act(self, action: Action) -> None:
        bounty, writer = self._setup.bounty, self._writer
        match action:
            case decisions.Deposit():
                self._deposit()
            case decisions.Measure(number):
                self._measure(number)
            case decisions.Commit(number, words):
                receipt = writer.commit(bounty, number, self._commitment(number, words))
                log.info("committed", bounty=bounty, round=number, **spent(receipt))
            case decisions.Reveal(number, words):
                receipt = writer.reveal(bounty, number, words, self._salt(number, words))
                log.info("revealed", bounty=bounty, round=number, **spent(receipt))
            case decisions.Settle(number):
                assert self._history is not None
                assert self._scoring is not None
                merged = self._history.rounds[number].merged
                assert merged is not None
                reports = self._scoring.history.shown_reports(number)
                receipt = writer.settle(bounty, number, record_of(merged), reports)
                log.info("settled", bounty=bounty, round=number, by_median=bool(reports), **spent(receipt))
            case decisions.Collect():
                log.info("fees_collected", bounty=bounty, **spent(writer.collect_fees(bounty)))
            case decisions.Withdraw():
                log.info("bond_withdrawn", bounty=bounty, **spent(writer.withdraw_bond(bounty)))

    def _deposit(self) -> None:
        setup = self._setup
        token = Token(setup.market.chain, setup.terms.token)
        log_approval(token.ensure_allowance(setup.transactor, setup.scores.address, setup.panel.bond), setup.panel.bond)
        log.info("bonded", bounty=setup.bounty, **spent(self._writer.deposit_bond(setup.bounty)))

    def _measure(self, number: int) -> None:
        assert self._history is not None
        self._attempts[number] += 1
        parts = self._setup.work.measure(self._history, number, self._seed(number))
        self._setup.journal.record(self._scope(number), pack(parts))

    def _seed(self, number: int) -> Hash32 | None:
        if not needs_seed(self._setup.terms):
            return None
        judge, _ = self._setup.market.judges()
        return FraudProofs(self._setup.market.chain, judge).seed(self._setup.bounty, number)

    def _scope(self, number: int) -> ScoreScope:
        setup = self._setup
        chain, contract = setup.market.chain.chain_id, setup.scores.address
        return ScoreScope(chain, contract, setup.bounty, number, setup.key.address)

    def _salt(self, number: int, words: Sequence[int]) -> bytes:
        return self._setup.key.derive(score_salt_message(self._scope(number), words))

    def _commitment(self, number: int, words: Sequence[int]) -> bytes:
        return score_commitment(self._scope(number), words, self._salt(number, words))
