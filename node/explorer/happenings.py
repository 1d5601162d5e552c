"""Events as lines that a person reads: what happened, who did it, in which round, for how much. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.records import Address, Event, Position

_LABELS = {
    "Posted": "bounty posted",
    "Cancelled": "bounty cancelled",
    "Joined": "provider joined",
    "Left": "provider left",
    "StakeWithdrawn": "stake withdrawn",
    "StakeForfeited": "stake forfeited",
    "RoundOpened": "round opened",
    "Committed": "update committed",
    "Revealed": "update revealed",
    "BondDeposited": "bond deposited",
    "BondWithdrawn": "bond withdrawn",
    "BondForfeited": "bond forfeited",
    "Merged": "round merged",
    "MergeVoided": "merge proven wrong",
    "UpdateDisqualified": "update proven faulty",
    "VestingExtended": "vesting extended",
    "Lapsed": "round lapsed",
    "Ended": "bounty ended",
    "Claimed": "pay claimed",
    "LapsedClaimed": "lapsed share claimed",
    "Refunded": "owner refunded",
    "ShareReleased": "share released to be divided",
    "PanelAppointed": "panel appointed",
    "EvaluatorBonded": "evaluator's bond deposited",
    "EvaluatorBondWithdrawn": "evaluator's bond withdrawn",
    "ScoresCommitted": "scores committed",
    "ScoresRevealed": "scores revealed",
    "EvaluatorSettled": "evaluator's report settled",
    "RoundScored": "round divided by contribution",
    "ScoreClaimed": "pay by contribution claimed",
    "FeesCollected": "evaluator's fees collected",
    "RestReturned": "rest returned to the owner",
    "EvaluationPosted": "evaluation posted",
    "EvaluationCancelled": "evaluation cancelled",
    "EvaluationRefunded": "evaluation's owner refunded",
    "ReportCommitted": "report committed",
    "ReportRevealed": "report revealed",
    "ReportPaid": "report paid",
    "SeedDrawn": "order of updates drawn",
    "Announced": "unmasking announced",
    "ChunkDemanded": "chunk demanded",
    "ChunkAnswered": "chunk shown",
    "DemandEnded": "demand ended",
}
_ACTORS = ("prover", "provider", "aggregator", "account", "evaluator", "owner")
_AMOUNTS = ("amount", "stake", "bond", "refunded", "share", "pot", "fee")


@dataclass(frozen=True)
class Happening:
    """One line. account, round, amount: None where the event has none."""

    at: Position
    bounty: int
    kind: str
    label: str
    account: Address | None
    round: int | None
    amount: int | None


def label_of(kind: str) -> str:
    """An event's name in words."""
    return _LABELS.get(kind, kind)


def happening(event: Event) -> Happening:
    kind = type(event).__name__
    amount = next((getattr(event, name) for name in _AMOUNTS if hasattr(event, name)), None)
    if kind == "Posted":
        amount = event.terms.pot  # type: ignore[attr-defined]
    elif kind == "Merged":
        amount = event.claim.paid  # type: ignore[attr-defined]
    return Happening(
        at=event.at,
        bounty=event.bounty,
        kind=kind,
        label=label_of(kind),
        account=next((getattr(event, name) for name in _ACTORS if hasattr(event, name)), None),
        round=getattr(event, "round", None),
        amount=amount,
    )


def involves(event: Event, account: Address) -> bool:
    """Whether an event names the account."""
    return any(getattr(event, name, None) == account for name in _ACTORS)
