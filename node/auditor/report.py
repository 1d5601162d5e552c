"""What an audit found, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    OK = "ok"
    WRONG = "wrong"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Difference:
    """One thing that is recorded in one way and follows from the bytes in another.

    what:       `state`, `rejection`, `paid`, `payouts`, `record`, `money` or `terms`.
    update:     the reveal index that it is about, if it is about one.
    coordinate: the first coordinate of the state that differs, and the tensor and index it stands for.
    """

    round: int
    what: str
    claimed: str
    expected: str
    update: int | None = None
    coordinate: int | None = None
    tensor: str = ""

    def __str__(self) -> str:
        place = f"round {self.round}" if self.round else "the bounty"
        if self.update is not None:
            place += f", update {self.update}"
        if self.coordinate is not None:
            place += f", coordinate {self.coordinate} ({self.tensor})"
        return f"{place}: {self.what} is recorded as {self.claimed}, but {self.expected} follows"


@dataclass(frozen=True)
class RoundReport:
    """One round, recomputed. `bytes` counts the update and state files; `missing` names CIDs that could not be had."""

    round: int
    verdict: Verdict
    state: str
    revealed: int
    accepted: int
    rejected: int
    paid: int
    bytes: int
    metrics: dict[str, float]
    differences: tuple[Difference, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuditReport:
    """A bounty, recomputed. `unchecked` says what an audit can't see, and whom one trusts for it."""

    bounty: int
    verdict: Verdict
    metrics_start: dict[str, float]
    rounds: tuple[RoundReport, ...]
    money: dict[str, int]
    differences: tuple[Difference, ...]
    unchecked: tuple[str, ...] = field(default=())

    @property
    def all_differences(self) -> list[Difference]:
        return [*self.differences, *(one for report in self.rounds for one in report.differences)]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def verdict_of(differences: Sequence[Difference], missing: Sequence[str]) -> Verdict:
    """Wrong beats unavailable beats ok."""
    if differences:
        return Verdict.WRONG
    return Verdict.UNAVAILABLE if missing else Verdict.OK
