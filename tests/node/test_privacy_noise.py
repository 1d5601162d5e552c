"""Noise: its distributions, and where its chance comes from."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

from node.privacy.discrete_noise import GREATEST_SIGMA, discrete_gaussian, discrete_laplace
from node.privacy.randomness import SecureStream

pytestmark = pytest.mark.unit

DRAWS = 200_000
QUANTILE = 4.7534
"""Of the standard normal distribution at 1 - 1e-6."""


def stream(name: str) -> SecureStream:
    """The same stream at every run."""
    return SecureStream(name.encode().ljust(32, b"."))


def pearson(counts: NDArray[np.int64], expected: NDArray[np.float64]) -> bool:
    """Whether counts are what is expected, by the chi-squared test at 1e-6 (Wilson and Hilferty)."""
    statistic, freedom = float(((counts - expected) ** 2 / expected).sum()), len(counts) - 1
    return statistic < freedom * (1 - 2 / (9 * freedom) + QUANTILE * math.sqrt(2 / (9 * freedom))) ** 3


@pytest.mark.parametrize("sigma", [1, 2, 7, 40])
def test_discrete_gaussian__when_drawn_often__then_follows_the_distribution(sigma: int) -> None:
    drawn = discrete_gaussian(sigma, DRAWS, stream(f"gaussian {sigma}"))
    wide = np.arange(-40 * sigma, 40 * sigma + 1)
    mass = np.exp(-(wide.astype(np.float64) ** 2) / (2 * sigma**2))
    expected = DRAWS * mass / mass.sum()
    often = expected >= 20
    counts = np.array([np.count_nonzero(drawn == size) for size in wide[often]])
    assert pearson(counts, expected[often])
    assert abs(len(drawn) - counts.sum() - expected[~often].sum()) < 5 * math.sqrt(expected[~often].sum()) + 1


def test_discrete_gaussian__at_the_greatest_sigma__then_has_its_deviation() -> None:
    drawn = discrete_gaussian(GREATEST_SIGMA, DRAWS, stream("greatest")).astype(np.float64)
    assert abs(drawn.mean()) < 5 * GREATEST_SIGMA / math.sqrt(DRAWS)
    assert abs(drawn.std() / GREATEST_SIGMA - 1) < 5 / math.sqrt(2 * DRAWS)
    assert len(np.unique(drawn)) > GREATEST_SIGMA


@pytest.mark.parametrize("count", [0, 1, 17])
def test_discrete_gaussian__of_few__then_gives_as_many(count: int) -> None:
    assert len(discrete_gaussian(3, count, stream("few"))) == count


def test_discrete_gaussian__beyond_what_fits__then_stops() -> None:
    with pytest.raises(AssertionError):
        discrete_gaussian(GREATEST_SIGMA + 1, 1, stream("wide"))


def test_discrete_laplace__and_the_gaussians_own__then_flip_alike() -> None:
    """The scalar sampler on the stream's chance has the mean size that its distribution has."""
    source = stream("laplace")
    sizes = [abs(discrete_laplace(5, lambda n: int(source.below(np.array([n], np.uint64))[0]))) for _ in range(4000)]
    p = math.exp(-1 / 5)
    assert abs(np.mean(sizes) - 2 * p / (1 - p * p)) < 5 * np.std(sizes) / math.sqrt(len(sizes))


def test_words__then_they_are_the_ciphers_stream() -> None:
    key = bytes(range(32))
    expected = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(80))
    source = SecureStream(key)
    assert source.words(3).tobytes() + source.words(7).tobytes() == expected


def test_words__without_a_key__then_two_streams_differ() -> None:
    assert SecureStream().words(4).tolist() != SecureStream().words(4).tolist()


def test_words__beyond_one_key__then_go_on_under_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.privacy.randomness._STRETCH", 24)
    source = SecureStream(bytes(32))
    drawn = source.words(10)
    assert len(set(drawn.tolist())) == 10
    assert drawn[:3].tobytes() == SecureStream(bytes(32)).words(3).tobytes()


@pytest.mark.parametrize("limit", [2, 3, 10])
def test_below__of_a_limit__then_is_even(limit: int) -> None:
    drawn = stream("below").below(np.full(30_000, limit, dtype=np.uint64))
    assert pearson(np.bincount(drawn.astype(np.int64), minlength=limit), np.full(limit, 30_000 / limit))


def test_below__of_a_limit_that_refuses_half_of_all_words__then_is_even() -> None:
    """A word modulo 2**63 + 1 would come out below 2**63 - 1 twice as often as it should."""
    limit = 2**63 + 1
    drawn = stream("refused").below(np.full(30_000, limit, dtype=np.uint64))
    assert int(drawn.max()) < limit
    halves = np.array([np.count_nonzero(drawn < limit // 2), np.count_nonzero(drawn >= limit // 2)])
    assert pearson(halves, np.full(2, 15_000.0))


def test_below__of_one__then_is_zero() -> None:
    assert stream("one").below(np.ones(9, dtype=np.uint64)).tolist() == [0] * 9


def test_sample__of_a_rate__then_takes_each_row_by_itself() -> None:
    source, rate, rows = stream("poisson"), 0.04, 500
    samples = [source.sample(rate, rows) for _ in range(2000)]
    sizes = np.array([len(one) for one in samples])
    assert abs(sizes.mean() - rate * rows) < 5 * sizes.std() / math.sqrt(len(sizes))
    assert abs(sizes.var() / (rows * rate * (1 - rate)) - 1) < 0.2
    assert all((np.diff(one) > 0).all() for one in samples)


def test_sample__at_the_ends__then_is_all_or_nothing() -> None:
    assert stream("all").sample(1.0, 5).tolist() == [0, 1, 2, 3, 4]
    assert len(stream("none").sample(float(Fraction(1, 2**63)), 1000)) == 0
    assert len(stream("nothing").sample(0.5, 0)) == 0


def test_normals__when_drawn_often__then_are_standard() -> None:
    drawn = stream("normal").normals(DRAWS)
    edges = np.linspace(-3, 3, 25)
    below = np.array([0.5 * (1 + math.erf(edge / math.sqrt(2))) for edge in edges])
    assert pearson(np.histogram(drawn, edges)[0], DRAWS * np.diff(below))
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 5 / math.sqrt(DRAWS)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_normals__of_few__then_gives_as_many(count: int) -> None:
    assert len(stream("count").normals(count)) == count
