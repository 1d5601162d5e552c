"""The manifest's section `[privacy]`: what goes together, and the room that noise has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from node.errors import BadManifest
from node.manifest import coordinates, describe, parse_manifest, privacy, render_manifest, squared_norm_bound
from node.privacy.discrete_noise import discrete_gaussian
from node.privacy.randomness import SecureStream
from tests.node.samples import manifest

pytestmark = pytest.mark.unit

RECORD = {"mode": "dp", "noise_multiplier": 1.5, "sample_rate": 0.04, "steps": 50, "clip_norm": 1.0, "delta": 1e-5}
UPDATE = {"mode": "dp", "update_noise": 128, "honest": 4, "delta": 1e-5}
COARSE = {"update__bits": 10, "update__clip": 0.5}


COMPANIONS: dict[str, dict[str, Any]] = {
    "masked": {"masking": {"group": 6, "threshold": 4}},
    "encrypted": {"encryption": {"aggregator": "0x" + "09" * 32}},
}
"""The sections that a mode needs besides its own."""


def private(section: dict[str, Any], **changes: Any) -> Any:
    if "steps" in section:
        changes = {"training__local_epochs": None} | changes
    changes = COMPANIONS.get(section.get("mode", ""), {}) | changes
    return manifest(**{"privacy": section, **COARSE, **changes})


@pytest.mark.parametrize(
    "section",
    [
        RECORD,
        UPDATE,
        RECORD | UPDATE,
        {"mode": "open"},
        {"mode": "masked"},
        {"mode": "encrypted"},
        UPDATE | {"mode": "masked"},
        RECORD | {"mode": "encrypted"},
    ],
)
def test_parse_manifest__of_a_whole_section__then_reads_what_was_written(section: dict[str, Any]) -> None:
    made = private(section)
    assert parse_manifest(render_manifest(made)) == made
    assert describe(made)["privacy"].startswith(section["mode"])


def test_privacy__without_a_section__then_is_open() -> None:
    assert privacy(manifest()).mode == "open"
    assert squared_norm_bound(manifest()) == manifest().update.squared_norm_bound


def without(section: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in section.items() if name != key}


@pytest.mark.parametrize(
    ("section", "changes", "words"),
    [
        ({"mode": "dp"}, {}, "needs noise_multiplier"),
        ({"mode": "secret"}, {}, "privacy.mode"),
        ({}, {}, "privacy.mode"),
        (RECORD | {"mode": "open"}, {}, 'mode "open" has no noise'),
        ({"mode": "open", "delta": 1e-5}, {}, "delta goes with noise"),
        (without(RECORD, "delta"), {}, "delta goes with noise"),
        (without(RECORD, "clip_norm"), {}, "go together"),
        (without(UPDATE, "honest"), {}, "go together"),
        (RECORD | {"noise_multiplier": 0.1}, {}, "noise_multiplier"),
        (RECORD | {"noise_multiplier": float("nan")}, {}, "noise_multiplier"),
        (RECORD | {"sample_rate": 0.0}, {}, "sample_rate"),
        (RECORD | {"sample_rate": 1.5}, {}, "sample_rate"),
        (RECORD | {"steps": 0}, {}, "steps"),
        (RECORD | {"delta": 0.5}, {}, "delta"),
        (UPDATE | {"update_noise": 4097}, {}, "update_noise"),
        (UPDATE | {"surprise": 1}, {}, "surprise"),
        (RECORD, {"training__local_epochs": 2}, "leave local_epochs"),
        (RECORD, {"training__clip_norm": 5.0}, "privacy.clip_norm bounds"),
        (UPDATE, {"training__local_epochs": None}, "exactly one of local_epochs"),
        (UPDATE | {"update_noise": 3000}, {}, "a coordinate could reach"),
        (UPDATE, {"update__bits": 16}, "a coordinate could reach"),
    ],
)
def test_parse_manifest__of_a_section_that_contradicts_itself__then_says_why(
    section: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadManifest, match=words):
        private(section, **changes)


def test_squared_norm_bound__of_a_noisy_update__then_leaves_the_noise_its_room() -> None:
    """The longest update under the clip, with noise drawn 2,000 times: always within, and not far from it."""
    made = private(UPDATE)
    clipped, count = made.update.squared_norm_bound, coordinates(made)
    noise_NC = discrete_gaussian(128, 2000 * count, SecureStream(bytes(32))).reshape(2000, count)
    update_C = np.zeros(count)
    update_C[0] = np.sqrt(clipped)
    norms_N = ((noise_NC + update_C) ** 2).sum(axis=1)
    bound = squared_norm_bound(made)
    assert norms_N.max() < bound
    assert bound < 12 * norms_N.mean()


@pytest.mark.parametrize("size", [1, 100, 10**7, 2**31])
def test_squared_bound__of_any_model__then_is_no_less_than_the_real_number(size: int) -> None:
    section = private(UPDATE).privacy
    exact = (512 + 128 * (size + 2 * (28 * size) ** 0.5 + 56) ** 0.5) ** 2
    assert exact <= section.squared_bound(512**2, size) <= exact + 10 * exact**0.5 + 1e6
