"""The contract that pays for evaluations, typed: reads pinned to a block, and writes that name what they do.

docs/PROTOCOL.md, section 11. The Solidity twin is `IEvaluationMarket`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ledger.artifacts import artifact
from ledger.chain import Block, Chain
from ledger.decoding import LogDecoder, camel, evaluation_terms_from
from ledger.errors import BadInput
from ledger.evaluation_history import EvaluationHistory, build_evaluation
from ledger.evaluation_records import (
    EvaluationClock,
    EvaluationEvent,
    EvaluationId,
    EvaluationMoney,
    EvaluationPhase,
    EvaluationPosted,
    EvaluationTerms,
    Report,
    ReportState,
    Units,
)
from ledger.keccak import Hash32
from ledger.records import Address, Timestamp, Wei
from ledger.transactions import Receipt, Transactor


class UnknownEvaluation(BadInput):
    def __init__(self, evaluation: int, market: str) -> None:
        self.evaluation, self.market = evaluation, market
        super().__init__(
            f"There is no evaluation {evaluation} in the market {market}. "
            f"`fedbounty evaluation list` shows those that there are."
        )


class EvaluationMarket:
    """Reads of one contract for evaluations.

    Raises: WrongChain where there is no contract at `address`.
    """

    def __init__(self, chain: Chain, address: Address) -> None:
        abi = artifact("EvaluationMarket")["abi"]
        self.chain = chain
        self.contract = chain.contract(address, abi)
        self.address = Address(self.contract.address)
        self.decoder = LogDecoder(abi, EvaluationEvent)

    def count(self, at: Block | None = None) -> int:
        """How many evaluations were posted; also the latest id."""
        return int(self._call("evaluationCount", at=at))

    def terms(self, evaluation: EvaluationId, at: Block | None = None) -> EvaluationTerms:
        names = [camel(field.name) for field in fields(EvaluationTerms)]
        found = evaluation_terms_from(dict(zip(names, self._call("terms", evaluation, at=at), strict=True)))
        if not found.max_reports:
            raise UnknownEvaluation(evaluation, self.address)
        return found

    def owner(self, evaluation: EvaluationId, at: Block | None = None) -> Address:
        return Address(self._call("ownerOf", evaluation, at=at))

    def clock(self, evaluation: EvaluationId, at: Block | None = None) -> EvaluationClock:
        phase, ends_at, *counts = self._call("clock", evaluation, at=at)
        if phase == EvaluationPhase.NONE:
            raise UnknownEvaluation(evaluation, self.address)
        return EvaluationClock(EvaluationPhase(phase), Timestamp(ends_at), *counts)

    def money(self, evaluation: EvaluationId, at: Block | None = None) -> EvaluationMoney:
        return EvaluationMoney(*(Wei(amount) for amount in self._call("money", evaluation, at=at)))

    def report(self, evaluation: EvaluationId, account: Address, at: Block | None = None) -> Report:
        state, commitment, value = self._call("reportOf", evaluation, account, at=at)
        return Report(ReportState(state), bytes(commitment), Units(value))

    def events(self, evaluation: EvaluationId | None, first: int = 0, last: int | None = None) -> list[EvaluationEvent]:
        """The contract's events in the order of execution.

        evaluation:  only that one's; None for all.
        first, last: block numbers, inclusive; `last` None for the newest block.
        """
        topics = None if evaluation is None else [None, evaluation.to_bytes(32, "big")]
        logs = self.chain.logs(self.address, topics, first, last)
        return [event for event in map(self.decoder.decode, logs) if event is not None]

    def history(self, evaluation: EvaluationId, at: Block | None = None) -> EvaluationHistory:
        """The evaluation's story up to a block.

        Raises: UnknownEvaluation; BrokenEvaluation.
        """
        events = self.events(evaluation, last=at.number if at else None)
        if not events:
            raise UnknownEvaluation(evaluation, self.address)
        return build_evaluation(events)

    def _call(self, name: str, *arguments: Any, at: Block | None) -> Any:
        return self.chain.call(getattr(self.contract.functions, name)(*arguments), at)


class EvaluationWriter:
    """One account's transactions to the contract. Each returns when it is mined and succeeded.

    Raises: Reverted with the contract's own error, TooLittleFunds, StuckTransaction, ChainUnreachable.
    """

    def __init__(self, market: EvaluationMarket, transactor: Transactor) -> None:
        self.market = market
        self._transactor = transactor

    @property
    def account(self) -> Address:
        return Address(self._transactor.address)

    def post(self, terms: EvaluationTerms) -> EvaluationId:
        values = {camel(field.name): getattr(terms, field.name) for field in fields(EvaluationTerms)}
        receipt = self._send("post the evaluation", "post", values)
        own = (log for log in receipt.logs if log.address == self.market.address)
        return next(e.evaluation for e in map(self.market.decoder.decode, own) if isinstance(e, EvaluationPosted))

    def cancel(self, evaluation: EvaluationId) -> Receipt:
        return self._send(f"cancel evaluation {evaluation}", "cancel", evaluation)

    def commit(
        self, evaluation: EvaluationId, commitment: bytes, place: int = 0, siblings: Sequence[Hash32] = ()
    ) -> Receipt:
        """place, siblings: the account's leaf in the list, where there is one."""
        action = f"commit to a report to evaluation {evaluation}"
        return self._send(action, "commit", evaluation, commitment.ljust(32, b"\0"), place, list(siblings))

    def reveal(self, evaluation: EvaluationId, value: Units, salt: bytes) -> Receipt:
        return self._send(f"reveal the report to evaluation {evaluation}", "reveal", evaluation, value, salt)

    def claim(self, evaluation: EvaluationId) -> Receipt:
        return self._send(f"claim the pay of evaluation {evaluation}", "claim", evaluation)

    def refund(self, evaluation: EvaluationId) -> Receipt:
        return self._send(f"refund the owner of evaluation {evaluation}", "refund", evaluation)

    def _send(self, action: str, name: str, *arguments: Any) -> Receipt:
        return self._transactor.send(action, getattr(self.market.contract.functions, name)(*arguments))
