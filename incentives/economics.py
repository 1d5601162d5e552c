"""What joining a bounty can bring and cost, for people who are about to decide."""

from __future__ import annotations

from dataclasses import dataclass

from incentives.rewards import weight_of
from incentives.shares import round_share
from ledger.records import RewardRule, Terms, Wei
from ledger.score_records import BASIS, Panel


@dataclass(frozen=True)
class PayEstimate:
    """What one provider can expect.

    least:      for an accepted update in a full round (`max_updates`), all others of the greatest weight.
    most:       for an accepted update in a round of the bare quorum, all others of weight 1.
    expected:   for an accepted update when all present members take part with equal weights; by contribution the
                average of all updates, which is nobody's in particular.
    all_rounds: `least` and `most` added up over all rounds.
    at_risk:    what it loses at worst: a forfeit for each commitment that it never reveals.
    """

    least: Wei
    most: Wei
    expected: Wei
    all_rounds: tuple[Wei, Wei]
    at_risk: Wei


def estimate_pay(terms: Terms, members: int = 0, stake: Wei | None = None) -> PayEstimate:
    """Estimate pay and risk of one provider.

    members:  present members, the provider itself included; 0 where unknown.
    stake:    what the provider would lock; None for the least.
    Holds:    by contribution a round may bring nothing, or all of it.
    Rounding: down, as the payouts themselves are.
    """
    own = terms.stake if stake is None else stake
    weight = weight_of(own, terms)
    heaviest = terms.max_weight if terms.reward_rule == RewardRule.STAKE else 1
    shares = [round_share(terms, number) for number in range(1, terms.rounds + 1)]
    in_full_round = weight + (terms.max_updates - 1) * heaviest
    in_quorum = weight + (terms.min_updates - 1)
    taking_part = min(terms.max_updates, max(terms.min_updates, members))
    if terms.reward_rule == RewardRule.CONTRIBUTION:
        expected, everything = Wei(min(shares) // taking_part), (Wei(0), Wei(sum(shares)))
        return PayEstimate(Wei(0), Wei(max(shares)), expected, everything, _worst_loss(terms, own))
    return PayEstimate(
        least=Wei(min(shares) * weight // in_full_round),
        most=Wei(max(shares) * weight // in_quorum),
        expected=Wei(min(shares) // taking_part),
        all_rounds=(
            Wei(sum(share * weight // in_full_round for share in shares)),
            Wei(sum(share * weight // in_quorum for share in shares)),
        ),
        at_risk=_worst_loss(terms, own),
    )


def least_pot(share: Wei, panel: Panel) -> Wei:
    """What the updates of a round divide by contribution when every evaluator earns its fee, and none forfeits.

    Rounding: each fee down, as the contract does.
    """
    count = len(panel.evaluators)
    return Wei(share - share * panel.fee_share // BASIS // count * count)


def _worst_loss(terms: Terms, stake: Wei) -> Wei:
    """One forfeit a round, until too little is left to lose another and the membership ends."""
    if terms.forfeit == 0:
        return Wei(0)
    return Wei(terms.forfeit * min(terms.rounds, stake // terms.forfeit))
