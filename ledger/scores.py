"""The contract that divides by contribution, typed: reads pinned to a block, and writes that name what they do.

docs/PROTOCOL.md, section 14. The Solidity twin is `IContributionScores`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

from ledger.artifacts import artifact
from ledger.chain import Block, Chain
from ledger.decoding import Log, LogDecoder, camel
from ledger.keccak import Hash32
from ledger.merge_records import MergeRecord
from ledger.records import Address, BountyId, Timestamp, Wei
from ledger.score_history import ScoreHistory, build_scores
from ledger.score_records import (
    COMMITMENT_BYTES,
    Evaluator,
    Panel,
    ScoreClock,
    ScoreEvent,
    ScorePhase,
    ScoreReport,
    ScoreState,
)
from ledger.transactions import Receipt, Transactor


class Scores:
    """Reads of one contract that divides by contribution.

    Raises: WrongChain where there is no contract at `address`.
    """

    def __init__(self, chain: Chain, address: Address) -> None:
        abi = artifact("ContributionScores")["abi"]
        self.chain = chain
        self.contract = chain.contract(address, abi)
        self.address = Address(self.contract.address)
        self.decoder = LogDecoder(abi, ScoreEvent)

    def panel(self, bounty: BountyId, at: Block | None = None) -> Panel | None:
        """The bounty's panel; None where none was appointed."""
        values = self._call("panelOf", bounty, at=at)
        panel = Panel(**dict(zip([field.name for field in fields(Panel)], values, strict=True)))
        return replace(panel, evaluators=tuple(panel.evaluators)) if panel.evaluators else None

    def evaluator(self, bounty: BountyId, account: Address, at: Block | None = None) -> Evaluator:
        bond, earned, open_rounds, place = self._call("evaluatorOf", bounty, account, at=at)
        return Evaluator(Wei(bond), Wei(earned), open_rounds, place)

    def clock(self, bounty: BountyId, round_number: int, at: Block | None = None) -> ScoreClock:
        phase, ends_at, commits, reveals = self._call("clock", bounty, round_number, at=at)
        return ScoreClock(ScorePhase(phase), Timestamp(ends_at), commits, reveals)

    def report(self, bounty: BountyId, round_number: int, account: Address, at: Block | None = None) -> ScoreReport:
        state, content = self._call("reportOf", bounty, round_number, account, at=at)
        return ScoreReport(ScoreState(state), bytes(content)[:COMMITMENT_BYTES])

    def rest(self, bounty: BountyId, at: Block | None = None) -> Wei:
        """What is the owner's and was not returned yet."""
        return Wei(self._call("restOf", bounty, at=at))

    def events(self, bounty: BountyId | None, first: int = 0, last: int | None = None) -> list[ScoreEvent]:
        """The contract's events in the order of execution.

        bounty:      only that one's; None for all.
        first, last: block numbers, inclusive; `last` None for the newest block.
        """
        topics = None if bounty is None else [None, bounty.to_bytes(32, "big")]
        return self.read(self.chain.logs(self.address, topics, first, last))

    def read(self, logs: Iterable[Log]) -> list[ScoreEvent]:
        """The events in log entries of the contract, from wherever these were kept.

        Raises: UndecodableLog.
        """
        return [event for event in map(self.decoder.decode, logs) if event is not None]

    def history(self, bounty: BountyId, at: Block | None = None) -> ScoreHistory:
        """What happened to a bounty up to a block; empty where nothing did."""
        return build_scores(self.events(bounty, last=at.number if at else None))

    def _call(self, name: str, *arguments: Any, at: Block | None) -> Any:
        return self.chain.call(getattr(self.contract.functions, name)(*arguments), at)


class ScoreWriter:
    """One account's transactions to the contract. Each returns when it is mined and succeeded.

    Raises: Reverted with the contract's own error, TooLittleFunds, StuckTransaction, ChainUnreachable.
    """

    def __init__(self, scores: Scores, transactor: Transactor) -> None:
        self.scores = scores
        self._transactor = transactor

    @property
    def account(self) -> Address:
        return Address(self._transactor.address)

    def appoint(self, bounty: BountyId, panel: Panel) -> Receipt:
        values = {camel(field.name): getattr(panel, field.name) for field in fields(Panel)}
        return self._send(f"appoint the panel of bounty {bounty}", "appoint", bounty, values)

    def deposit_bond(self, bounty: BountyId) -> Receipt:
        return self._send(f"deposit an evaluator's bond for bounty {bounty}", "depositBond", bounty)

    def withdraw_bond(self, bounty: BountyId) -> Receipt:
        return self._send(f"withdraw an evaluator's bond from bounty {bounty}", "withdrawBond", bounty)

    def commit(self, bounty: BountyId, round_number: int, commitment: bytes) -> Receipt:
        action = f"commit to scores of round {round_number} of bounty {bounty}"
        return self._send(action, "commit", bounty, round_number, commitment.ljust(32, b"\0"))

    def reveal(self, bounty: BountyId, round_number: int, words: Sequence[int], salt: bytes) -> Receipt:
        action = f"reveal scores of round {round_number} of bounty {bounty}"
        return self._send(action, "reveal", bounty, round_number, list(words), salt)

    def settle(
        self, bounty: BountyId, round_number: int, record: MergeRecord, reports: Sequence[Sequence[int]]
    ) -> Receipt:
        """record: of the round's merge; reports: as `ScoreHistory.shown_reports` has them."""
        values = {camel(field.name): getattr(record, field.name) for field in fields(record)}
        shown, action = [list(words) for words in reports], f"settle round {round_number} of bounty {bounty}"
        return self._send(action, "settle", bounty, round_number, values, shown)

    def claim(self, bounty: BountyId, round_number: int, update_root: Hash32) -> Receipt:
        action = f"claim the pay of round {round_number} of bounty {bounty}"
        return self._send(action, "claim", bounty, round_number, update_root)

    def collect_fees(self, bounty: BountyId) -> Receipt:
        return self._send(f"collect an evaluator's fees of bounty {bounty}", "collectFees", bounty)

    def return_rest(self, bounty: BountyId) -> Receipt:
        return self._send(f"return the rest of bounty {bounty} to its owner", "returnRest", bounty)

    def _send(self, action: str, name: str, *arguments: Any) -> Receipt:
        return self._transactor.send(action, getattr(self.scores.contract.functions, name)(*arguments))
