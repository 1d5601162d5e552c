"""Noise on the integers, drawn exactly: integers and coin flips only, so no floating-point pattern tells anything.

Source: Canonne, Kamath and Steinke 2020, arXiv:2004.00010.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from node.privacy.randomness import SecureStream

RandomBelow = Callable[[int], int]
"""An integer drawn evenly from [0, n)."""

GREATEST_SIGMA = 4096
"""What keeps every product of the sampler below 2**63."""

_SPARE = 1.6
_BLOCK = 1 << 18


def discrete_laplace(scale: int, below: RandomBelow = secrets.randbelow) -> int:
    """Draw an integer k with probability proportional to exp(-|k| / scale).

    scale:  in grid units, >= 1; of any size.
    below:  the source of chance; the operating system's by default.
    Source: algorithm 2 with s = 1.
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
    """True with probability exp(-numerator / denominator), for a quotient in [0, 1]; algorithm 1."""
    flips = 1
    while below(denominator * flips) < numerator:
        flips += 1
    return flips % 2 == 1


def discrete_gaussian(sigma: int, count: int, stream: SecureStream) -> NDArray[np.int64]:
    """Draw integers k with probability proportional to exp(-k^2 / (2 sigma^2)).

    Shapes: -> (count,)
    sigma:  in grid units, 1 .. GREATEST_SIGMA.
    Source: algorithm 3; the same steps as `discrete_laplace`, for many draws at once.
    """
    assert 1 <= sigma <= GREATEST_SIGMA, "the sampler's products would overflow"
    found_N = np.empty(count, dtype=np.int64)
    filled = 0
    while filled < count:
        part = _gaussian_candidates(sigma, min(_BLOCK, int((count - filled) * _SPARE) + 16), stream)
        part = part[: count - filled]
        found_N[filled : filled + len(part)] = part
        filled += len(part)
    return found_N


def _gaussian_candidates(sigma: int, count: int, stream: SecureStream) -> NDArray[np.int64]:
    """Those of `count` Laplace draws that are kept."""
    scale = sigma + 1
    laplace = _laplace_candidates(scale, count, stream)
    excess = np.abs(laplace) * scale - sigma * sigma
    kept = _flips((excess * excess).astype(np.uint64), 2 * sigma * sigma * scale * scale, stream)
    return laplace[kept]


def _laplace_candidates(scale: int, count: int, stream: SecureStream) -> NDArray[np.int64]:
    within = stream.below(np.full(count, scale, dtype=np.uint64))
    within = within[_flips(within, scale, stream)]
    size = within.astype(np.int64) + scale * _periods(len(within), stream)
    is_negative = stream.below(np.full(len(size), 2, dtype=np.uint64)) == 1
    kept = ~(is_negative & (size == 0))
    signed: NDArray[np.int64] = np.where(is_negative, -size, size)[kept]
    return signed


def _flips(numerators: NDArray[np.uint64], denominator: int, stream: SecureStream) -> NDArray[np.bool_]:
    """Each True with probability exp(-numerator / denominator), for any quotient >= 0; algorithm 1."""
    whole, rest = np.divmod(numerators, np.uint64(denominator))
    passed = _fraction_flips(rest, denominator, stream)
    far = np.flatnonzero(passed & (whole > 0))
    passed[far] = _periods(len(far), stream) >= whole[far].astype(np.int64)
    return passed


def _fraction_flips(numerators: NDArray[np.uint64], denominator: int, stream: SecureStream) -> NDArray[np.bool_]:
    odd = np.ones(len(numerators), dtype=np.bool_)
    going, flips = np.arange(len(numerators)), 1
    while len(going):
        drawn = stream.below(np.full(len(going), denominator * flips, dtype=np.uint64))
        going = going[drawn < numerators[going]]
        flips += 1
        odd[going] = flips % 2 == 1
    return odd


def _periods(count: int, stream: SecureStream) -> NDArray[np.int64]:
    """How many flips of probability exp(-1) come true in a row."""
    found = np.zeros(count, dtype=np.int64)
    going = np.arange(count)
    while len(going):
        going = going[_fraction_flips(np.ones(len(going), dtype=np.uint64), 1, stream)]
        found[going] += 1
    return found
