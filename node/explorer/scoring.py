"""How a bounty that pays by contribution is divided: its panel, each round's scoring, who got what. Pure.

What the contract recorded is divided again from the opened reports, so that a page can say where the two differ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from incentives.score_accounts import account_scores
from incentives.score_settlement import Division
from ledger.history import BountyHistory, RoundHistory, accepted
from ledger.records import Address, Event, Merged, Revealed, RewardRule, Terms, Timestamp, Wei
from ledger.score_history import ScoreHistory, ScoreRound
from ledger.score_records import WHOLE, Panel, ScoreEvent, ScorePhase, unpack
from node.scored_rounds import expected_division


@dataclass(frozen=True)
class Told:
    """What was recorded of a bounty's scoring. now: by the chain's clock; time_of: when a block was made."""

    history: ScoreHistory
    now: Timestamp
    time_of: Callable[[int], Timestamp]


@dataclass(frozen=True)
class ReportLine:
    """An evaluator's part in one round.

    state: `opened`, `committed`, `never opened`, or `none`.
    far:   from the medians, as a share of all pay; None where there are none.
    near:  whether that is within the tolerance.
    """

    evaluator: Address
    state: str
    far: float | None
    near: bool
    fee: int
    forfeited: int


@dataclass(frozen=True)
class PartLine:
    """An update's part in one round. Parts are shares of all pay.

    least, greatest: among opened reports; None without.
    part, pay:       None until the round is divided.
    """

    reveal: Revealed
    accepted: bool
    least: float | None
    greatest: float | None
    part: float | None
    pay: Wei | None
    taken: bool


@dataclass(frozen=True)
class ScoringRound:
    """A merged round.

    ends_at: when time ends the phase; 0 where it does not.
    divided: `by medians`, `equally` or `to the owner`; empty until it is. why: where it is not by medians.
    faults:  what is recorded otherwise than it follows from the opened reports.
    """

    number: int
    phase: str
    ends_at: int
    commits: int
    opened: int
    divided: str
    why: str
    released: int
    pot: int
    rest: int
    reports: tuple[ReportLine, ...]
    updates: tuple[PartLine, ...]
    faults: tuple[str, ...]

    @property
    def fees(self) -> int:
        return sum(one.fee for one in self.reports)

    @property
    def forfeits(self) -> int:
        return sum(one.forfeited for one in self.reports)


@dataclass(frozen=True)
class EvaluatorLine:
    """An evaluator over all rounds. bond: what it has locked now; owed: fees that it has not taken."""

    account: Address
    bond: int
    committed: int
    opened: int
    silent: int
    fees: int
    owed: int
    forfeited: int


@dataclass(frozen=True)
class Scoring:
    """A bounty's scoring as far as it is told. held: what the contract keeps of it, by what for."""

    panel: Panel | None
    rounds: tuple[ScoringRound, ...]
    evaluators: tuple[EvaluatorLine, ...]
    held: tuple[tuple[str, int], ...]
    events: tuple[ScoreEvent, ...]

    def round(self, number: int) -> ScoringRound | None:
        return next((one for one in self.rounds if one.number == number), None)

    def pay(self, number: int) -> dict[int, Wei]:
        """What a divided round's updates got, by reveal index."""
        one = self.round(number)
        return {line.reveal.index: line.pay for line in one.updates if line.pay is not None} if one else {}

    def seat(self, account: Address) -> EvaluatorLine | None:
        """An account in the panel; None where it is in none."""
        return next((one for one in self.evaluators if one.account == account), None)

    def taken(self, provider: Address) -> int:
        """What a provider has claimed."""
        lines = (line for one in self.rounds for line in one.updates if line.taken and line.reveal.provider == provider)
        return sum(line.pay or 0 for line in lines)


def pays_by_contribution(terms: Terms) -> bool:
    return terms.reward_rule == RewardRule.CONTRIBUTION


def scoring_of(history: BountyHistory, told: Told) -> Scoring:
    appointed = told.history.appointed
    panel = appointed.panel if appointed else None
    accounts = account_scores(told.history.events)
    rounds = tuple(_round(one, one.merged, panel, told) for one in history.merged_rounds if one.merged)
    held = {
        "bonds of evaluators": sum(accounts.bonds.values()),
        "fees not taken yet": sum(accounts.fees.values()),
        "pay not taken yet": sum(sum(parts) for parts in accounts.unclaimed.values()),
        "the owner's rest": accounts.rest,
    }
    lines = []
    for account in panel.evaluators if panel else ():
        own = [line for one in rounds for line in one.reports if line.evaluator == account]
        lines.append(
            EvaluatorLine(
                account=account,
                bond=accounts.bonds.get(account, 0),
                committed=sum(line.state != "none" for line in own),
                opened=sum(line.state == "opened" for line in own),
                silent=sum(line.state == "never opened" for line in own),
                fees=sum(line.fee for line in own),
                owed=accounts.fees.get(account, 0),
                forfeited=sum(line.forfeited for line in own),
            )
        )
    return Scoring(panel, rounds, tuple(lines), tuple(held.items()), tuple(told.history.events))


def happened(history: BountyHistory, scoring: Scoring | None) -> list[Event]:
    """All events of a bounty, those of its scoring among them, in the order of execution."""
    found = [*history.events, *(scoring.events if scoring else ())]
    return sorted(found, key=lambda event: (event.at.block, event.at.log_index))


