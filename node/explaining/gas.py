"""What a provider's transactions take, and cost at a price. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MEASURED_GAS: Mapping[str, int] = {
    "approve": 46_100,
    "join": 114_200,
    "commit": 49_700,
    "reveal": 63_500,
    "claim": 77_000,
    "withdraw the stake": 56_200,
}
"""Gas of a provider's calls. Source: contracts/README.md, section "Gas", the upper end of what was measured there;
`approve`, `join` with an address and a key, and the withdrawal: measured on the devnet with `DevToken`."""

A_ROUND = ("commit", "reveal")

SCORED_CLAIM_GAS = 79_000
"""Of claiming a round that was divided by contribution: each by itself. Source: as above."""


@dataclass(frozen=True)
class GasLine:
    """estimated: by the node for this very account; else as measured before."""

    call: str
    gas: int
    times: int
    estimated: bool


@dataclass(frozen=True)
class GasBill:
    """price: wei a unit of gas by today's base fee and tip; ceiling: what a transaction offers at most."""

    lines: tuple[GasLine, ...]
    price: int
    ceiling: int

    @property
    def gas(self) -> int:
        return sum(line.gas * line.times for line in self.lines)

    @property
    def cost(self) -> int:
        return self.gas * self.price

    def as_json(self) -> dict[str, Any]:
        return {
            "price_wei": str(self.price),
            "ceiling_wei": str(self.ceiling),
            "gas": self.gas,
            "cost_wei": str(self.cost),
            "most_wei": str(self.gas * self.ceiling),
            "calls": [
                {"call": line.call, "gas": line.gas, "times": line.times, "estimated_by_the_node": line.estimated}
                for line in self.lines
            ],
        }


def make_bill(
    rounds: int, price: int, ceiling: int, estimated: Mapping[str, int], by_contribution: bool = False
) -> GasBill:
    """What it takes to join, to take part in each round, to claim and to take the stake back.

    estimated:       the node's own figures, by call.
    by_contribution: each round is claimed by itself; else one claim takes all.
    """
    calls = {**MEASURED_GAS, "claim": SCORED_CLAIM_GAS} if by_contribution else MEASURED_GAS
    each_round = (*A_ROUND, "claim") if by_contribution else A_ROUND
    lines = [
        GasLine(call, estimated.get(call, gas), rounds if call in each_round else 1, call in estimated)
        for call, gas in calls.items()
    ]
    return GasBill(tuple(lines), price, ceiling)
