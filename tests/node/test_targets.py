"""Targets: the chain's units, what a manifest may ask for, and what an audit says of a claimed metric."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.history import build_history
from ledger.records import Ended, Event, Merged, Timestamp, Wei
from node.auditor.rounds import metric_difference
from node.errors import BadManifest
from node.explaining.prospect import make_risks
from node.explorer.bounty_page import bounty_page
from node.explorer.display import number
from node.explorer.shelf import Missing
from node.manifest import Manifest, describe, manifest_from, parse_manifest, render_manifest
from node.targets import (
    MOST,
    TOLERATED,
    ending_in_words,
    in_words,
    is_as_measured,
    measured_units,
    metric_units,
    metric_value,
    target_units,
)
from tests import builders as make
from tests.node.samples import document as manifest_document

pytestmark = pytest.mark.unit

HOLDOUT = {"cid": "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG", "bytes": 100, "format": "csv"}


def manifest(value: float | None, **changes: Any) -> Manifest:
    document = {**manifest_document(), "holdout": HOLDOUT, **changes}
    document = {key: section for key, section in document.items() if section is not None}
    return manifest_from(document if value is None else {**document, "target": {"value": value}})


def regression(value: float) -> Manifest:
    document = manifest_document()
    data = {key: content for key, content in document["data"].items() if key != "classes"}
    task = {"kind": "regression", "loss": "mse", "metric": "mse"}
    return manifest(value, task=task, data=data)


@given(st.floats(0, 1), st.floats(0, 1))
def test_metric_units__of_accuracies__then_more_is_better(one: float, other: float) -> None:
    assert (metric_units(one, "accuracy") >= metric_units(other, "accuracy")) or one < other
    assert metric_value(metric_units(one, "accuracy"), "accuracy") == pytest.approx(one, abs=5.1e-7)


@given(st.floats(0, 4294), st.floats(0, 4294))
def test_metric_units__of_errors__then_less_is_better(one: float, other: float) -> None:
    assert (metric_units(one, "mse") >= metric_units(other, "mse")) or one > other
    assert metric_value(metric_units(one, "mse"), "mse") == pytest.approx(one, abs=5.1e-7)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", ["accuracy", "mse", "mae"])
def test_metric_units__of_no_number__then_no_target_is_reached(value: float, metric: str) -> None:
    assert metric_units(value, metric) == 0


def test_metric_units__beyond_the_field__then_it_saturates() -> None:
    assert (metric_units(1e9, "mse"), metric_units(0.0, "mse"), metric_units(1e9, "accuracy")) == (0, MOST, MOST)


def test_target__in_a_manifest__then_it_is_written_described_and_posted() -> None:
    aimed = manifest(0.9)
    assert parse_manifest(render_manifest(aimed)) == aimed
    assert target_units(aimed) == 900_000
    assert describe(aimed)["target"] == "the bounty ends when accuracy is at least 0.9"
    assert target_units(regression(0.25)) == MOST - 250_000
    assert describe(regression(0.25))["target"] == "the bounty ends when mse is at most 0.25"


def test_target__in_no_manifest__then_all_rounds_are_played() -> None:
    assert target_units(manifest(None)) == 0
    assert describe(manifest(None))["target"] == "none: all rounds are played"


@pytest.mark.parametrize(
    ("value", "changes", "problem"),
    [
        (0.9, {"holdout": None}, "target needs a hold-out"),
        (1.1, {}, r"target.value is an accuracy, in 0.000001 .. 1"),
        (1e-7, {}, r"target.value is an accuracy, in 0.000001 .. 1"),
        (0.0, {}, "greater than 0"),
        (5000.0, {}, "less than 4294"),
        (math.nan, {}, "finite number"),
    ],
)
def test_target__when_it_can_not_be_reached__then_the_manifest_is_refused(
    value: float, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BadManifest, match=problem):
        manifest(value, **changes)


def merged(units: int) -> Merged:
    return make.merged(1, 5, metric=units)


@pytest.mark.parametrize(("claimed", "differs"), [(900_000, False), (901_000, False), (901_001, True), (0, True)])
def test_metric_difference__when_a_claim_is_further_off_than_machines__then_it_is_reported(
    claimed: int, differs: bool
) -> None:
    found = metric_difference(merged(claimed), {"accuracy": 0.9, "loss": 0.3}, manifest(0.95))
    assert [(one.what, one.expected) for one in found] == ([("accuracy", "0.900000")] if differs else [])
    assert not found or found[0].claimed == f"{claimed / 1e6:.6f}"


def test_metric_difference__when_nothing_can_be_measured_here__then_nothing_is_said() -> None:
    assert metric_difference(merged(900_000), {}, manifest(0.95)) == []


def test_metric_difference__without_a_target__then_a_metric_may_be_left_out_but_not_be_wrong() -> None:
    measured = {"accuracy": 0.9}
    assert metric_difference(merged(0), measured, manifest(None)) == []
    assert len(metric_difference(merged(950_000), measured, manifest(None))) == 1


def test_is_as_measured__of_an_error__then_the_tolerance_is_a_part_of_it() -> None:
    own = regression(0.25)
    units = measured_units({"mse": 100.0}, own)
    at_the_edge = round(100.0 * TOLERATED * 1e6)
    assert is_as_measured(make.claim(1, metric=units + at_the_edge), {"mse": 100.0}, own)
    assert not is_as_measured(make.claim(1, metric=units + at_the_edge + 1), {"mse": 100.0}, own)


@pytest.mark.parametrize(("metric", "target", "words"), [(899_999, 900_000, ""), (900_000, 900_000, "x"), (5, 0, "")])
def test_ending_in_words__when_the_last_merge_reached_the_target__then_it_says_in_which_round(
    metric: int, target: int, words: str
) -> None:
    story = [make.posted(target=target, rounds=10), *reached()[1:-2], merged(metric)]
    ended = Ended(make.at(6), make.BOUNTY, Timestamp(1005))
    expected = "target reached in round 1 of 10" if words else ""
    assert ending_in_words(build_history([*story, ended])) == expected
    assert ending_in_words(build_history(story)) == ""
    voided = make.voided(1, 7, 1)
    assert ending_in_words(build_history([*story, ended, voided])) == ""


def reached() -> list[Event]:
    """A bounty of ten rounds whose first merge reaches an accuracy of 0.9."""
    return [
        *make.shown(target=900_000, rounds=10),
        merged(950_000),
        Ended(make.at(6), make.BOUNTY, Timestamp(1005)),
    ]


def test_bounty_page__when_the_target_was_reached__then_it_says_in_which_round_and_what_it_was() -> None:
    missing = Missing("QmX", "nobody serves it")
    page = bounty_page(build_history(reached()), "digits", "accuracy", Timestamp(2000), lambda merged: missing)
    assert page.ending == "target reached in round 1 of 10"
    assert ("target", "accuracy at least 0.9") in page.terms
    early = bounty_page(build_history(reached()[:-1]), "digits", "", Timestamp(2000), lambda merged: missing)
    assert early.ending == ""
    assert ("target", number(900_000)) in early.terms


@pytest.mark.parametrize(("target", "cases"), [(0, 0), (900_000, 1)])
def test_make_risks__of_a_bounty_with_a_target__then_it_may_end_early(target: int, cases: int) -> None:
    risks = make_risks(make.terms(target=target), Wei(100), 3, 3)
    found = [risk for risk in risks if "target" in risk.case]
    assert [(risk.stake, risk.pay) for risk in found] == [(0, "all later rounds; what was merged is paid")] * cases


def test_in_words__of_a_target__then_people_read_the_metric() -> None:
    assert in_words(900_000, "accuracy") == "accuracy at least 0.9"
    assert in_words(MOST - 250_000, "mae") == "mae at most 0.25"
