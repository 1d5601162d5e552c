"""What an audit found, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from node.privacy.record import SpentPrivacy


class Verdict(StrEnum):
    OK = "ok"
    WRONG = "wrong"
    UNAVAILABLE = "unavailable"


class Basis(StrEnum):
    """Which state a round was recomputed from: that before it."""

    RECOMPUTED = "recomputed"
    """The auditor's own, which is the recorded one."""
    PUBLISHED = "published"
    """The file that has the recorded root, since the auditor's own differs or can't be had."""
    MISSING = "missing"
    """None: neither could be had, so the round's own state is not judged."""


@dataclass(frozen=True)
class Difference:
    """One thing that is recorded in one way and follows from the bytes in another.

    round:      0 for the bounty as a whole.
    what:       `state`, `rejection`, `paid`, `payouts`, `record`, `money` or `terms`.
    expected:   what was recomputed.
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
class Unchecked:
    """Something that no audit, or not this one, can see, and whom one trusts for it."""

    what: str
    trust: str

    def __str__(self) -> str:
        return f"{self.what}; there you trust {self.trust}"


@dataclass(frozen=True)
class RoundReport:
    """One round, recomputed.

    bytes:   of the update and state files.
    missing: CIDs that could not be had.
    basis:   the state that it was recomputed from.
    metrics: of the state after it on the hold-out, measured here.
    notes:   what is worth knowing of it, and no fault.
    """

    round: int
    verdict: Verdict
    state: str
    revealed: int
    accepted: int
    rejected: int
    paid: int
    bytes: int
    metrics: dict[str, float]
    basis: Basis = Basis.RECOMPUTED
    differences: tuple[Difference, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Books:
    """The bounty's money, and the market's balance of its token over all bounties.

    figures:  the sums in the end: deposits = payouts + refunds + rewards + returned + held.
    changed:  blocks that changed something; checked: at how many of them the chain was asked; first_checked: the
              earliest, 0 if none.
    held:     what the market must hold of the token for all bounties; balance: what it holds. None if not known.
    """

    figures: dict[str, int]
    changed: int
    checked: int
    first_checked: int
    held: int
    balance: int | None


@dataclass(frozen=True)
class EvaluatorScored:
    """An evaluator's part in a settled round.

    state:       `opened`, `silent` (committed, never opened) or `absent`.
    from_median: how far its report is from the weights, as a part of all pay; None without one, or a quorum.
    away:        the same, from what was measured here; None where nothing was.
    """

    evaluator: str
    state: str
    from_median: float | None
    away: float | None
    fee: int
    forfeited: int


@dataclass(frozen=True)
class RoundScoring:
    """A round that was divided by contribution. measured: the parts as measured here, in units of 2^-32."""

    round: int
    by_median: bool
    released: int
    pot: int
    rest: int
    weights: tuple[int, ...]
    measured: tuple[int, ...] | None
    evaluators: tuple[EvaluatorScored, ...]


@dataclass(frozen=True)
class AuditReport:
    """A bounty, recomputed up to one block."""

    bounty: int
    block: int
    block_hash: str
    verdict: Verdict
    metrics_start: dict[str, float]
    rounds: tuple[RoundReport, ...]
    money: dict[str, int]
    books: Books
    differences: tuple[Difference, ...]
    unchecked: tuple[Unchecked, ...] = field(default=())
    privacy: tuple[SpentPrivacy, ...] = field(default=())
    scoring: tuple[RoundScoring, ...] = field(default=())

    @property
    def all_differences(self) -> list[Difference]:
        return [*self.differences, *(one for report in self.rounds for one in report.differences)]

    @property
    def all_missing(self) -> list[str]:
        return list(dict.fromkeys(cid for report in self.rounds for cid in report.missing))

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def verdict_of(differences: Sequence[Difference], missing: Sequence[str]) -> Verdict:
    """Wrong beats unavailable beats ok."""
    if differences:
        return Verdict.WRONG
    return Verdict.UNAVAILABLE if missing else Verdict.OK
