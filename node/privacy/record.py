"""What each provider's privacy has cost by round: a function of the manifest and of the chain's reveals. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ledger.history import BountyHistory
from ledger.records import Address
from node.manifest import Manifest, privacy
from node.privacy.accounting import Spend, epsilon
from node.privacy.purses import guarantees_of


@dataclass(frozen=True)
class SpentPrivacy:
    """A provider's noise in a round, and what all its updates up to then tell.

    rounds:         in which it revealed an update, this one included.
    sigma, q, steps: of DP-SGD; None without it.
    update_noise, honest: of noise on whole updates; None without it.
    epsilon:        of one example, over these rounds; None where nothing bounds it.
    epsilon_update: of its updates as a whole, each seen alone; epsilon_sum: seen in sums of `honest`.
    """

    round: int
    provider: Address
    rounds: int
    sigma: float | None
    q: float | None
    steps: int | None
    update_noise: int | None
    honest: int | None
    delta: float
    epsilon: float | None
    epsilon_update: float | None
    epsilon_sum: float | None


def spent_in_round(history: BountyHistory, manifest: Manifest, number: int) -> list[SpentPrivacy]:
    """One entry for each update that was revealed in a round, by reveal index; none where there is no noise."""
    section, given = privacy(manifest), guarantees_of(manifest)
    delta = section.delta
    if delta is None:
        return []
    before = [one for one in history.rounds.values() if one.number <= number]

    def cost(spend: Spend | None, rounds: int) -> float | None:
        found = math.inf if spend is None else epsilon([spend] * rounds, delta)
        return float(f"{found:.6g}") if math.isfinite(found) else None  # a report has 256 KiB for 256 updates

    entries = []
    for reveal in history.rounds[number].reveals:
        rounds = sum(one.reveal_of(reveal.provider) is not None for one in before)
        entries.append(
            SpentPrivacy(
                round=number,
                provider=reveal.provider,
                rounds=rounds,
                sigma=section.noise_multiplier,
                q=section.sample_rate,
                steps=section.steps,
                update_noise=section.update_noise,
                honest=section.honest,
                delta=delta,
                epsilon=cost(given.example, rounds),
                epsilon_update=cost(given.alone, rounds),
                epsilon_sum=cost(given.summed, rounds),
            )
        )
    return entries
