"""What attackers send: functions of what omniscient attackers see in a round.

Vectors point where a gradient points: the server goes against their aggregate.

Shape suffixes: N honest, F attackers, D coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, auto
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from scripts.benchmarks.attacks_search import Damage, best_factor

Vectors = NDArray[np.float32]


class Poison(StrEnum):
    """What an attacker does to its own data before it computes a gradient."""

    NONE = auto()
    FLIP = auto()
    """Labels y become 9 - y."""
    TRIGGER = auto()
    """Half of a batch gets a bright corner and the label 0."""
    ONE_CLASS = auto()
    """It has nothing but examples of one class, the same for all attackers."""


@dataclass(frozen=True)
class Seen:
    """All that there is to see.

    honest_ND:  what the honest are about to send.
    own_FD:     what the attackers computed from data of their own; empty if they have none.
    previous_D: the aggregate of the round before, 0 in the first.
    damage:     how far the aggregate would go astray.
    """

    honest_ND: Vectors  # noqa: N815 - shape suffix
    own_FD: Vectors  # noqa: N815 - shape suffix
    previous_D: Vectors  # noqa: N815 - shape suffix
    attackers: int
    rng: np.random.Generator
    damage: Damage

    @cached_property
    def mean_D(self) -> Vectors:  # noqa: N802 - shape suffix
        return self.honest_ND.mean(0)

    @cached_property
    def deviation_D(self) -> Vectors:  # noqa: N802 - shape suffix
        """Standard deviation of each coordinate, with n - 1."""
        return np.std(self.honest_ND, axis=0, ddof=1, mean=self.mean_D[np.newaxis])

    @property
    def count(self) -> int:
        return len(self.honest_ND) + self.attackers


Send = Callable[[Seen], Vectors]
"""What the attackers send: one vector for all of them (D,), or one each (F, D)."""


def own(seen: Seen) -> Vectors:
    """What training on poisoned data gives."""
    return seen.own_FD


def negate_own(seen: Seen) -> Vectors:
    """Sign flip of the attacker's own gradient. Source: the ICLR 2022 study's bit flipping."""
    return -seen.own_FD


def negate_mean(seen: Seen) -> Vectors:
    """Sign flip of the honest mean. Source: Allen-Zhu et al. 2021, arXiv:2012.14368, as in ByzFL."""
    return -seen.mean_D


def gaussian(seen: Seen) -> Vectors:
    """Noise ten times as long as the honest mean, a vector each. Source: Blanchard et al. 2017, arXiv:1703.02757."""
    return _noise(seen, 10 * _length(seen.mean_D), seen.attackers)


def little(seen: Seen) -> Vectors:
    """A little is enough, with the factor by which just enough of the honest stand further out.

    Source: Baruch et al. 2019, arXiv:1902.06156, section 3.
    """
    supporters = seen.count // 2 + 1 - seen.attackers
    honest = len(seen.honest_ND)
    factor = NormalDist().inv_cdf((honest - supporters) / honest)
    return seen.mean_D - np.float32(factor) * seen.deviation_D


def little_optimised(seen: Seen) -> Vectors:
    """A little is enough, with the factor that does most damage. Source: ByzFL's `Optimal_ALittleIsEnough`."""
    return seen.mean_D + np.float32(best_factor(seen.damage, seen.deviation_D)) * seen.deviation_D


def inner_product(seen: Seen, epsilon: float = 0.1) -> Vectors:
    """Inner product manipulation. Source: Xie et al. 2019, arXiv:1903.03936; epsilon of the ICLR 2022 study."""
    return np.float32(-epsilon) * seen.mean_D


def inner_product_optimised(seen: Seen) -> Vectors:
    """Its factor that does most damage. Source: ByzFL's `Optimal_InnerProductManipulation`."""
    # mean - (factor + 1) * mean: the search is along -mean from the mean, as little_optimised's
    return seen.mean_D - np.float32(best_factor(seen.damage, -seen.mean_D, start=1.0)) * seen.mean_D


