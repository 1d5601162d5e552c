"""Noise that hides single examples in a reported number, on the evaluation's integer grid.

The sampler is exact: integers and coin flips only, so no floating-point pattern tells what the noise was added to.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from fractions import Fraction

from ledger.evaluation_records import EvaluationTerms

RandomBelow = Callable[[int], int]
"""An integer drawn evenly from [0, n)."""


def discrete_laplace(scale: int, below: RandomBelow = secrets.randbelow) -> int:
    """Draw an integer k with probability proportional to exp(-|k| / scale).

    scale:  in grid units, >= 1.
    below:  the source of chance; the operating system's by default.
    Source: Canonne, Kamath and Steinke 2020, arXiv:2004.00010, algorithm 2 with s = 1.
    """
    while True:
        within = below(scale)
        if not _flip(within, scale, below):
            continue
        periods = 0
        while _flip(1, 1, below):
            periods += 1
        size = within + scale * periods
        is_negative = below(2) == 1
        if is_negative and size == 0:
            continue  # else 0 would come twice as often as it should
        return -size if is_negative else size


def _flip(numerator: int, denominator: int, below: RandomBelow) -> bool:
    """True with probability exp(-numerator / denominator), for a quotient in [0, 1]; algorithm 1 of the same source."""
    flips = 1
    while below(denominator * flips) < numerator:
        flips += 1
    return flips % 2 == 1


def sensitivity(terms: EvaluationTerms, examples: int) -> int:
    """By how many units the value can move where one of so many examples is another."""
    return -(-(terms.high - terms.low) // examples)


def epsilon(terms: EvaluationTerms, examples: int, scale: int) -> Fraction | None:
    """What one report tells at most about one example, as differential privacy counts it; None without noise."""
    return Fraction(sensitivity(terms, examples), scale) if scale else None
