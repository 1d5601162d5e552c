"""How a round's share is divided among its accepted updates.

docs/PROTOCOL.md, section 7. `equal` and `stake` are one division by integer weights, exact to the unit. Under
`contribution` the payout tree divides nothing: the share is released to the contract that does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incentives.shares import NOTHING
from ledger.records import RewardRule, Terms, Wei


@dataclass(frozen=True)
class Split:
    """A share divided.

    parts:   what each weight earns, in the order given.
    residue: what the floors and updates missing from a quorum left over; it stays in escrow and is the owner's.
    released: what another contract divides.
    """

    parts: tuple[Wei, ...]
    residue: Wei
    released: Wei = NOTHING

    @property
    def paid(self) -> Wei:
        """What the merge claims: all that leaves the owner's purse."""
        return Wei(sum(self.parts) + self.released)


def divisor_of(weights: Sequence[int], quorum: int) -> int:
    """What a share is divided by: the weights' sum, but no less than the least weight of `quorum` updates.

    So whoever leaves others out, for reasons that no contract can judge, makes nobody's part greater than that.
    """
    return max(sum(weights), quorum)


def split(share: Wei, weights: Sequence[int], quorum: int = 1) -> Split:
    """Divide a share in proportion to weights.

    weights:  1 or more, one for each accepted update.
    quorum:   the bounty's least number of updates: fewer leave their parts undivided.
    Rounding: each part down; with a quorum of weight the residue is less than the number of weights.
    Holds:    paid + residue == share; a part depends on its own weight and the total alone.
    Raises:   ValueError for a negative share or a weight below 1.
    """
    if share < 0:
        raise ValueError(f"a share can't be {share}")
    if any(weight < 1 for weight in weights):
        raise ValueError(f"weights must be 1 or more, not {min(weights)}")
    if not weights:
        return Split((), share)
    divisor = divisor_of(weights, quorum)
    parts = tuple(Wei(share * weight // divisor) for weight in weights)
    residue = Wei(share - sum(parts))
    assert sum(parts) + residue == share, "every unit of the share is accounted for"
    assert residue >= 0, "floors never pay more than the share"
    return Split(parts, residue)


def weight_of(stake: Wei, terms: Terms) -> int:
    """How much a provider's update weighs at its reveal, as the contract emits it.

    stake:    the provider's at that moment; a forfeit may have brought it below `terms.stake`.
    Rounding: whole multiples of the least stake, down, but at least 1 and at most `terms.max_weight`.
    """
    if terms.reward_rule != RewardRule.STAKE:
        return 1
    return max(1, min(stake // terms.stake, terms.max_weight))
