"""The money of the contract that divides by contribution, replayed from its events: every unit accounted for. Pure.

docs/PROTOCOL.md, section 14.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ledger.records import Address
from ledger.score_records import (
    EvaluatorBonded,
    EvaluatorBondWithdrawn,
    EvaluatorSettled,
    FeesCollected,
    RestReturned,
    RoundScored,
    ScoreClaimed,
    ScoreEvent,
    unpack,
)


@dataclass(frozen=True)
class ScoreFault:
    """An event whose amount does not follow from those before it."""

    event: ScoreEvent
    what: str
    claimed: int
    expected: int


@dataclass
class ScoreAccounts:
    """What the contract holds of one bounty.

    bonds, fees: by evaluator, what it has locked and what it has not taken.
    unclaimed:   of each settled round, what its updates have not taken, by reveal index.
    rest:        the owner's.
    deposits, payouts: all that came in and went out.
    """

    bonds: dict[Address, int] = field(default_factory=dict)
    fees: dict[Address, int] = field(default_factory=dict)
    unclaimed: dict[int, list[int]] = field(default_factory=dict)
    rest: int = 0
    deposits: int = 0
    payouts: int = 0
    faults: list[ScoreFault] = field(default_factory=list)

    @property
    def held(self) -> int:
        """What the contract owes of the bounty."""
        shares = sum(sum(amounts) for amounts in self.unclaimed.values())
        return sum(self.bonds.values()) + sum(self.fees.values()) + shares + self.rest

    def expect(self, event: ScoreEvent, what: str, claimed: int, expected: int) -> None:
        if claimed != expected:
            self.faults.append(ScoreFault(event, what, claimed, expected))


def account_scores(events: Iterable[ScoreEvent]) -> ScoreAccounts:
    """Replay one bounty's events in the order of execution.

    Holds: no faults for what the contract emits, and after every event deposits = payouts + held.
    """
    state = ScoreAccounts()
    for event in events:
        match event:
            case EvaluatorBonded():
                state.bonds[event.evaluator] = state.bonds.get(event.evaluator, 0) + event.amount
                state.deposits += event.amount
            case EvaluatorSettled():
                state.bonds[event.evaluator] = state.bonds.get(event.evaluator, 0) - event.forfeited
                state.fees[event.evaluator] = state.fees.get(event.evaluator, 0) + event.fee
            case RoundScored():
                _scored(state, event)
            case EvaluatorBondWithdrawn() | FeesCollected() | ScoreClaimed() | RestReturned():
                _paid(state, event)
        state.expect(event, "money held after the event", state.held, _expected(state, event))
    return state


def _expected(state: ScoreAccounts, event: ScoreEvent) -> int:
    """Fees and forfeits are told of before the round that they belong to."""
    return state.held if isinstance(event, EvaluatorSettled) else state.deposits - state.payouts


def _scored(state: ScoreAccounts, event: RoundScored) -> None:
    state.expect(event, "settlements of the round", int(event.round in state.unclaimed) + 1, 1)
    weights = unpack(event.weights, 8 * len(event.weights))
    total = sum(weights)
    parts = [event.pot * weight // total if total else 0 for weight in weights]
    state.expect(event, "rest", event.rest, event.pot - sum(parts))
    state.unclaimed[event.round] = parts
    state.rest += event.rest
    state.deposits += event.released


def _paid(state: ScoreAccounts, event: EvaluatorBondWithdrawn | FeesCollected | ScoreClaimed | RestReturned) -> None:
    state.payouts += event.amount
    match event:
        case EvaluatorBondWithdrawn(evaluator=who):
            state.expect(event, "bond", event.amount, state.bonds.pop(who, 0))
        case FeesCollected(evaluator=who):
            state.expect(event, "fees", event.amount, state.fees.pop(who, 0))
        case ScoreClaimed(round=number):
            shares = state.unclaimed.get(number, [])
            owed = event.amount if event.amount in shares else 0
            state.expect(event, "share", event.amount, owed)
            if owed:
                shares[shares.index(owed)] = 0
        case RestReturned():
            state.expect(event, "rest", event.amount, state.rest)
            state.rest = 0
