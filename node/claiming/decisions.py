"""What an account can take out of a bounty now. Pure: a view in, actions out.

Three questions, each to a view taken after the answers to the one before were carried out: what time has decided and
nobody has written down, which rounds wait for nothing but to be divided, and what can then be taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ledger.records import Phase, Wei
from ledger.score_records import ScorePhase
from node.aggregator.decisions import Refund, Settle, WithdrawBond
from node.claiming.view import ClaimView
from node.explaining.stakes import stake_free_at
from node.provider.decisions import Claim, ClaimLapsed, ClaimScored, Collection, SettleScored, WithdrawStake, claims
from node.scored_rounds import pending
from node.scorer.decisions import Collect, Withdraw


class Own(StrEnum):
    """What of a bounty's money can be somebody's own."""

    PAY = "pay"
    LAPSED = "pay of a round without a merge"
    SCORED = "pay by contribution"
    STAKE = "stake"
    BOND = "aggregator's bond"
    FEES = "evaluator's fees"
    EVALUATOR_BOND = "evaluator's bond"
    REFUND = "owner's refund"
    REST = "owner's rest of rounds by contribution"


@dataclass(frozen=True)
class ReturnRest:
    """Send the owner what the divisions by contribution left."""


Action = Collection | Settle | Refund | WithdrawBond | Collect | Withdraw | ReturnRest


@dataclass(frozen=True)
class Taking:
    """Something that the account can take out now."""

    own: Own
    amount: Wei
    action: Action


def unwritten(view: ClaimView) -> list[Settle]:
    """Have the market write down a lapse or an end that changes what the account can take."""
    provider = view.provider
    ended = provider.clock.phase == Phase.ENDED and provider.history.ended is None
    if not ended and provider.clock.round <= len(provider.history.rounds):
        return []
    shown = any(
        one.reveal_of(provider.account) is not None and one.merged is None and one.lapsed is None
        for one in provider.history.rounds.values()
    )
    return [Settle()] if shown or (ended and (view.is_owner or view.bond)) else []


def undivided(view: ClaimView) -> list[SettleScored]:
    """Have rounds divided by contribution that wait for nothing else.

    A provider those that count an update of its own, an evaluator all, an owner all once the bounty is over.
    """
    provider = view.provider
    if provider.scoring is None:
        return []
    if view.seat or (view.is_owner and view.is_over):
        return [SettleScored(number) for number in provider.scoring.rounds_in(ScorePhase.DUE)]
    unsettled = pending(provider.scoring, provider.history, provider.account)
    return [SettleScored(number) for number, phase in unsettled.items() if phase == ScorePhase.DUE]


def takings(view: ClaimView) -> list[Taking]:
    """All that the account can take out now. Last what a wrong payout tree could refuse, so that it stops nothing."""
    return [*_deposits(view), *_owners(view), *_pay(view)]


def _deposits(view: ClaimView) -> Iterator[Taking]:
    """Stake, bonds and fees. Bonds stay while the bounty runs: rounds to come may need them."""
    provider = view.provider
    stake, free_at = provider.standing.stake, stake_free_at(provider)
    if stake and free_at is not None and free_at <= provider.now:
        lost = provider.terms.forfeit if provider.forfeit_due else 0
        yield Taking(Own.STAKE, Wei(stake - lost), WithdrawStake())
    if view.bond and view.is_over and view.bond_free_at <= provider.now:
        yield Taking(Own.BOND, view.bond, WithdrawBond())
    if view.seat is None:
        return
    if view.seat.earned:
        yield Taking(Own.FEES, view.seat.earned, Collect())
    settled = provider.scoring is not None and provider.scoring.is_settled
    if view.seat.bond and view.is_over and settled and not view.seat.open:
        yield Taking(Own.EVALUATOR_BOND, view.seat.bond, Withdraw())


def _owners(view: ClaimView) -> Iterator[Taking]:
    if not view.is_owner:
        return
    provider = view.provider
    vested = provider.history.last_vests_at <= provider.now
    if provider.clock.phase == Phase.ENDED and vested and view.money.free:
        yield Taking(Own.REFUND, view.money.free, Refund())
    if view.rest:
        yield Taking(Own.REST, view.rest, ReturnRest())


def _pay(view: ClaimView) -> Iterator[Taking]:
    provider = view.provider
    found = claims(provider)
    for action in sorted(found, key=lambda one: isinstance(one, Claim)):
        match action:
            case Claim(cumulative=cumulative):
                yield Taking(Own.PAY, Wei(cumulative - provider.standing.claimed), action)
            case ClaimLapsed(round=number):
                lapsed = provider.history.rounds[number].lapsed
                assert lapsed is not None, "only lapsed rounds are claimed so"
                yield Taking(Own.LAPSED, lapsed.share, action)
            case ClaimScored(due=due):
                yield Taking(Own.SCORED, due.amount, action)
