"""Updates that do harm on the hold-out, with a loss that can be computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ledger.merge_records import Reason
from node.aggregator.harm import harmful
from node.verification import Rejection, VerifiedUpdate
from tests import builders as make

pytestmark = pytest.mark.unit

TERMS = make.terms()
SIZE = TERMS.chunks * 128
BEFORE_PD = np.zeros((1, SIZE), dtype=np.int32)


def update(index: int, value: int) -> VerifiedUpdate:
    """Moves the first coordinate by so many grid units."""
    update_D = np.zeros(SIZE, dtype=np.int16)
    update_D[0] = value
    shown = replace(make.revealed(make.ALICE, 1, index, 5), squared_norm=value**2)
    return VerifiedUpdate(shown, update_D, 2 * SIZE)


def distance_from_100(state_D: NDArray[np.int32]) -> float:
    """The loss: how far the first coordinate is from 100 grid units."""
    return abs(float(state_D[0]) / 256 - 100)


def found(*values: int, tolerance: float = 5.0) -> list[Rejection]:
    updates = [update(index, value) for index, value in enumerate(values)]
    return harmful(TERMS, BEFORE_PD, updates, None, distance_from_100, tolerance)


def test_harmful__when_one_pulls_the_model_away__then_only_that_one() -> None:
    (one,) = found(100, 90, 110, -500)  # a loss of 150 with it, 0 without
    assert (one.revealed.index, one.reason, one.given.chunk) == (3, Reason.HARMFUL, 0)
    assert one.detail == "the loss on the hold-out is 150 with it and 0 without"


def test_harmful__when_the_gain_is_within_the_tolerance__then_none() -> None:
    assert found(100, 100, 100, 80) == []  # 5 worse with the last
    assert [one.revealed.index for one in found(100, 100, 100, 80, tolerance=4.9)] == [3]


def test_harmful__when_there_is_one_update_or_none__then_it_is_held_against_doing_nothing() -> None:
    assert [one.revealed.index for one in found(-50)] == [0]
    assert found(50) == []
    assert found() == []


def test_harmful__when_the_model_diverged__then_whoever_it_is_finite_without() -> None:
    def loss(state_D: NDArray[np.int32]) -> float:
        return math.nan if state_D[0] > 256 * 1_000 else 1.0

    updates = [update(0, 10), update(1, 9_000), update(2, 20)]
    assert [one.revealed.index for one in harmful(TERMS, BEFORE_PD, updates, None, loss, 5.0)] == [1]
