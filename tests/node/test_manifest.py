"""The manifest: what it accepts, everything it refuses, and that it says so all at once."""

from __future__ import annotations

from dataclasses import astuple
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.records import MergeRule
from node.errors import BadManifest
from node.manifest import (
    MAX_BYTES,
    chunks,
    coordinates,
    describe,
    manifest_from,
    merge_parameters,
    parse_manifest,
    render_manifest,
    squared_norm_bound,
)
from tests.node.samples import document, manifest

pytestmark = pytest.mark.unit

CLIP = {
    "rule": "centered_clip",
    "attackers": 2,
    "learning_rate": 1.0,
    "bucket": 2,
    "iterations": 3,
    "radius": 0.1,
}

printable = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=50)


def problems(**changes: object) -> tuple[str, ...]:
    with pytest.raises(BadManifest) as refused:
        manifest_from(document(**changes))
    return refused.value.problems


def test_parse_manifest__when_rendered__then_it_is_the_same_and_so_are_the_bytes() -> None:
    holdout = {"cid": "Qm" + "c" * 44, "bytes": 10, "format": "npz"}
    for sample in (manifest(), manifest(holdout=holdout), manifest(training__local_epochs=None, training__seconds=2.5)):
        rendered = render_manifest(sample)
        assert parse_manifest(rendered) == sample
        assert render_manifest(parse_manifest(rendered)) == rendered


@given(
    printable,
    printable,
    st.floats(1e-5, 4000),
    st.floats(1e-9, 100),
    st.lists(printable, min_size=3, max_size=3, unique=True),
)
def test_parse_manifest__when_names_and_numbers_are_any__then_they_come_back(
    name: str, description: str, clip: float, rate: float, classes: list[str]
) -> None:
    sample = manifest(
        name=name,
        description=description,
        update__clip=clip,
        update__bits=20,
        training__learning_rate=rate,
        data__classes=classes,
    )
    assert parse_manifest(render_manifest(sample)) == sample


