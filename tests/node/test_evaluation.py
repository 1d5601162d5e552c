"""Measuring weights on held-out data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from node.data.schema import Examples
from node.evaluation import evaluate
from node.manifest import Manifest
from node.model import flatten, layout
from node.package.loader import load_program
from node.package.program import Program
from tests.node.samples import Net, exported

pytestmark = pytest.mark.unit


def packaged(module: nn.Module, folder: Path, **sections: Any) -> tuple[Program, Manifest, Any]:
    package = exported(module, torch.zeros(2, 4), folder, **sections)
    program = load_program(package.eval_path, package.manifest, 256)
    initial = {name: tensor.numpy() for name, tensor in program.initial.items()}
    return program, package.manifest, flatten(initial, layout(package.manifest))


def test_evaluate__when_compared_with_plain_torch__then_accuracy_and_loss_agree(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Net()
    program, manifest, weights_D = packaged(module, tmp_path)
    examples = Examples(torch.randn(700, 4), torch.arange(700) % 3)
    outputs = module.eval()(examples.features)
    measured = evaluate(program, manifest, weights_D, examples)
    assert set(measured) == {"accuracy", "loss"}
    assert measured["accuracy"] == (outputs.argmax(1) == examples.labels).double().mean().item()
    assert measured["loss"] == pytest.approx(F.cross_entropy(outputs, examples.labels).item(), rel=1e-5)
    assert evaluate(program, manifest, weights_D, examples) == measured


def test_evaluate__when_the_weights_change__then_the_numbers_follow_them_not_the_package(tmp_path: Path) -> None:
    program, manifest, weights_D = packaged(Net(), tmp_path)
    examples = Examples(torch.randn(30, 4), torch.arange(30) % 3)
    first = evaluate(program, manifest, weights_D, examples)
    assert evaluate(program, manifest, weights_D + np.float32(0.5), examples) != first
    assert evaluate(program, manifest, weights_D, examples) == first


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x)
        return result


@pytest.mark.parametrize(("metric", "power"), [("mse", 2), ("mae", 1)])
def test_evaluate__when_the_task_is_regression__then_the_metric_is_a_mean_over_examples(
    metric: str, power: int, tmp_path: Path
) -> None:
    task = {"kind": "regression", "loss": "huber", "metric": metric}
    fields = {"label": "y", "minimum": -8.0, "maximum": 8.0, "min_examples": 1}
    module = Line()
    package = exported(module, torch.zeros(2, 4), tmp_path, task=task, data={**fields, "classes": None})
    program = load_program(package.eval_path, package.manifest, 256)
    initial = {name: tensor.numpy() for name, tensor in program.initial.items()}
    examples = Examples(torch.randn(300, 4), torch.randn(300, 2))
    measured = evaluate(program, package.manifest, flatten(initial, layout(package.manifest)), examples)
    errors = (module(examples.features) - examples.labels).abs().double() ** power
    assert measured[metric] == pytest.approx(errors.mean().item(), rel=1e-6)


def test_evaluate__when_the_weights_have_diverged__then_the_loss_is_not_finite(tmp_path: Path) -> None:
    program, manifest, weights_D = packaged(Net(), tmp_path)
    examples = Examples(torch.randn(10, 4), torch.arange(10) % 3)
    assert not np.isfinite(evaluate(program, manifest, np.full_like(weights_D, np.nan), examples)["loss"])
