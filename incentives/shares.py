"""What a round has to give, and how it is divided. docs/PROTOCOL.md, sections 6 and 7.

Every division floors; what the floors leave over is named `residue` and goes to the owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.records import RewardRule, Terms, Wei


def round_share(terms: Terms, round_number: int) -> Wei:
    """The part of the pot that round `round_number` (from 1) may pay.

    Holds: the shares of all rounds sum to the pot.
    """
    if not 1 <= round_number <= terms.rounds:
        raise ValueError(f"round {round_number} is outside 1 .. {terms.rounds}")
    return Wei(terms.pot * round_number // terms.rounds - terms.pot * (round_number - 1) // terms.rounds)


def lapsed_share(terms: Terms, round_number: int, reveals: int, forfeited_bond: Wei = Wei(0)) -> Wei:  # noqa: B008
    """What each of a lapsed round's revealed updates may take, rounded down.

    forfeited_bond: of an aggregator that stayed silent; 0 where too few updates were revealed.
    Holds:          nobody earns more by making a round fail than its share at the quorum.
    """
    return Wei((round_share(terms, round_number) + forfeited_bond) // max(reveals, terms.min_updates))


def stake_weight(terms: Terms, stake: Wei) -> int:
    """The weight that an update has by its provider's stake: whole multiples of the least, capped; at least 1."""
    if terms.reward_rule == RewardRule.EQUAL:
        return 1
    return max(1, min(stake // terms.stake, terms.max_weight))


@dataclass(frozen=True)
class Division:
    """How a share was divided: `amounts` in the order of the weights, `residue` to the owner."""

    amounts: tuple[Wei, ...]
    residue: Wei

    @property
    def paid(self) -> Wei:
        return Wei(sum(self.amounts))


def divide(share: Wei, weights: Sequence[int]) -> Division:
    """Divide a share in proportion to weights (all 1 under `equal`), each amount rounded down.

    Holds:  paid + residue == share; 0 <= residue < max(1, number of weights), or all of it without weights;
            an amount depends on its own weight and the total only.
    Raises: ValueError for a weight below 1.
    """
    if any(weight < 1 for weight in weights):
        raise ValueError(f"weights must be at least 1, not {min(weights)}")
    total = sum(weights)
    amounts = tuple(Wei(share * weight // total) for weight in weights)
    residue = Wei(share - sum(amounts))
    assert sum(amounts) + residue == share, "every unit of the share is accounted for"
    assert residue >= 0, "floors never give more than there is"
    return Division(amounts, residue)