def test_parse_manifest__when_several_things_are_wrong__then_all_are_named() -> None:
    found = problems(
        surprise=1, name="a\x00b", model__eval_cid=None, tensors=[{"name": "w", "shape": [0], "kind": "parameter"}],
        training__seconds=1.0, update__bits="16", merge__learning_rate=float("nan"),
    )  # fmt: skip
    for word in (
        "surprise",
        "name",
        "model.eval_cid",
        "tensors.0.shape",
        "training",
        "update.bits",
        "merge.learning_rate",
    ):
        assert any(problem.startswith(word) for problem in found), word


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"#" * (MAX_BYTES + 1), "at most"),
        (b"\xff\xfe", "UTF-8"),
        (b"format = ", "not TOML"),
        (b"a = " + b"[" * 50_000, "not TOML"),
        (b"a." * 20_000 + b"b = 1", "nested far too deep"),
        (b"x = { " + b"a . " * 9_000 + b"b = 1 }", "nested far too deep"),
        (b"format = 1" + b"0" * 5000, "not TOML"),
        (b"format = 1\nformat = 1", "not TOML"),
        (b"", "format: field required"),
        (b"\x00", "not TOML"),
        (b'"\\u001b[31m" = 1', "extra"),
    ],
    ids=["large", "encoding", "cut", "deep", "dotted", "dotted inside", "digits", "twice", "empty", "zero", "escape"],
)
def test_parse_manifest__when_the_bytes_are_hostile__then_it_says_so_in_plain_text(data: bytes, says: str) -> None:
    with pytest.raises(BadManifest) as refused:
        parse_manifest(data)
    text = str(refused.value)
    assert says in text
    assert text.replace("\n", "").isprintable()
    assert len(text) < 10_000


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 2}, "format"),
        ({"format": True}, "format"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "\u202egnp"}, "control or invisible"),
        ({"description": "two\nlines"}, "control or invisible"),
        ({"model__train_cid": "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"}, "model.train_cid"),
        ({"model__train_bytes": 2**40}, "model.train_bytes"),
        ({"model__train_bytes": 0}, "model.train_bytes"),
        ({"model__input_shape": [2] * 9}, "model.input_shape"),
        ({"model__input_dtype": "float64"}, "model.input_dtype"),
        ({"model__output_size": 4}, "data.classes must name"),
        ({"tensors": []}, "tensors"),
        ({"tensors": [{"name": "a/../b", "shape": [1], "kind": "parameter"}]}, "tensors.0.name"),
        ({"tensors": [{"name": "w", "shape": [1], "kind": "parameter"}] * 2}, "listed twice"),
        ({"tensors": [{"name": "w", "shape": [2**31, 2], "kind": "parameter"}]}, "coordinates"),
        ({"task__loss": "mse"}, "loss mse does not go"),
        ({"task__kind": "regression", "task__loss": "mse", "task__metric": "mse"}, "classification only"),
        ({"data__classes": None}, "data.classes must name"),
        ({"data__classes": ["a", "a", "b"]}, "twice"),
        ({"data__minimum": 8.0}, "minimum must be less"),
        ({"data__columns": ["a", "b", "c"]}, "data.columns"),
        ({"data__columns": ["a", "b", "c", "label"]}, "label is among"),
        ({"data__min_examples": 0}, "data.min_examples"),
        ({"training__local_epochs": None}, "exactly one"),
        ({"training__seconds": 5.0}, "exactly one"),
        ({"training__optimizer": "adamw", "training__momentum": 0.5}, "momentum is for sgd"),
        ({"training__learning_rate": 0.0}, "training.learning_rate"),
        ({"training__learning_rate": float("inf")}, "training.learning_rate"),
        ({"training__batch_size": 1.5}, "training.batch_size"),
        ({"update__codec": "int8"}, "update.codec"),
        ({"update__bits": 25}, "update.bits"),
        ({"update__clip": 1e6, "update__bits": 24}, "2**64"),
        ({"update__clip": 1e-6, "update__bits": 1}, "2**64"),
        ({"merge__rule": "krum"}, "merge.rule"),
        ({"merge": {"rule": "median", "learning_rate": 1.0}}, "merge.attackers: field required"),
        ({"merge__attackers": 1}, "mean withstands no faulty update"),
        ({"merge__attackers": -1}, "merge.attackers"),
        ({"merge__attackers": 128}, "merge.attackers"),
        ({"merge__rule": "multi_krum"}, "multi_krum needs attackers of at least 1"),
        ({"merge__rule": "nearest_neighbours"}, "nearest_neighbours needs attackers of at least 1"),
        ({"merge__rule": "trimmed_mean", "merge__trim": 1, "merge__attackers": 2}, "set trim to 2"),
        ({"merge__rule": "trimmed_mean"}, "the rule trimmed_mean needs trim"),
        ({"merge__rule": "median", "merge__trim": 1}, "trim does not go with the rule median"),
        ({"merge__radius": 1.0}, "radius does not go with the rule mean"),
        ({"merge__rule": "trimmed_mean", "merge__trim": 128}, "merge.trim"),
        ({"merge__momentum": 1.0}, "merge.momentum"),
        ({"merge__momentum": 0.999999999}, "momentum rounds to"),
        ({"merge": {**CLIP, "radius": None}}, "the rule centered_clip needs radius"),
        ({"merge": {**CLIP, "bucket": 17}}, "merge.bucket"),
        ({"merge": {**CLIP, "iterations": 0}}, "merge.iterations"),
        ({"merge": {**CLIP, "radius": 1e-9}}, "merge.radius * 2**update.bits"),
        ({"merge": {**CLIP, "radius": 65536.0}}, "merge.radius * 2**update.bits"),
        ({"merge__learning_rate": 1e-6}, "2**-16"),
        ({"training__local_momentum": 1.0}, "training.local_momentum"),
        ({"training__local_momentum": 0.5, "screening": {}}, "set screening.own_momentum = true"),
        ({"training__local_momentum": 0.95, "screening": {"own_momentum": True}}, "may be 0.9 at most"),
        (
            {"training__local_momentum": 0.5, "screening": {"own_momentum": True, "copy_cosine": 0.9}},
            "copy_cosine of at least 0.99",
        ),
        ({"screening": {"own_momentum": True}}, "own_momentum goes with training.local_momentum"),
        ({"holdout": {"cid": "Qm" + "c" * 44, "bytes": 10, "format": "pickle"}}, "holdout.format"),
    ],
    ids=lambda value: str(value)[:50].encode("ascii", "replace").decode(),
)  # fmt: skip
def test_manifest_from__when_a_value_is_impossible__then_it_is_named(changes: dict[str, object], says: str) -> None:
    assert says in "; ".join(problems(**changes))