def min_max(seen: Seen) -> Vectors:
    """As far against the deviations as no further from any honest vector than two of those are from each other.

    Source: Shejwalkar and Houmansadr 2021 (NDSS), with the inverse standard deviation as direction; the factor is
    the root of a quadratic equation for each honest vector instead of their bisection.
    """
    towards_D = -seen.deviation_D
    apart_ND = seen.mean_D - seen.honest_ND
    products_NN = apart_ND @ apart_ND.T
    squares_N = np.diagonal(products_NN).astype(np.float64)
    widest = float((squares_N[:, np.newaxis] + squares_N - 2 * products_NN).max())
    square = float(towards_D @ towards_D)
    if square == 0:
        return seen.mean_D
    half_N = (apart_ND @ towards_D).astype(np.float64)
    roots_N = (-half_N + np.sqrt(np.maximum(half_N**2 - square * (squares_N - widest), 0))) / square
    return seen.mean_D + np.float32(roots_N.min()) * towards_D


def boosted(seen: Seen) -> Vectors:
    """One's own vector times n / f: enough to replace a mean. Source: Bagdasaryan et al. 2020, arXiv:1807.00459."""
    return np.float32(seen.count / seen.attackers) * seen.own_FD


def zero(seen: Seen) -> Vectors:
    """A free rider that sends nothing."""
    return np.zeros_like(seen.mean_D)


def noise(seen: Seen) -> Vectors:
    """A free rider that sends noise as long as an honest vector."""
    return _noise(seen, float(np.median([_length(one) for one in seen.honest_ND])), seen.attackers)


def replay(seen: Seen) -> Vectors:
    """A free rider that sends the aggregate of the round before."""
    return seen.previous_D


def copy_others(seen: Seen) -> Vectors:
    """A copy of another's vector each, with noise of 5 % of its length."""
    return np.stack([one + _noise(seen, 0.05 * _length(one), 1)[0] for one in seen.honest_ND[: seen.attackers]])


def repeat_own(seen: Seen) -> Vectors:
    """One's own vector under as many names as there are attackers."""
    return seen.own_FD[0]


class Mimic:
    """All attackers copy one honest vector: the one that stands out most in the first round.

    Source: Karimireddy et al. 2022, arXiv:2006.09365, appendix B; one round of warm-up, as its third experiment.
    """

    def __init__(self) -> None:
        self.target: int | None = None

    def __call__(self, seen: Seen) -> Vectors:
        if self.target is None:
            apart_ND = seen.honest_ND - seen.mean_D
            direction_D = (apart_ND @ seen.rng.standard_normal(len(seen.mean_D), np.float32)) @ apart_ND
            self.target = int(np.argmax(seen.honest_ND @ direction_D))
        return seen.honest_ND[self.target]


@dataclass(frozen=True)
class Attack:
    """What is done to the attackers' data, and what is sent; `make` gives each bounty its own sender."""

    make: Callable[[], Send]
    poison: Poison | None = None
    """None: the attackers compute nothing of their own."""


ATTACKS: dict[str, Attack] = {
    "none": Attack(lambda: own, Poison.NONE),
    "label flip": Attack(lambda: own, Poison.FLIP),
    "sign flip": Attack(lambda: negate_mean),
    "own sign flip": Attack(lambda: negate_own, Poison.NONE),
    "Gaussian": Attack(lambda: gaussian),
    "ALIE": Attack(lambda: little),
    "ALIE optimised": Attack(lambda: little_optimised),
    "IPM": Attack(lambda: inner_product),
    "IPM optimised": Attack(lambda: inner_product_optimised),
    "mimic": Attack(Mimic),
    "min-max": Attack(lambda: min_max),
    "scaled boosting": Attack(lambda: boosted, Poison.FLIP),
    "model replacement": Attack(lambda: boosted, Poison.TRIGGER),
    "zero": Attack(lambda: zero),
    "noise": Attack(lambda: noise),
    "replay": Attack(lambda: replay),
    "copycat": Attack(lambda: copy_others),
    "Sybil copies": Attack(lambda: repeat_own, Poison.ONE_CLASS),
}


def _noise(seen: Seen, length: float, rows: int) -> Vectors:
    drawn = seen.rng.standard_normal((rows, len(seen.mean_D)), np.float32)
    return drawn * np.float32(length / np.sqrt(len(seen.mean_D)))


def _length(vector_D: Vectors) -> float:
    return float(np.linalg.norm(vector_D))
