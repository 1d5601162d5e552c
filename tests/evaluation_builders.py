"""Small real records of evaluations for tests, each changeable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eth_utils.address import to_checksum_address

from ledger.cid import Digest
from ledger.evaluation_records import (
    EvaluationClock,
    EvaluationEvent,
    EvaluationId,
    EvaluationPhase,
    EvaluationPosted,
    EvaluationRefunded,
    EvaluationTerms,
    Metric,
    ReportCommitted,
    ReportPaid,
    ReportRevealed,
    ReportScope,
    Units,
    report_commitment,
)
from ledger.keccak import ZERO_HASH, keccak
from ledger.records import Address, Position, Timestamp, Wei

EVALUATION = EvaluationId(1)
CHAIN_ID = 31337
MARKET = Address(to_checksum_address("0x" + "ee" * 20))
OWNER = Address(to_checksum_address("0x" + "0e" * 20))
SALT = b"\x05" * 32


def account(number: int) -> Address:
    return Address(to_checksum_address(f"0x{0x1000 + number:040x}"))


def at(block: int) -> Position:
    return Position(block, 0, f"0x{block:064x}")


def terms(**changes: Any) -> EvaluationTerms:
    """Accuracy in units of 10^-4, four places at 7, a stake of 3."""
    base = EvaluationTerms(
        token=Address(to_checksum_address("0x" + "70" * 20)),
        payment=Wei(7),
        stake=Wei(3),
        min_reports=2,
        max_reports=4,
        commit_seconds=10,
        reveal_seconds=10,
        metric=Metric.ACCURACY,
        decimals=4,
        low=Units(0),
        high=Units(10_000),
        noise=0,
        manifest=Digest(keccak(b"manifest")),
        state_root=keccak(b"state"),
        state_cid=Digest(ZERO_HASH),
        list_root=ZERO_HASH,
        list_cid=Digest(ZERO_HASH),
    )
    return replace(base, **changes)


def clock(phase: EvaluationPhase, **changes: Any) -> EvaluationClock:
    return replace(EvaluationClock(phase, Timestamp(1010), commits=0, reports=0, claims=0), **changes)


def scope(number: int) -> ReportScope:
    return ReportScope(CHAIN_ID, MARKET, EVALUATION, account(number))


def posted(**changes: Any) -> EvaluationPosted:
    return EvaluationPosted(at(1), EVALUATION, OWNER, terms(**changes), Timestamp(1000))


def committed(number: int, value: int = 0) -> ReportCommitted:
    commitment = report_commitment(scope(number), Units(value), SALT)
    return ReportCommitted(at(2), EVALUATION, account(number), commitment)


def revealed(number: int, value: int) -> ReportRevealed:
    return ReportRevealed(at(3), EVALUATION, account(number), Units(value), SALT)


def payment(number: int, amount: int = 10) -> ReportPaid:
    return ReportPaid(at(4), EVALUATION, account(number), Wei(amount))


def refunded(amount: int, forfeited: int = 0) -> EvaluationRefunded:
    return EvaluationRefunded(at(5), EVALUATION, OWNER, Wei(amount), Wei(forfeited))


def life(values: Sequence[int], paid: int = 0, silent: int = 0, **changes: Any) -> list[EvaluationEvent]:
    """An evaluation in which `values` were reported, the first `paid` paid, and `silent` more never opened."""
    everyone = [*values, *[0] * silent]
    return [
        posted(**changes),
        *(committed(number, value) for number, value in enumerate(everyone)),
        *(revealed(number, value) for number, value in enumerate(values)),
        *(payment(number) for number in range(paid)),
    ]
