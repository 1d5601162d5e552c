"""What happened to a bounty in the contract that divides by contribution, folded from its events. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from ledger.records import Address, Revealed
from ledger.score_records import (
    EvaluatorSettled,
    PanelAppointed,
    RoundScored,
    ScoreClaimed,
    ScoreEvent,
    ScoresCommitted,
    ScoresRevealed,
    unpack,
)


@dataclass
class ScoreRound:
    """The scoring of one round. commits, reveals, outcomes: by evaluator; claims: by update root."""

    commits: dict[Address, ScoresCommitted] = field(default_factory=dict)
    reveals: dict[Address, ScoresRevealed] = field(default_factory=dict)
    outcomes: dict[Address, EvaluatorSettled] = field(default_factory=dict)
    scored: RoundScored | None = None
    claims: dict[bytes, ScoreClaimed] = field(default_factory=dict)

    def weight_of(self, revealed: Revealed) -> int:
        """What an update weighs in the settled round; 0 where the round is not settled."""
        if self.scored is None:
            return 0
        return unpack(self.scored.weights, 8 * len(self.scored.weights))[revealed.index]

    @property
    def total(self) -> int:
        """All weights together."""
        return sum(unpack(self.scored.weights, 8 * len(self.scored.weights))) if self.scored else 0


@dataclass
class ScoreHistory:
    """A bounty's scoring from the appointment on; `appointed` is None where no panel was."""

    appointed: PanelAppointed | None = None
    rounds: dict[int, ScoreRound] = field(default_factory=lambda: defaultdict(ScoreRound))
    events: list[ScoreEvent] = field(default_factory=list)

    def round(self, number: int) -> ScoreRound:
        """A round's scoring, empty where nothing has happened."""
        return self.rounds.get(number, ScoreRound())

    def shown_reports(self, number: int) -> list[tuple[int, ...]]:
        """What settling a round has to show: each evaluator's words, none where it opened nothing, none without a
        quorum.
        """
        if self.appointed is None:
            return []
        panel, reveals = self.appointed.panel, self.round(number).reveals
        if len(reveals) < panel.quorum:
            return []
        return [reveals[one].report if one in reveals else () for one in panel.evaluators]


def build_scores(events: Iterable[ScoreEvent]) -> ScoreHistory:
    """Fold the events of one bounty, in the order of execution."""
    history = ScoreHistory()
    for event in events:
        history.events.append(event)
        match event:
            case PanelAppointed():
                history.appointed = event
            case ScoresCommitted():
                history.rounds[event.round].commits[event.evaluator] = event
            case ScoresRevealed():
                history.rounds[event.round].reveals[event.evaluator] = event
            case EvaluatorSettled():
                history.rounds[event.round].outcomes[event.evaluator] = event
            case RoundScored():
                history.rounds[event.round].scored = event
            case ScoreClaimed():
                history.rounds[event.round].claims[event.update_root] = event
    return history
