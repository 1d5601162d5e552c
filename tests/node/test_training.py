"""Local training against plain torch, and the corners: tiny data, batch norm, time budgets, diverging losses."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from node.data.schema import Examples
from node.errors import TrainingFailed
from node.manifest import Manifest, manifest_from
from node.model import flatten, layout, unflatten
from node.package.loader import load_program
from node.training.local import Epoch, Job, Progress, train
from tests.node.samples import Net, exported, net

pytestmark = pytest.mark.unit


class Plain(nn.Module):
    """Without chance and without statistics, so that eager torch gives the same numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 16)
        self.second = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(torch.tanh(self.first(x)))
        return result


def blobs(count: int, seed: int = 0) -> Examples:
    """Three classes, four numbers, easy to tell apart."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    centres = torch.tensor([[2.0, 0, 0, 0], [0, 2.0, 0, 0], [0, 0, 2.0, 0]])
    return Examples(centres[labels] + torch.randn(count, 4, generator=generator), labels)


def job(folder: Path, module: nn.Module, **training: Any) -> tuple[Job, Manifest]:
    package = exported(module, torch.zeros(2, 4), folder, training=training)
    program = load_program(package.train_path, package.manifest, 8)
    where = layout(package.manifest)
    weights = flatten({name: tensor.numpy() for name, tensor in program.initial.items()}, where)
    made = Job(program, where, package.manifest.training, package.manifest.task.loss, weights, seed=7)
    return made, package.manifest


def net_job(folder: Path, **training: Any) -> Job:
    """A job on the shared package of `Net` with other training settings."""
    path = folder / "train.pt2"
    path.write_bytes(net().train)
    fields = net().manifest.model_dump(exclude_none=True)
    fields["training"] |= training
    wanted = manifest_from({**fields, "training": {k: v for k, v in fields["training"].items() if v is not None}})
    program, where = load_program(path, wanted, 8), layout(wanted)
    weights = flatten({name: tensor.numpy() for name, tensor in program.initial.items()}, where)
    return Job(program, where, wanted.training, wanted.task.loss, weights, seed=7)


def eager(module: nn.Module, examples: Examples, optimizer: torch.optim.Optimizer, epochs: int) -> nn.Module:
    """The same training in plain torch: batches of 4 in the order that the seed 7 gives."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        for _ in range(epochs):
            for rows in torch.randperm(len(examples)).split(4):
                optimizer.zero_grad()
                F.cross_entropy(module(examples.features[rows]), examples.labels[rows]).backward()
                optimizer.step()
    return module


