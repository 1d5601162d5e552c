"""What joining can bring and cost, before anyone joins. docs/PROTOCOL.md, sections 6 and 7."""

from __future__ import annotations

from dataclasses import dataclass

from incentives.shares import round_share
from ledger.records import RewardRule, Terms, Wei


@dataclass(frozen=True)
class PayEstimate:
    """Pay of one accepted update in one round, and the worst that can happen to the stake in one round.

    least: all places of a round are taken (by the heaviest stakes, where stakes weigh).
    most:  the quorum is just reached (and this update is the heaviest, where stakes weigh).
    """

    least: Wei
    most: Wei
    at_risk: Wei


def estimate_pay(terms: Terms) -> PayEstimate:
    """The range of pay that the terms allow for an accepted update, each bound rounded down."""
    share = round_share(terms, 1)
    heaviest = terms.max_weight if terms.reward_rule == RewardRule.STAKE else 1
    least = share // (1 + (terms.max_updates - 1) * heaviest)
    most = share * heaviest // (heaviest + terms.min_updates - 1)
    return PayEstimate(Wei(least), Wei(most), terms.forfeit)