@pytest.mark.parametrize(
    ("merge", "numbers"),
    [
        ({"rule": "mean", "attackers": 0, "learning_rate": 0.5}, (MergeRule.MEAN, 32768, 0, 0, 0, 0, 0, 0)),
        (
            {"rule": "mean", "attackers": 0, "learning_rate": 1.0, "momentum": 0.9},
            (MergeRule.MEAN, 65536, 58982, 0, 0, 0, 0, 0),
        ),
        ({"rule": "median", "attackers": 3, "learning_rate": 1.0}, (MergeRule.MEDIAN, 65536, 0, 0, 0, 0, 0, 3)),
        (
            {"rule": "trimmed_mean", "attackers": 1, "learning_rate": 1.0, "trim": 2},
            (MergeRule.TRIMMED_MEAN, 65536, 0, 2, 0, 0, 0, 1),
        ),
        (CLIP, (MergeRule.CENTERED_CLIP, 65536, 0, 0, 2, 3, 0x1999, 2)),
        ({"rule": "multi_krum", "attackers": 1, "learning_rate": 1.0}, (MergeRule.MULTI_KRUM, 65536, *[0] * 5, 1)),
        (
            {"rule": "geometric_median", "attackers": 0, "learning_rate": 1.0},
            (MergeRule.GEOMETRIC_MEDIAN, 65536, *[0] * 6),
        ),
        (
            {"rule": "nearest_neighbours", "attackers": 127, "learning_rate": 1.0},
            (MergeRule.NEAREST_NEIGHBOURS, 65536, *[0] * 5, 127),
        ),
    ],
)
def test_merge_parameters__then_they_follow_from_the_section(
    merge: dict[str, object], numbers: tuple[int, ...]
) -> None:
    made = manifest(merge=merge)
    assert parse_manifest(render_manifest(made)) == made
    found = merge_parameters(made)
    assert astuple(found) == numbers
    assert str(merge["rule"]) in describe(made)["merge"]


def test_render_manifest__with_momentum_that_screening_allows__then_it_reads_the_same() -> None:
    made = manifest(training__local_momentum=0.9, screening={"own_momentum": True})
    assert b"own_momentum = true" in render_manifest(made)
    assert "local momentum 0.9" in describe(made)["training"]
    assert "but for one's own update before" in describe(made)["screening"]
    assert parse_manifest(render_manifest(made)) == made


def test_render_manifest__when_it_would_be_too_large__then_it_is_refused() -> None:
    tensors = [{"name": f"layer{index}.{'w' * 150}", "shape": [1], "kind": "parameter"} for index in range(400)]
    with pytest.raises(BadManifest, match="at most"):
        render_manifest(manifest(tensors=tensors))


def test_coordinates__when_counted__then_scalars_are_one_and_chunks_are_whole() -> None:
    assert coordinates(manifest()) == 13
    assert chunks(manifest()) == 1
    sizes = {127: 1, 128: 1, 129: 2}
    for size, wanted in sizes.items():
        assert chunks(manifest(tensors=[{"name": "w", "shape": [size], "kind": "parameter"}])) == wanted


@given(st.floats(1e-3, 1e4), st.integers(1, 16))
def test_squared_norm_bound__when_compared_with_exact_fractions__then_it_is_the_floor(clip: float, bits: int) -> None:
    exact = (Fraction(clip) * 2**bits) ** 2
    if exact >= 1:
        bound = squared_norm_bound(manifest(update__clip=clip, update__bits=bits))
        assert bound <= exact < bound + 1


def test_describe__when_shown__then_it_names_what_a_provider_agrees_to() -> None:
    shown = describe(manifest(training__local_epochs=None, training__seconds=90.0))
    assert shown["parameters"] == "13 in 2 tensors"
    assert "90 s" in shown["training"]
    assert shown["labels"] == "label: 0, 1, 2"
    assert "L2 norm at most 4" in shown["update"]
