"""Pay by contribution, audited: settlements recomputed, units accounted for, reports held to their commitments.

Given the validation data, the scores too are measured again: how far each evaluator's report is from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from incentives.score_accounts import account_scores
from incentives.score_settlement import Division, distance
from ledger.erc20 import Token
from ledger.errors import ContentError, WrongChain
from ledger.history import BountyHistory
from ledger.keccak import Hash32
from ledger.market import Market
from ledger.records import Address, BountyId, Merged, Posted, ShareReleased, Wei
from ledger.score_history import ScoreHistory, ScoreRound, build_scores
from ledger.score_records import WHOLE, ScoreEvent, ScoreScope, score_commitment, unpack
from ledger.scores import Scores
from node.auditor.report import Difference, EvaluatorScored, RoundScoring, Unchecked
from node.auditor.sources import Told
from node.score_work import ScoreWork
from node.scored_rounds import expected_division, scores_of

Seed = Callable[[int], Hash32 | None]


@dataclass(frozen=True)
class ScoringFindings:
    """What the settlements' replay says."""

    rounds: tuple[RoundScoring, ...] = ()
    differences: tuple[Difference, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()


def check_scoring(
    market: Market,
    history: BountyHistory,
    told: Told,
    work: ScoreWork | None = None,
    seed: Seed = lambda number: None,
) -> ScoringFindings:
    """Replay the scoring of a bounty up to a block; nothing where it pays by another rule.

    told: the events of all the market's bounties: they tell which token each is paid in.
    work: measures the rounds again; None without the validation data.
    """
    terms = history.posted.terms
    scores = scores_of(market, terms)
    if scores is None:
        return ScoringFindings()
    events = scores.read(told.logs(scores.address))
    own = [event for event in events if event.bounty == history.bounty]
    scoring = build_scores(own)
    rounds, differences = [], [*_money(scores, events, told, terms.token), *_accounts(own)]
    for one in history.merged_rounds:
        scored = scoring.round(one.number)
        if one.merged is None or scored.scored is None:
            continue
        division = expected_division(scoring, one.merged, _released(history, one.number))
        differences += [*_settlement(one.merged, scored, division), *_openings(scores, scoring, scored, history.bounty)]
        parts = _measured(work, history, one.number, seed)
        rounds.append(_report(one.merged, scoring, division, parts))
    return ScoringFindings(tuple(rounds), tuple(differences), tuple(_unchecked(scoring, work)))


def _released(history: BountyHistory, number: int) -> Wei:
    released = [event for event in history.events if isinstance(event, ShareReleased) and event.round == number]
    return Wei(sum(event.amount for event in released))


def _measured(work: ScoreWork | None, history: BountyHistory, number: int, seed: Seed) -> tuple[int, ...] | None:
    """The parts as measured here; None where they can't be."""
    if work is None:
        return None
    try:
        return work.measure(history, number, seed(number))
    except ContentError:
        return None


# --- what follows ---


def _settlement(merged: Merged, scored: ScoreRound, division: Division) -> Iterator[Difference]:
    """A settlement against what evaluators opened."""
    told = scored.scored
    assert told is not None
    found: list[tuple[str, object, object]] = [
        ("whether the medians divide", told.by_median, division.by_median),
        ("weights", unpack(told.weights, merged.reveals), division.weights),
        ("pot", told.pot, division.pot),
        ("rest", told.rest, division.rest),
        ("fees", sum(one.fee for one in scored.outcomes.values()), sum(division.fees)),
        ("forfeits", sum(one.forfeited for one in scored.outcomes.values()), sum(division.forfeits)),
    ]
    for what, claimed, expected in found:
        if claimed != expected:
            yield Difference(merged.round, f"scoring ({what})", str(claimed), str(expected))


def _openings(scores: Scores, scoring: ScoreHistory, scored: ScoreRound, bounty: BountyId) -> Iterator[Difference]:
    """Each opened report against what its evaluator had committed to."""
    for evaluator, shown in scored.reveals.items():
        scope = ScoreScope(scores.chain.chain_id, scores.address, bounty, shown.round, evaluator)
        opened = score_commitment(scope, shown.report, shown.salt)
        committed = scored.commits[evaluator].commitment if evaluator in scored.commits else b""
        if opened != committed:
            what = f"scoring (report of {evaluator})"
            yield Difference(shown.round, what, "0x" + committed.hex(), "0x" + opened.hex())


def _accounts(events: Iterable[ScoreEvent]) -> Iterator[Difference]:
    """Amounts that do not follow from the events before them."""
    for fault in account_scores(events).faults:
        what = f"scoring ({fault.what}, {type(fault.event).__name__} in block {fault.event.at.block})"
        yield Difference(getattr(fault.event, "round", 0), what, str(fault.claimed), str(fault.expected))


def _money(scores: Scores, events: Iterable[ScoreEvent], told: Told, token: Address) -> Iterator[Difference]:
    """What the contract holds of the token against what it owes of all bounties that are paid in it."""
    paid_in = {event.bounty: event.terms.token for event in told.events if isinstance(event, Posted)}
    by_bounty: dict[BountyId, list[ScoreEvent]] = {}
    for event in events:
        by_bounty.setdefault(event.bounty, []).append(event)
    owed = sum(account_scores(own).held for bounty, own in by_bounty.items() if paid_in.get(bounty) == token)
    last = told.block.number
    try:
        balance = Token(scores.chain, token).balances_at(scores.address, [last]).get(last)
    except WrongChain:
        return
    if balance is not None and balance < owed:
        what = f"scoring (the contract's balance after block {last})"
        yield Difference(0, what, str(balance), f"at least {owed}")


# --- what is told ---


def _report(merged: Merged, scoring: ScoreHistory, division: Division, parts: tuple[int, ...] | None) -> RoundScoring:
    one = scoring.round(merged.round)
    assert one.scored is not None
    evaluators = scoring.appointed.panel.evaluators if scoring.appointed else ()
    found = []
    for place, evaluator in enumerate(evaluators):
        far, outcome = division.distances[place], one.outcomes.get(evaluator)
        shown = one.reveals.get(evaluator)
        away = distance(unpack(shown.report, merged.reveals), parts) / WHOLE if shown and parts is not None else None
        found.append(
            EvaluatorScored(
                evaluator=evaluator,
                state=_state(evaluator, one.commits, one.reveals),
                from_median=None if far is None else far / WHOLE,
                away=away,
                fee=outcome.fee if outcome else 0,
                forfeited=outcome.forfeited if outcome else 0,
            )
        )
    return RoundScoring(
        round=merged.round,
        by_median=one.scored.by_median,
        released=one.scored.released,
        pot=one.scored.pot,
        rest=one.scored.rest,
        weights=division.weights,
        measured=parts,
        evaluators=tuple(found),
    )


def _state(evaluator: Address, commits: Mapping[Address, object], reveals: Mapping[Address, object]) -> str:
    if evaluator in reveals:
        return "opened"
    return "silent" if evaluator in commits else "absent"


def _unchecked(scoring: ScoreHistory, work: ScoreWork | None) -> Iterator[Unchecked]:
    if scoring.appointed is None:
        return
    if work is None:
        yield Unchecked(
            "what evaluators measured: their reports are floating point on data that is not published (--validation)",
            "that fewer than half of the panel's reports are false; the owner chose the panel",
        )
    else:
        yield Unchecked("that the validation data stands for the task", "the owner, who chose it and the panel")