def phase_of(merged: Merged, one: ScoreRound, panel: Panel | None, told: Told) -> tuple[ScorePhase, int]:
    """Where a round's scoring stands, and when time ends that: the contract's `clock` from its events."""
    if one.scored is not None:
        return ScorePhase.SETTLED, 0
    if told.now < merged.vests_at:
        return ScorePhase.WAITING, merged.vests_at
    if panel is None:
        return ScorePhase.DUE, 0
    ends_at = merged.vests_at + panel.commit_seconds
    if len(one.commits) == len(panel.evaluators):
        ends_at = told.time_of(max(commit.at.block for commit in one.commits.values()))
    if told.now < ends_at:
        return ScorePhase.COMMIT, ends_at
    ends_at += panel.reveal_seconds
    if told.now < ends_at and len(one.reveals) < len(one.commits):
        return ScorePhase.REVEAL, ends_at
    return ScorePhase.DUE, 0


def _round(shown: RoundHistory, merged: Merged, panel: Panel | None, told: Told) -> ScoringRound:
    one = told.history.round(shown.number)
    phase, ends_at = phase_of(merged, one, panel, told)
    division, faults = _divided_again(merged, one, told.history)
    scored = one.scored
    return ScoringRound(
        number=shown.number,
        phase=phase.name.lower(),
        ends_at=ends_at,
        commits=len(one.commits),
        opened=len(one.reveals),
        divided=_divided(division),
        why=_why(division, one, panel),
        released=scored.released if scored else 0,
        pot=scored.pot if scored else 0,
        rest=scored.rest if scored else 0,
        reports=tuple(_report_lines(one, panel, phase, division)),
        updates=tuple(_part_lines(shown, merged, one, division)),
        faults=faults,
    )


def _divided_again(merged: Merged, one: ScoreRound, history: ScoreHistory) -> tuple[Division | None, tuple[str, ...]]:
    """A settled round's division by the rules, and what is recorded otherwise."""
    scored = one.scored
    if scored is None:
        return None, ()
    try:
        division = expected_division(history, merged, scored.released)
        weights: Sequence[int] = unpack(scored.weights, merged.reveals)
    except ValueError:
        return None, ("reports",)
    compared = {
        "weights": tuple(weights) == division.weights,
        "pot": scored.pot == division.pot,
        "rest": scored.rest == division.rest,
        "fees": sum(outcome.fee for outcome in one.outcomes.values()) == sum(division.fees),
        "forfeits": sum(outcome.forfeited for outcome in one.outcomes.values()) == sum(division.forfeits),
    }
    return division, tuple(what for what, same in compared.items() if not same)


def _divided(division: Division | None) -> str:
    if division is None:
        return ""
    if not sum(division.weights):
        return "to the owner"
    return "by medians" if division.by_median else "equally"


def _why(division: Division | None, one: ScoreRound, panel: Panel | None) -> str:
    if division is None or (division.by_median and sum(division.weights) > 0):
        return ""
    if division.by_median:
        return "By the medians no update weighs anything."
    if not sum(division.weights):
        return "No update was accepted."
    if panel is None:
        return "No panel was appointed."
    return f"{len(one.reveals)} of {len(panel.evaluators)} reports were opened; the quorum is {panel.quorum}."


def _report_lines(
    one: ScoreRound, panel: Panel | None, phase: ScorePhase, division: Division | None
) -> Sequence[ReportLine]:
    if panel is None:
        return []
    distances = division.distances if division else (None,) * len(panel.evaluators)
    over, lines = phase in (ScorePhase.DUE, ScorePhase.SETTLED), []
    for account, far in zip(panel.evaluators, distances, strict=True):
        state = "opened" if account in one.reveals else "committed" if account in one.commits else "none"
        outcome = one.outcomes.get(account)
        lines.append(
            ReportLine(
                evaluator=account,
                state="never opened" if state == "committed" and over else state,
                far=None if far is None else far / WHOLE,
                near=far is not None and far <= panel.farthest,
                fee=outcome.fee if outcome else 0,
                forfeited=outcome.forfeited if outcome else 0,
            )
        )
    return lines


def _part_lines(shown: RoundHistory, merged: Merged, one: ScoreRound, division: Division | None) -> Sequence[PartLine]:
    counted = {reveal.index for reveal in accepted(merged, shown.reveals)}
    reports = [parts for report in one.reveals.values() if (parts := _parts(report.report, merged.reveals))]
    total = 0 if division is None else sum(division.weights)
    lines = []
    for reveal in shown.reveals[: merged.reveals]:
        index = reveal.index
        said = [parts[index] for parts in reports]
        weight = division.weights[index] if division else 0
        lines.append(
            PartLine(
                reveal=reveal,
                accepted=index in counted,
                least=min(said) / WHOLE if said else None,
                greatest=max(said) / WHOLE if said else None,
                part=(weight / total if total else 0.0) if division else None,
                pay=division.parts[index] if division else None,
                taken=reveal.update_root in one.claims,
            )
        )
    return lines


def _parts(words: Sequence[int], updates: int) -> tuple[int, ...]:
    """A report's parts; none of one that can't be read."""
    try:
        return unpack(words, updates)
    except ValueError:
        return ()
