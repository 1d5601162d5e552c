"""What a strategy is worth once its costs are paid, and which one answers the others best. Nobody is paid by this.

Everything is in one unit, whichever the prices are in; docs/benchmarks/economics.md takes an honest round's fair pay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Prices:
    """What things cost.

    training: computing one honest update.
    gas:      a unit of gas.
    capital:  having one unit of money locked for a round.
    """

    training: float
    gas: float
    capital: float


@dataclass(frozen=True)
class Played:
    """What someone did and got in a bounty, over all its accounts, a round on average.

    earned:    pay and rewards, less forfeits and lost bonds.
    trainings: honest updates' worth of compute.
    gas:       of all transactions.
    locked:    money in stakes and bonds.
    """

    earned: float
    trainings: float
    gas: float
    locked: float

    def net(self, prices: Prices) -> float:
        """The payoff of a round."""
        return self.earned - self.trainings * prices.training - self.gas * prices.gas - self.locked * prices.capital


def best_reply(honest: str, payoffs: Mapping[str, float], tolerance: float = 0.0) -> str:
    """The strategy that pays most; `honest` unless another one pays more than it by over `tolerance`.

    Raises: KeyError if `honest` is not among the payoffs.
    """
    best = max(payoffs, key=lambda name: payoffs[name])
    return best if payoffs[best] > payoffs[honest] + tolerance else honest


def training_price_in_balance(honest: Played, other: Played, prices: Prices) -> float | None:
    """The price of a training at which both pay the same; None where both train as much.

    Holds: if `other` trains less, honest pays more exactly while a training costs less than this; if it trains more,
           exactly while it costs more.
    """
    saved = honest.trainings - other.trainings
    if saved == 0:
        return None
    free = Prices(0.0, prices.gas, prices.capital)
    return (honest.net(free) - other.net(free)) / saved


def identity_cost_in_balance(weight_of_others: float, identities: int) -> float:
    """What an identity has to cost a round, in shares of the round, so that another one does not pay under equal pay.

    weight_of_others: of all updates but the Sybil's own; identities: that it has.
    Holds: it is the part that the next identity adds: (k + 1) / (w + k + 1) - k / (w + k).
    """
    if weight_of_others < 0 or identities < 1:
        raise ValueError("there is at least one identity, and no negative weight")
    total = weight_of_others + identities
    return (identities + 1) / (total + 1) - identities / total
