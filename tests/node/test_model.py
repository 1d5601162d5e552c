"""Coordinates: laying tensors out, finding them again, and applying the state's integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.model import apply_state, flatten, layout, locate, unflatten
from tests.node.samples import manifest

pytestmark = pytest.mark.unit

WHERE = layout(
    manifest(
        tensors=[
            {"name": "a.weight", "shape": [3, 5, 2], "kind": "parameter"},
            {"name": "scale", "shape": [], "kind": "buffer"},
            {"name": "b", "shape": [120], "kind": "parameter"},
        ]
    )
)


def test_layout__when_built__then_spans_follow_each_other_and_padding_fills_a_chunk() -> None:
    assert [(span.name, span.start, span.stop) for span in WHERE.spans] == [
        ("a.weight", 0, 30), ("scale", 30, 31), ("b", 31, 151),
    ]  # fmt: skip
    assert (WHERE.used, WHERE.chunks, WHERE.size) == (151, 2, 256)


def test_flatten__when_unflattened__then_the_tensors_are_back_and_padding_is_zero() -> None:
    rng = np.random.default_rng(0)
    tensors = {span.name: rng.standard_normal(span.shape).astype(np.float32) for span in WHERE.spans}
    weights_D = flatten(tensors, WHERE)
    assert weights_D.shape == (256,)
    assert not weights_D[151:].any()
    back = unflatten(weights_D, WHERE)
    for name, tensor in tensors.items():
        assert np.array_equal(back[name], tensor)
        assert back[name].shape == tensor.shape
    back["scale"][()] = 7
    assert weights_D[30] == 7


def test_locate__when_asked_for_every_coordinate__then_it_names_what_flatten_put_there() -> None:
    numbers = np.arange(256, dtype=np.float32)
    tensors = unflatten(numbers, WHERE)
    for coordinate in range(WHERE.used):
        name, index = locate(WHERE, coordinate)
        assert tensors[name][index] == coordinate
    assert locate(WHERE, 151) == ("padding", ())
    for outside in (-1, 256):
        with pytest.raises(IndexError):
            locate(WHERE, outside)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20), st.integers(1, 24), st.integers(0, 2**32))
def test_apply_state__when_compared_with_exact_fractions__then_each_rounding_is_float32(
    state: list[int], bits: int, seed: int
) -> None:
    initial_D = np.random.default_rng(seed).standard_normal(len(state)).astype(np.float32)
    weights_D = apply_state(initial_D, np.array(state, dtype=np.int32), bits)
    for initial, units, weight in zip(initial_D, state, weights_D, strict=True):
        product = np.float32(float(Fraction(units, 2 ** (bits + 8))))  # exact in float64, then rounded once
        assert weight == np.float32(float(initial) + float(product))


def test_apply_state__when_the_state_is_zero__then_the_weights_are_the_initial_ones() -> None:
    initial_D = np.random.default_rng(0).standard_normal(200_000).astype(np.float32)
    out = np.empty_like(initial_D)
    assert apply_state(initial_D, np.zeros(200_000, dtype=np.int32), 16, out) is out
    assert np.array_equal(out, initial_D)