@pytest.mark.parametrize(
    ("settings", "optimizer"),
    [
        ({"optimizer": "sgd", "momentum": 0.5, "weight_decay": 0.01}, torch.optim.SGD),
        ({"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.01}, torch.optim.AdamW),
    ],
    ids=["sgd", "adamw"],
)
def test_train__when_compared_with_plain_torch__then_the_weights_are_the_same(
    settings: dict[str, Any], optimizer: Any, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    module, examples = Plain(), blobs(24)
    made, _ = job(tmp_path, module, local_epochs=3, **settings)
    trained = train(made, examples)
    options = {key: value for key, value in settings.items() if key in ("momentum", "weight_decay")}
    expected = eager(module, examples, optimizer(module.parameters(), lr=made.settings.learning_rate, **options), 3)
    for name, part in unflatten(trained.weights, made.where).items():
        assert np.allclose(part, expected.get_parameter(name).detach().numpy(), rtol=1e-5, atol=1e-7), name
    assert (trained.examples, trained.steps, len(trained.losses)) == (24, 18, 3)
    assert trained.losses[0] > trained.losses[-1]


def test_train__when_an_epoch_is_over__then_its_mean_loss_and_the_part_done_are_told(tmp_path: Path) -> None:
    told: list[Epoch] = []
    trained = train(net_job(tmp_path, local_epochs=4), blobs(20), epoch_over=told.append)
    assert told == [Epoch(number, loss, (number + 1) / 4) for number, loss in enumerate(trained.losses)]


def test_train__when_run_twice__then_the_seed_decides_everything(tmp_path: Path) -> None:
    made, examples = net_job(tmp_path, local_epochs=2), blobs(21)
    before, state = made.weights.copy(), torch.get_rng_state()
    first, second = train(made, examples), train(made, examples)
    other = train(replace(made, seed=8), examples)
    assert np.array_equal(first.weights, second.weights)
    assert first.losses == second.losses
    assert not np.array_equal(first.weights, other.weights)
    assert np.array_equal(made.weights, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_train__when_there_is_batch_norm__then_running_statistics_move_and_counters_stay_local(tmp_path: Path) -> None:
    made = net_job(tmp_path, local_epochs=3)
    trained = train(made, blobs(20))
    old, new = unflatten(made.weights, made.where), unflatten(trained.weights, made.where)
    assert set(new) == set(made.program.initial)
    assert "norm.num_batches_tracked" not in new
    assert not np.array_equal(old["norm.running_mean"], new["norm.running_mean"])
    assert not np.array_equal(old["norm.running_var"], new["norm.running_var"])
    assert made.program.local["norm.num_batches_tracked"] == 0
    assert not trained.weights[made.where.used :].any()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_train__when_a_batch_would_be_one_example__then_batch_norm_still_gives_numbers(
    count: int, tmp_path: Path
) -> None:
    trained = train(net_job(tmp_path, local_epochs=2), blobs(count))
    assert np.isfinite(trained.weights).all()
    assert trained.examples == count


def test_train__when_batches_are_of_one__then_every_example_is_used(tmp_path: Path) -> None:
    trained = train(net_job(tmp_path, batch_size=1), blobs(5))
    assert trained.steps == 5
    assert np.isfinite(trained.weights).all()


def test_train__when_proximal__then_the_weights_stay_nearer(tmp_path: Path) -> None:
    examples, distances = blobs(40), []
    for mu in (0.0, 1.0, 5.0):
        made = net_job(tmp_path, local_epochs=5, proximal_mu=mu)
        distances.append(_moved(made, train(made, examples).weights))
    assert distances[0] > distances[1] > distances[2] > 0


def test_train__when_gradients_are_clipped__then_a_step_is_no_longer_than_the_bound(tmp_path: Path) -> None:
    made = net_job(tmp_path, clip_norm=0.01, batch_size=64)
    assert 0 < _moved(made, train(made, blobs(40)).weights) <= 0.01 * made.settings.learning_rate * 1.001


def _moved(made: Job, weights: NDArray[np.float32]) -> float:
    """How far the parameters moved, statistics left out."""
    old, new = unflatten(made.weights, made.where), unflatten(weights, made.where)
    return float(np.sqrt(sum(np.square(new[name] - old[name]).sum() for name in made.program.parameters)))


def test_train__when_given_seconds__then_it_stops_within_the_epoch_when_they_are_over(tmp_path: Path) -> None:
    ticks = itertools.count(0.0, 0.25)
    made = net_job(tmp_path, local_epochs=None, seconds=3.0)
    seen: list[Progress] = []
    trained = train(made, blobs(400), seen.append, clock=lambda: next(ticks))
    assert 1 <= trained.steps < 12
    assert len(trained.losses) == 1
    assert 0.9 < seen[-1].fraction <= 1.0


def test_train__when_seconds_are_almost_none__then_one_batch_is_still_trained(tmp_path: Path) -> None:
    ticks = itertools.count(0.0, 100.0)
    trained = train(net_job(tmp_path, local_epochs=None, seconds=1.0), blobs(40), clock=lambda: next(ticks))
    assert trained.steps == 1


def test_train__when_watched__then_progress_goes_up_to_one(tmp_path: Path) -> None:
    seen: list[Progress] = []
    train(net_job(tmp_path, local_epochs=2), blobs(10), seen.append)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [progress.step for progress in seen] == list(range(1, len(seen) + 1))
    assert {progress.epoch for progress in seen} == {0, 1}


def test_train__when_the_loss_diverges__then_no_weights_come_out(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made, _ = job(tmp_path, Plain(), learning_rate=100.0, momentum=0.99, local_epochs=500, weight_decay=10.0)
    with pytest.raises(TrainingFailed, match="No update was made"):
        train(made, blobs(40))


def test_train__when_a_weight_is_not_a_number__then_no_weights_come_out(tmp_path: Path) -> None:
    made = net_job(tmp_path)
    broken = made.weights.copy()
    broken[0] = np.nan
    with pytest.raises(TrainingFailed):
        train(replace(made, weights=broken), blobs(8))


def test_net__when_trained_on_easy_data__then_it_learns_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made, _ = job(tmp_path, Net(), local_epochs=20)
    losses = train(made, blobs(90)).losses
    assert losses[-1] < 0.8 * losses[0]
