"""What noise buys, in epsilon and delta: Google's `dp-accounting` does the sums.

Two data sets are neighbours if one has one example more. All functions are pure.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from node.privacy_section import PrivacySection

PLD_LIMIT = 30.0
"""Above this epsilon, privacy loss distributions take minutes and gigabytes, and no epsilon is worth them."""

PLD_STEPS = 10**6
"""So do more steps than this, with the tiny samples of which so many are affordable: a manifest could ask for it."""


@dataclass(frozen=True)
class SampledGaussian:
    """Steps that each add Gaussian noise of `sigma` times the sensitivity to a Poisson sample of rate `q`."""

    sigma: float
    q: float
    steps: int


@dataclass(frozen=True)
class Concentrated:
    """A release that is rho-zCDP (Bun and Steinke 2016)."""

    rho: float


@dataclass(frozen=True)
class Pure:
    """A release that is epsilon-differentially private."""

    epsilon: float


@dataclass(frozen=True)
class Bare:
    """A release without noise: nothing bounds what it tells."""


Spend = SampledGaussian | Concentrated | Pure | Bare
"""What one release spends."""


def epsilon(spends: Iterable[Spend], delta: float) -> float:
    """The epsilon of all releases together at `delta`; infinite if one of them had no noise.

    Holds: the least of the bounds that apply: Renyi orders; Renyi orders for the rest and the plain sum for pure
           releases; and privacy loss distributions where none is given by zCDP alone, up to `PLD_STEPS`.
    """
    counted = Counter(spends)
    if not counted:
        return 0.0
    if Bare() in counted:
        return math.inf
    return _epsilon(tuple(sorted(counted.items(), key=repr)), delta)


@lru_cache(maxsize=256)
def _epsilon(counted: tuple[tuple[Spend, int], ...], delta: float) -> float:
    pure = sum(count * spend.epsilon for spend, count in counted if isinstance(spend, Pure))
    rest = [(spend, count) for spend, count in counted if not isinstance(spend, Pure)]
    bounds = [renyi_epsilon(counted, delta), pure + (renyi_epsilon(rest, delta) if rest else 0.0)]
    only_zcdp = any(isinstance(spend, Concentrated) for spend, _ in counted)
    steps = sum(count * spend.steps for spend, count in counted if isinstance(spend, SampledGaussian))
    if not only_zcdp and steps <= PLD_STEPS and min(bounds) < PLD_LIMIT:
        bounds.append(pld_epsilon(counted, delta))
    return min(bounds)


def renyi_epsilon(counted: Iterable[tuple[Spend, int]], delta: float) -> float:
    """By Renyi orders (Mironov 2017), which compose everything."""
    import dp_accounting
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant()
    for spend, count in counted:
        match spend:
            case SampledGaussian(sigma, q, steps):
                step = dp_accounting.PoissonSampledDpEvent(q, dp_accounting.GaussianDpEvent(sigma))
                accountant.compose(dp_accounting.SelfComposedDpEvent(step, steps * count))
            case Concentrated(rho):
                accountant.compose(dp_accounting.ZCDpEvent(rho), count)
            case Pure(pure):
                accountant.compose(dp_accounting.ZCDpEvent(pure**2 / 2), count)  # Bun and Steinke 2016, 1.4
            case Bare():
                return math.inf
    return float(accountant.get_epsilon(delta))


def pld_epsilon(counted: Iterable[tuple[Spend, int]], delta: float) -> float:
    """By privacy loss distributions (Koskela et al. 2020), rounded up: tighter, for all but zCDP.

    Raises: ValueError for a release of which only its rho is known.
    """
    from dp_accounting.pld import common
    from dp_accounting.pld import privacy_loss_distribution as pld

    total: Any = pld.identity()
    for spend, count in counted:
        match spend:
            case SampledGaussian(sigma, q, steps):
                one = pld.from_gaussian_mechanism(sigma, sampling_prob=q).self_compose(steps * count)
            case Pure(pure):
                one = pld.from_privacy_parameters(common.DifferentialPrivacyParameters(pure, 0.0)).self_compose(count)
            case _:
                raise ValueError(f"{spend} has no privacy loss distribution")
        total = total.compose(one)
    return float(total.get_epsilon_for_delta(delta))


def sum_rho(sensitivity: float, sigma: float, honest: int, coordinates: int) -> float:
    """zCDP of a sum of integer vectors to each coordinate of which `honest` providers added a discrete Gaussian.

    sensitivity: by how much the sum can move, in the L2 norm; in grid units, as `sigma`.
    Holds:       `sensitivity^2 / (2 honest sigma^2)`, and what the sum of discrete Gaussians is off one: nothing for
                 one provider, less than 1e-30 from `sigma = 3` on.
    Source:      Kairouz, Liu and Steinke 2021, arXiv:2102.06387, proposition 13.
    """
    gauss = sensitivity**2 / (honest * sigma**2)
    away = 10 * sum(math.exp(-2 * math.pi**2 * sigma**2 * k / (k + 1)) for k in range(1, honest))
    apart = math.sqrt(gauss) + away * math.sqrt(coordinates)
    return min(gauss + away * coordinates / 2, apart**2) / 2


@dataclass(frozen=True)
class Guarantees:
    """What one round of a manifest's noise gives. None where that noise is not asked for.

    example: what the update tells about one example of the provider's data.
    alone:   what a provider's update, seen by itself, tells about whether there was one or only noise.
    summed:  the same of the sum of `honest` updates.
    """

    example: Spend
    alone: Concentrated | None
    summed: Concentrated | None


def round_guarantees(section: PrivacySection, clipped: int, coordinates: int) -> Guarantees:
    """What a round of noise gives.

    clipped: the greatest squared norm of an update before its noise, in squared grid units.
    Holds:   an update's noise hides one example too: another data set moves the update by at most twice the norm.
             Where someone can read single updates (all modes but `masked`), no sum counts for that.
    """
    alone = summed = None
    hidden: Spend = Bare()
    if section.update_noise is not None and section.honest is not None:
        norm, seen = math.sqrt(clipped), section.honest if section.mode == "masked" else 1
        alone = Concentrated(sum_rho(norm, section.update_noise, 1, coordinates))
        summed = Concentrated(sum_rho(norm, section.update_noise, section.honest, coordinates))
        hidden = Concentrated(sum_rho(2 * norm, section.update_noise, seen, coordinates))
    if section.example_noise is not None:
        sigma, q, steps, _ = section.example_noise
        hidden = SampledGaussian(sigma, q, steps)
    return Guarantees(hidden, alone, summed)
