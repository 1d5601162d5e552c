"""Noise on whole updates, what is recorded of it, and reports that say otherwise."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import orjson
import pytest

from ledger.history import build_history
from node.aggregator.merge_work import MOST_LISTED
from node.auditor.privacy import report_differences
from node.bounty_files import MAX_REPORT_BYTES
from node.manifest import coordinates, squared_norm_bound
from node.privacy.accounting import Concentrated, SampledGaussian, epsilon
from node.privacy.randomness import SecureStream
from node.privacy.record import SpentPrivacy, spent_in_round
from node.privacy.update_noise import NoiseOutOfRoom, NoiseRoom, add_noise
from node.updates import Quantised
from tests import builders as make
from tests.node.samples import manifest

pytestmark = pytest.mark.unit

NOISY = manifest(
    privacy={"mode": "dp", "update_noise": 128, "honest": 4, "delta": 1e-5}, update__bits=10, update__clip=0.5
)
PRIVATE = manifest(
    privacy={"mode": "dp", "noise_multiplier": 1.5, "sample_rate": 0.04, "steps": 50, "clip_norm": 1.0, "delta": 1e-5},
    training__local_epochs=None,
)


def quantised(update_D: Any) -> Quantised:
    wide = np.asarray(update_D, dtype=np.int64)
    return Quantised(wide.astype(np.int16), int(wide @ wide), 1.0, 1.0, 0, 0, 0)


def room(bound: int = 2**62, size: int = 100, sigma: int = 50) -> NoiseRoom:
    return NoiseRoom(sigma, size, bound)


def test_add_noise__then_every_coordinate_has_some_and_padding_none() -> None:
    made = quantised(np.r_[np.full(100, 1000), np.zeros(28)])
    noisy = add_noise(made, room(), SecureStream(bytes(32)))
    moved = noisy.update.astype(np.int64) - made.update
    assert 35 < moved[:100].std() < 65
    assert not moved[100:].any()
    assert noisy.squared_norm == int((noisy.update.astype(np.int64) ** 2).sum())
    assert (made.update[:100] == 1000).all()


def test_add_noise__twice__then_is_another() -> None:
    made = quantised(np.zeros(128))
    assert not np.array_equal(add_noise(made, room()).update, add_noise(made, room()).update)


def test_add_noise__of_the_longest_update__then_fits_the_bound() -> None:
    size = coordinates(NOISY)
    longest = np.zeros(128)
    longest[0] = 512
    bound = NoiseRoom(128, size, squared_norm_bound(NOISY))
    for _ in range(200):
        assert add_noise(quantised(longest), bound).squared_norm <= bound.bound


@pytest.mark.parametrize(
    ("update", "bound", "words"),
    [(np.full(128, 32767), 2**62, "a coordinate would exceed"), (np.zeros(128), 10, "squared norm")],
)
def test_add_noise__beyond_its_room__then_nothing_is_clamped_or_drawn_again(
    update: Any, bound: int, words: str
) -> None:
    with pytest.raises(NoiseOutOfRoom, match=words):
        add_noise(quantised(update), room(bound))


HISTORY = build_history(
    [
        make.posted(),
        make.joined(make.ALICE, 0),
        make.joined(make.BOB, 1),
        make.opened(1, 3),
        make.revealed(make.ALICE, 1, 0, 4),
        make.revealed(make.BOB, 1, 1, 5),
    ]
)


def test_spent_in_round__of_private_training__then_names_each_reveal() -> None:
    found = spent_in_round(HISTORY, PRIVATE, 1)
    assert [one.provider for one in found] == [make.ALICE, make.BOB]
    assert (found[0].sigma, found[0].q, found[0].steps, found[0].rounds) == (1.5, 0.04, 50, 1)
    assert found[0].epsilon == pytest.approx(epsilon([SampledGaussian(1.5, 0.04, 50)], 1e-5), rel=1e-5)
    assert (found[0].epsilon_update, found[0].epsilon_sum) == (None, None)


def test_spent_in_round__of_noise_on_updates__then_tells_alone_from_summed() -> None:
    (first, _) = spent_in_round(HISTORY, NOISY, 1)
    assert (first.update_noise, first.honest) == (128, 4)
    assert first.epsilon_update == pytest.approx(epsilon([Concentrated(8.0)], 1e-5))
    assert first.epsilon_sum == pytest.approx(epsilon([Concentrated(2.0)], 1e-5))


def test_spent_in_round__without_noise__then_there_is_nothing_to_tell() -> None:
    assert spent_in_round(HISTORY, manifest(), 1) == []


def entries() -> tuple[list[SpentPrivacy], list[dict[str, Any]]]:
    expected = spent_in_round(HISTORY, PRIVATE, 1)
    return expected, [asdict(one) for one in expected]


def test_report_differences__of_a_right_report__then_there_are_none() -> None:
    expected, told = entries()
    assert report_differences(1, told, expected) == []
    assert report_differences(1, None, expected) == []
    told[0]["epsilon"] *= 1.0005
    assert report_differences(1, told, expected) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("epsilon", 0.1), ("epsilon", None), ("epsilon", True), ("sigma", 3.0), ("rounds", 2), ("provider", "0x0")],
)
def test_report_differences__of_a_wrong_number__then_names_it(name: str, value: Any) -> None:
    expected, told = entries()
    told[1][name] = value
    (difference,) = report_differences(1, told, expected)
    assert f"{expected[1].provider} in the report: {name}" in str(difference)


@pytest.mark.parametrize("told", [[], {}, "text", 5, [1, 2], [{}, {}]])
def test_report_differences__of_another_form__then_is_found(told: Any) -> None:
    assert report_differences(1, told, entries()[0])


def test_spent_in_round__of_the_most_updates__then_leaves_a_report_room() -> None:
    """256 updates, 4,096 payouts of the greatest amount, and every update left out."""
    section = {**PRIVATE.privacy.model_dump(), "update_noise": 4, "honest": 2} if PRIVATE.privacy else {}
    both = manifest(privacy=section, training__local_epochs=None, update__bits=10, update__clip=0.5)
    (entry, _) = spent_in_round(HISTORY, both, 1)
    most = replace(entry, round=1024, rounds=1024)
    rejected = {"index": 255, "provider": make.ALICE, "reason": "out-of-range", "detail": "d" * 100}
    report = {"privacy": [asdict(most)] * 256, "payouts": [str(2**96)] * MOST_LISTED, "rejections": [rejected] * 256}
    assert len(orjson.dumps(report)) < MAX_REPORT_BYTES - 1000
