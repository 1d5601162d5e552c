"""A provider's pay by contribution: how a settled round divided it, and whether that follows from the reports. Pure."""

from __future__ import annotations

from ledger.history import BountyHistory, RoundHistory
from ledger.records import Address, Merged, Revealed, ShareReleased, Wei
from ledger.score_records import unpack
from node.explaining.receipt import Check, Division
from node.scored_rounds import Scoring, amount_of, expected_division

NOTHING = "nothing"


def scored_division(scoring: Scoring, one: RoundHistory, mine: Revealed, updates: int) -> Division | None:
    """How a settled round paid an update; None where it is not settled, or nothing weighed."""
    scored = scoring.history.round(one.number).scored
    if scored is None:
        return None
    weights = unpack(scored.weights, 8 * len(scored.weights))
    return Division(scored.pot, weights[mine.index], sum(weights), updates) if sum(weights) else None


def scored_claims(scoring: Scoring | None, account: Address) -> Wei:
    """What the account has taken of settled rounds."""
    if scoring is None:
        return Wei(0)
    claims = [claim for one in scoring.history.rounds.values() for claim in one.claims.values()]
    return Wei(sum(claim.amount for claim in claims if claim.provider == account))


def score_checks(scoring: Scoring | None, history: BountyHistory, merged: Merged, account: Address) -> list[Check]:
    """A settlement recomputed from what evaluators opened, beside what the contract recorded."""
    one = scoring.history.round(merged.round) if scoring else None
    if scoring is None or one is None or one.scored is None:
        return []
    released = released_of(history, merged.round)
    division = expected_division(scoring.history, merged, released)
    weights = unpack(one.scored.weights, merged.reveals)
    checks = [
        Check("released by the market", str(released), str(one.scored.released)),
        Check("weights of the round", _listed(division.weights), _listed(weights)),
        Check("pot of the round", str(division.pot), str(one.scored.pot)),
        Check("left over by the floors", str(division.rest), str(one.scored.rest)),
    ]
    mine = history.rounds[merged.round].reveal_of(account)
    claimed = one.claims.get(mine.update_root) if mine else None
    if mine is not None and claimed is not None:
        amount = amount_of(scoring.history, merged.round, mine)
        checks.append(Check("claimed of the round", str(amount), str(claimed.amount)))
    return checks


def released_of(history: BountyHistory, number: int) -> Wei:
    """What the market says that it handed over for a round."""
    released = [event for event in history.events if isinstance(event, ShareReleased) and event.round == number]
    return Wei(sum(event.amount for event in released))


def _listed(weights: tuple[int, ...]) -> str:
    return " ".join(map(str, weights)) or NOTHING
