"""The evaluator's daemon: the effects behind its decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from ledger.erc20 import Token
from ledger.errors import BadInput
from ledger.evaluation_records import (
    EvaluationId,
    EvaluationTerms,
    ReportScope,
    Units,
    report_commitment,
    report_salt_message,
)
from ledger.evaluations import EvaluationMarket
from ledger.keccak import Hash32
from ledger.notices import Observer, ignore
from node.connections import EvaluationAccount, log_approval, spent
from node.evaluator import decisions
from node.evaluator.decisions import Action, EvaluatorView
from node.evaluator.journal import MadeReport, ReportJournal
from node.evaluator.measuring import Measuring
from node.evaluator.noise import epsilon
from node.loop import Finish
from node.notices import EvaluationSeen
from node.privacy.budget import Purse
from node.privacy.purses import report_spend

log = structlog.get_logger()

MOST_SEARCHED = 1 << 20
"""Values that are tried for a lost report: seconds of work."""


class LostReport(BadInput):
    def __init__(self, evaluation: int, journal: str) -> None:
        self.evaluation, self.journal = evaluation, journal
        super().__init__(
            f"Nothing opens the commitment to evaluation {evaluation}: the journal {journal} does not have its number, "
            f"and no value of the range does. Put the journal back that was there when it was made."
        )


@dataclass(frozen=True)
class EvaluatorSetup:
    """What an evaluator brings to one evaluation.

    place: its leaf in the list, and the siblings.
    purse: the data set's privacy budget.
    tell:  hears what is seen.
    """

    market: EvaluationMarket
    account: EvaluationAccount
    evaluation: EvaluationId
    terms: EvaluationTerms
    work: Measuring
    journal: ReportJournal
    place: tuple[int, Sequence[Hash32]]
    purse: Purse
    tell: Observer = ignore


class EvaluatorDaemon:
    """Reports once to one evaluation with one key and one data set."""

    def __init__(self, setup: EvaluatorSetup) -> None:
        self._setup = setup
        market = setup.market
        self._scope = ReportScope(market.chain.chain_id, market.address, setup.evaluation, setup.account.address)

    def observe(self) -> EvaluatorView:
        setup = self._setup
        block = setup.market.chain.block()
        report = setup.market.report(setup.evaluation, setup.account.address, at=block)
        made = setup.journal.made(self._scope)
        clock = setup.market.clock(setup.evaluation, at=block)
        setup.tell(EvaluationSeen(setup.evaluation, block.timestamp, clock))
        return EvaluatorView(
            clock=clock,
            report=report,
            made=made,
            opens=made is not None and self._commitment(made.value) == report.commitment,
        )

    def decide(self, view: EvaluatorView) -> Sequence[Action | Finish]:
        return decisions.decide(view)

    def act(self, action: Action) -> None:
        setup, evaluation = self._setup, self._setup.evaluation
        writer = setup.account.writer
        match action:
            case decisions.Measure():
                setup.purse.check()
                measured = replace(setup.work.measure(), data=setup.purse.data.fingerprint)
                setup.journal.record(self._scope, measured)
            case decisions.Commit(made):
                self._purse(made).charge(0, str(made.value))  # before anything leaves
                token = Token(setup.market.chain, setup.terms.token)
                stake, (place, siblings) = setup.terms.stake, setup.place
                log_approval(token.ensure_allowance(setup.account.transactor, setup.market.address, stake), stake)
                receipt = writer.commit(evaluation, self._commitment(made.value), place, siblings)
                log.info("committed", evaluation=evaluation, **spent(receipt))
            case decisions.Recover():
                setup.journal.correct(self._scope, self._recovered())
                log.warning("recovered", evaluation=evaluation)
            case decisions.Reveal(made):
                receipt = writer.reveal(evaluation, made.value, self._salt(made.value))
                value = str(setup.terms.number(made.value))
                log.info("revealed", evaluation=evaluation, value=value, **spent(receipt))
            case decisions.Claim():
                receipt = writer.claim(evaluation)
                amount = setup.terms.payment + setup.terms.stake
                log.info("claimed", evaluation=evaluation, amount=amount, **spent(receipt))

    def _purse(self, made: MadeReport) -> Purse:
        """What pays for a number: the budget of the data that it was measured on, by the noise that it has.

        The command may name other data and other noise when it is started again; the number stays.
        """
        purse, told = self._setup.purse.of(made.data), epsilon(self._setup.terms, made.examples, made.noise)
        return replace(purse, spend=report_spend(None if told is None else float(told)))

    def _salt(self, value: Units) -> bytes:
        return self._setup.account.key.derive(report_salt_message(self._scope, value))

    def _commitment(self, value: Units) -> bytes:
        return report_commitment(self._scope, value, self._salt(value))

    def _recovered(self) -> MadeReport:
        """The number behind the commitment on chain: the salt follows from key and value, so it can be searched for.

        Raises: LostReport.
        """
        setup = self._setup
        wanted = setup.market.report(setup.evaluation, setup.account.address).commitment
        if setup.terms.high - setup.terms.low < MOST_SEARCHED:
            for value in range(setup.terms.low, setup.terms.high + 1):
                if self._commitment(Units(value)) == wanted:
                    return MadeReport(Units(value), examples=0, noise=setup.terms.noise)
        raise LostReport(setup.evaluation, str(setup.journal.path))
