"""An evaluation's money replayed from its events: every amount held to the terms, every unit accounted for. Pure.

docs/PROTOCOL.md, section 11.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.evaluation_history import EvaluationHistory
from ledger.evaluation_records import EvaluationEvent, EvaluationMoney
from ledger.records import Wei


@dataclass(frozen=True)
class AmountFault:
    """An event whose amount is not what the terms give."""

    event: EvaluationEvent
    what: str
    claimed: int
    expected: int


@dataclass(frozen=True)
class EvaluationSettlement:
    """Where the money went.

    held:      what the contract must hold now, purse by purse.
    paid:      payments to reporters, without their stakes.
    returned:  to the owner, forfeited stakes included.
    forfeited: stakes that the owner got, or will get if the evaluation ends as it stands.
    faults:    amounts that differ from the rules; none for what the contract emits.
    """

    held: EvaluationMoney
    paid: Wei
    returned: Wei
    forfeited: Wei
    faults: tuple[AmountFault, ...]


def settle_evaluation(history: EvaluationHistory) -> EvaluationSettlement:
    """Replay an evaluation's money.

    Holds: escrow + stakes = paid + returned + stakes given back + held, for what the contract emits.
    """
    terms = history.terms
    due = terms.payment + terms.stake
    commits, reports, claims = len(history.commits), len(history.reports), len(history.payments)
    free, locked = terms.payment * (terms.max_reports - reports), terms.stake * (commits - reports)
    closed = history.refunded is not None or history.cancelled is not None
    held = EvaluationMoney(
        owed=Wei(due * (reports - claims)), free=Wei(0 if closed else free), locked=Wei(0 if closed else locked)
    )
    found: list[tuple[EvaluationEvent, str, int, int]] = [
        (event, "payment", event.amount, due) for event in history.payments.values()
    ]
    if history.refunded is not None:
        found.append((history.refunded, "refund", history.refunded.refunded, free + locked))
        found.append((history.refunded, "forfeited stakes", history.refunded.forfeited, locked))
    if history.cancelled is not None:
        found.append((history.cancelled, "refund", history.cancelled.refunded, terms.escrow))
    return EvaluationSettlement(
        held=held,
        paid=Wei(terms.payment * claims),
        returned=Wei(free + locked if closed else 0),
        forfeited=Wei(locked),
        faults=tuple(AmountFault(*one) for one in found if one[2] != one[3]),
    )
