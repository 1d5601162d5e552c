"""Inner products and distances of updates: exact at every end, whatever the blocks and the threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.blocks import BLOCK, Blocks
from node.distances import gram, inner_products, squared_distances

pytestmark = pytest.mark.unit


def test_inner_products__at_the_limits_and_over_several_blocks__then_they_are_exact() -> None:
    size = 2 * BLOCK + 3
    extremes = [np.full(size, value, dtype="<i2") for value in (-32768, 32767, 1)]
    expected = [[int(a[0]) * int(b[0]) * size for b in extremes] for a in extremes]
    assert inner_products(extremes, extremes).tolist() == expected
    assert inner_products(extremes[:1], extremes[1:]).tolist() == [expected[0][1:]]
    assert gram(extremes).tolist() == expected


@settings(max_examples=40)
@given(st.integers(1, 7), st.integers(1, 300), st.integers(1, 130), st.integers(0, 2**32 - 1))
def test_gram__whatever_the_blocks__then_it_is_the_sum_of_the_products(
    count: int, size: int, block: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    updates = [draw.integers(-32768, 32767, size, dtype=np.int16, endpoint=True) for _ in range(count)]
    wide = np.stack(updates).astype(np.int64)
    with ThreadPoolExecutor(3) as pool:
        assert np.array_equal(gram(updates, Blocks(block, pool)), wide @ wide.T)
    differences = wide[:, np.newaxis] - wide
    assert squared_distances(gram(updates)) == (differences**2).sum(axis=2).tolist()


def test_squared_distances__of_the_farthest_updates__then_nothing_wraps() -> None:
    """Two updates of 2**31 coordinates that are -32768 and 32767 everywhere."""
    size, low, high = 2**31, -(2**15), 2**15 - 1
    products = np.array([[low * low, low * high], [high * low, high * high]], dtype=np.int64) * size
    assert squared_distances(products)[0][1] == (high - low) ** 2 * size > 2**62
