"""What a panel's evaluator does next. Pure: a view in, actions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ledger.records import Phase
from ledger.score_records import Evaluator, Panel, ScorePhase, ScoreState
from node.loop import Finish
from node.scored_rounds import Scoring


@dataclass(frozen=True)
class OwnReport:
    """The evaluator's part in one round.

    words: the journal's report; None if there is none.
    opens: whether `words` is what it has committed to on chain.
    """

    state: ScoreState
    words: tuple[int, ...] | None = None
    opens: bool = False


@dataclass(frozen=True)
class ScorerView:
    """What an evaluator sees at one block.

    reports: by round whose merge stands.
    attempts: how often each round was tried to be measured: one that can't be must not hold up the others.
    once:    whether it is to end when nothing is due now.
    """

    phase: Phase
    panel: Panel
    seat: Evaluator
    scoring: Scoring
    reports: Mapping[int, OwnReport]
    attempts: Mapping[int, int] = field(default_factory=dict)
    once: bool = False


@dataclass(frozen=True)
class Deposit:
    """Lock the bond, or what is missing of it."""


@dataclass(frozen=True)
class Measure:
    """Measure a round, and write the report down."""

    round: int


@dataclass(frozen=True)
class Commit:
    round: int
    words: tuple[int, ...]


@dataclass(frozen=True)
class Reveal:
    round: int
    words: tuple[int, ...]


@dataclass(frozen=True)
class Settle:
    round: int


@dataclass(frozen=True)
class Collect:
    """Take the fees."""


@dataclass(frozen=True)
class Withdraw:
    """Take the bond back."""


Action = Deposit | Measure | Commit | Reveal | Settle | Collect | Withdraw

_OVER = (Phase.ENDED, Phase.CANCELLED)


def decide(view: ScorerView) -> Sequence[Action | Finish]:
    """Open what is committed, then settle, then measure and commit; after the end take fees and bond.

    One action a look, the most urgent first: a report that is not opened in time costs money.
    """
    for find in (_opening, _settlement, _commitment, _ending):
        found = find(view)
        if found is not None:
            return [found]
    if view.once:
        return [Finish("nothing is due now")]
    return []


def _opening(view: ScorerView) -> Action | None:
    for number in _by_attempts(view, ScorePhase.REVEAL):
        own = view.reports[number]
        if own.state != ScoreState.COMMITTED:
            continue
        if own.words is None:
            return Measure(number)
        if own.opens:
            return Reveal(number, own.words)
    return None


def _by_attempts(view: ScorerView, phase: ScorePhase) -> list[int]:
    return sorted(view.scoring.rounds_in(phase), key=lambda number: view.attempts.get(number, 0))


def _settlement(view: ScorerView) -> Action | None:
    due = view.scoring.rounds_in(ScorePhase.DUE)
    return Settle(due[0]) if due else None


def _commitment(view: ScorerView) -> Action | None:
    if view.phase not in _OVER and view.seat.bond < view.panel.forfeit:
        return Deposit()
    for number in _by_attempts(view, ScorePhase.COMMIT):
        own = view.reports[number]
        if own.state != ScoreState.NONE:
            continue
        if own.words is None:
            return Measure(number)
        covers = view.seat.bond >= view.panel.forfeit * (view.seat.open + 1)
        if covers:
            return Commit(number, own.words)
        if view.seat.bond < view.panel.bond:
            return Deposit()
    return None


def _ending(view: ScorerView) -> Action | Finish | None:
    """After the bounty's end, when all is settled."""
    if view.phase not in _OVER or not view.scoring.is_settled:
        return None
    if view.seat.earned:
        return Collect()
    if view.seat.bond:
        return Withdraw()
    return Finish("all rounds are settled; fees and bond are taken")
