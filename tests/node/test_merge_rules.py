"""The rules in plain integers, against the golden vectors that the Solidity tests read too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ledger.commitments import CHUNK
from ledger.merge_parameters import PROVABLE, BadMergeParameters, MergeParameters
from ledger.records import MergeRule
from node.clip_files import unpack_scales
from node.merge_arithmetic import bucket_order, chunk_distance, distance_term, merge_coordinate, scale_of
from node.merging import merge_round

VECTORS: dict[str, list[Any]] = json.loads((Path(__file__).parents[1] / "fixtures" / "merge_rules.json").read_text())
MERGES = VECTORS["merges"]


def parameters_of(vector: dict[str, Any]) -> MergeParameters:
    return MergeParameters.unpack(MergeRule(vector["rule"]), bytes.fromhex(vector["parameters"][2:]))


def scales_of(vector: dict[str, Any]) -> tuple[int, ...]:
    return unpack_scales(bytes.fromhex(vector["scales"][2:]))


@pytest.mark.unit
def test_vectors__when_counted__then_every_rule_is_there() -> None:
    assert {vector["rule"] for vector in MERGES} == set(PROVABLE)
    assert len(MERGES) == 68


@pytest.mark.unit
@pytest.mark.parametrize("vector", MERGES)
def test_merge_coordinate__of_every_vector__then_it_is_merged(vector: dict[str, Any]) -> None:
    accumulator, previous = vector["planes"]
    found = merge_coordinate(parameters_of(vector), accumulator, previous, vector["values"], scales_of(vector))
    assert list(found) == vector["merged"]


@pytest.mark.unit
@pytest.mark.parametrize("vector", [vector for vector in MERGES if vector["rule"] != MergeRule.CENTERED_CLIP])
def test_merge_round__of_every_vector__then_it_is_merged(vector: dict[str, Any]) -> None:
    parameters = parameters_of(vector)
    planes_PD = np.array(vector["planes"][: parameters.planes], dtype=np.int32)[:, None]
    updates = [np.array([value], dtype=np.int16) for value in vector["values"]]
    found = merge_round(parameters, planes_PD, updates, None).planes_PD[:, 0].tolist()
    assert found == vector["merged"][: parameters.planes]


@pytest.mark.unit
@pytest.mark.parametrize("vector", [vector for vector in MERGES if vector["terms"]])
def test_distance_term__of_every_vector__then_it_is_squared(vector: dict[str, Any]) -> None:
    parameters, previous, values = parameters_of(vector), vector["planes"][1], vector["values"]
    scales, pairs = scales_of(vector), range(len(vector["terms"]))
    terms = [distance_term(parameters, previous, values, scales, pair) for pair in pairs]
    assert terms == vector["terms"]
    columns = [[value, value] for value in values]
    doubled = [chunk_distance(parameters, [previous] * 2, columns, scales, pair) for pair in pairs]
    assert doubled == [2 * term for term in terms]


@pytest.mark.unit
@pytest.mark.parametrize("vector", [vector for vector in MERGES if vector["terms"]])
def test_merge_round__when_it_clips_a_vector__then_distances_are_its_first_terms(vector: dict[str, Any]) -> None:
    parameters = parameters_of(vector)
    planes_PD = np.repeat(np.array(vector["planes"], dtype=np.int32)[:, None], CHUNK, axis=1)
    order = bucket_order(len(vector["values"]), bytes(32)) if parameters.bucket > 1 else range(len(vector["values"]))
    updates = [np.empty(0, dtype=np.int16)] * len(vector["values"])
    for place, value in zip(order, vector["values"], strict=True):
        updates[place] = np.full(CHUNK, value, dtype=np.int16)
    found = merge_round(parameters, planes_PD, updates, bytes(32))
    buckets = len(found.scales) // parameters.iterations
    assert found.distance_sums[:buckets, 0].tolist() == [CHUNK * term for term in vector["terms"][:buckets]]


@pytest.mark.unit
@pytest.mark.parametrize("vector", VECTORS["orders"])
def test_bucket_order__of_every_seed__then_it_is_the_permutation(vector: dict[str, Any]) -> None:
    assert bucket_order(len(vector["order"]), bytes.fromhex(vector["seed"][2:])) == vector["order"]


@pytest.mark.unit
def test_scale_of__of_every_distance__then_it_is_the_greatest_that_holds() -> None:
    numbers = [int(entry) for entry in VECTORS["scales"]]
    for distance, tau, scale in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
        assert scale_of(distance, tau) == scale


@pytest.mark.unit
def test_problems__of_every_word__then_it_says_what_the_contract_says() -> None:
    limits = [int(entry) for entry in VECTORS["limits"]]
    for rule, word, quorum, valid, planes in zip(*[iter(limits)] * 5, strict=True):
        try:
            parameters = MergeParameters.unpack(MergeRule(rule), word.to_bytes(32, "big"))
        except BadMergeParameters:
            assert not valid
            continue
        assert (parameters.problems(quorum) == []) == bool(valid), (parameters, quorum)
        assert parameters.planes == planes
