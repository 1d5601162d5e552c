"""The clock of a round that is paid by contribution, from its vesting to its division. Pure."""

from __future__ import annotations

from ledger.records import Timestamp
from ledger.score_records import ScoreClock, ScorePhase
from node.explorer.bounty_page import PhaseClock

_PHASES = {
    ScorePhase.WAITING: ("waiting", "The merge can still be challenged. Evaluators measure once its pay has vested."),
    ScorePhase.COMMIT: ("commit", "Evaluators commit to what they measured. Nobody can see a report yet."),
    ScorePhase.REVEAL: ("reveal", "Evaluators open what they committed to."),
    ScorePhase.DUE: ("due", "The evaluators' time is over, or all have acted: anyone may divide the round now."),
    ScorePhase.SETTLED: ("settled", "The round is divided. What it brought can be claimed at any time."),
}
_ORDER = tuple(_PHASES)


def scoring_clock(clock: ScoreClock, number: int, now: Timestamp) -> PhaseClock | None:
    """now: the time of the block that the clock was read at. None before the round's merge."""
    if clock.phase not in _PHASES:
        return None
    name, meaning = _PHASES[clock.phase]
    steps = [
        (_PHASES[phase][0], "past" if phase < clock.phase else "now" if phase == clock.phase else "next")
        for phase in _ORDER
    ]
    left = max(clock.ends_at - now, 0) if clock.ends_at else None
    counts = f"{clock.commits} evaluators committed, {clock.reveals} opened their reports"
    return PhaseClock(f"scores: {name}", meaning, number, clock.ends_at, left, counts, tuple(steps))
