"""From examples to one integer, and what an owner may ask for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ledger.cid import Digest
from ledger.commitments import zero_state_root
from ledger.errors import BadInput
from ledger.evaluation_records import Metric, Units
from ledger.keccak import ZERO_HASH, keccak
from node import manifest as manifests
from node.evaluation_files import BadAllowList, parse_list, problems_of, render_list
from node.evaluation_posting import BadEvaluation, Grid, grid_for, metric_for
from node.evaluator.measuring import on_grid
from node.training.losses import METRICS
from tests import evaluation_builders as make
from tests.node import samples

pytestmark = pytest.mark.unit

LOSS = {"metric": Metric.MEAN_SQUARED_ERROR, "decimals": 2, "low": Units(-100), "high": Units(300)}


def metrics(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1, 0, 1, 1), 7_500),
        ((1, 1, 0), 6_667),
        ((0,), 0),
        ((float("nan"), 1), 5_000),
    ],
)
def test_on_grid__of_hits__then_is_the_share_rounded_to_nearest(values: tuple[float, ...], expected: int) -> None:
    assert on_grid(metrics(*values), make.terms()) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.014, 0.016), 2),
        ((9.0, -9.0), 100),
        ((float("inf"),), 300),
        ((float("-inf"),), -100),
        ((float("nan"),), 300),
        ((1e300, 0.0), 150),
    ],
)
def test_on_grid__of_errors__then_no_example_weighs_more_than_the_range(
    values: tuple[float, ...], expected: int
) -> None:
    assert on_grid(metrics(*values), make.terms(**LOSS)) == expected


def test_metrics__of_cross_entropy__then_is_each_examples_own() -> None:
    outputs: Tensor = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    each = METRICS["cross_entropy"](outputs, torch.tensor([0, 1]))
    assert each.tolist() == pytest.approx([np.log1p(np.exp(-2)), np.log(2)])


def test_grid_for__of_a_persons_numbers__then_is_exact() -> None:
    assert grid_for(Metric.ACCURACY, "", 4, "0.002") == Grid(Metric.ACCURACY, 4, Units(0), Units(10_000), 20)
    grid = grid_for(Metric.MEAN_SQUARED_ERROR, "-1.5:2", 1, "")
    assert (grid.low, grid.high, grid.noise) == (-15, 20, 0)


@pytest.mark.parametrize(
    ("metric", "span", "decimals", "noise", "why"),
    [
        (Metric.MEAN_SQUARED_ERROR, "", 4, "", "LOW:HIGH is missing"),
        (Metric.ACCURACY, "", 10, "", "0 .. 9"),
        (Metric.ACCURACY, "1", 4, "", "is not LOW:HIGH"),
        (Metric.ACCURACY, "1:0", 4, "", "must rise"),
        (Metric.ACCURACY, "0:x", 4, "", "is not a number"),
        (Metric.ACCURACY, "0:0.33333", 4, "", "at most 4 decimals"),
        (Metric.ACCURACY, "0:1e30", 4, "", "at most 4 decimals"),
        (Metric.ACCURACY, "nan:inf", 4, "", "at most 4 decimals"),
        (Metric.ACCURACY, "0:1", 4, "-0.1", "must not be negative"),
    ],
)
def test_grid_for__of_what_is_no_grid__then_says_why(
    metric: Metric, span: str, decimals: int, noise: str, why: str
) -> None:
    with pytest.raises(BadEvaluation, match=why):
        grid_for(metric, span, decimals, noise)


def test_metric_for__of_a_name__then_finds_it_and_defaults_to_the_manifests() -> None:
    assert metric_for(samples.manifest(), "") == Metric.ACCURACY
    assert metric_for(samples.manifest(), "cross_entropy") == Metric.CROSS_ENTROPY
    with pytest.raises(BadEvaluation, match="no metric"):
        metric_for(samples.manifest(), "f1")


def test_problems_of__an_evaluation_that_contradicts_its_manifest__then_names_each() -> None:
    manifest = samples.manifest()
    planes = manifests.merge_parameters(manifest).planes
    root = zero_state_root(manifests.chunks(manifest), planes)
    assert problems_of(make.terms(state_root=root), manifest) == []
    found = problems_of(make.terms(metric=Metric.MEAN_ABSOLUTE_ERROR), manifest)
    assert len(found) == 2
    with_file = make.terms(state_cid=Digest(keccak(b"file")))
    assert with_file.state_cid != ZERO_HASH
    assert problems_of(with_file, manifest) == []


def test_parse_list__of_what_was_rendered__then_is_the_same() -> None:
    accounts = [make.account(number) for number in range(5)]
    assert parse_list(render_list(accounts)) == accounts
    assert parse_list(b"\n  " + accounts[0].lower().encode() + b"  \n\n") == accounts[:1]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"\xff\xfe", "line 1"),
        (b"0x12\n", "line 1 .0x12. is not"),
        ((make.account(1) + "\n").encode() * 2, "line 2 repeats line 1"),
        (make.account(1)[2:].encode(), "line 1"),
    ],
)
def test_parse_list__of_what_is_no_list__then_names_the_line(data: bytes, why: str) -> None:
    with pytest.raises(BadAllowList, match=why) as refused:
        parse_list(data)
    assert isinstance(refused.value, BadInput)
