"""DP-SGD: gradients by example, clipping, noise, and which programs can't have it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from node.data.schema import Examples
from node.errors import BadPackage, TrainingFailed
from node.model import flatten, layout, unflatten
from node.package.loader import load_program
from node.package.program import Program
from node.privacy.dp_sgd import PrivateJob, at_once, clipped_sum, example_gradients, train_privately
from node.privacy.independence import check_independence
from node.privacy.randomness import SecureStream
from node.training.local import Epoch, Job
from tests.node import samples

pytestmark = pytest.mark.unit


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(torch.tanh(self.first(x)))
        return result


class Convolutional(nn.Module):
    """What a private image model is made of: convolutions, GroupNorm, dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.convolve, self.norm, self.drop = nn.Conv1d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.Dropout(0.25)
        self.last = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.max_pool1d(torch.relu(self.norm(self.convolve(x.unsqueeze(1)))), 2)
        result: Tensor = self.last(self.drop(hidden.flatten(1)))
        return result


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attend, self.last = nn.TransformerEncoderLayer(2, 1, 8, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.attend(x.reshape(-1, 2, 2)).flatten(1))
        return result


class Mixing(nn.Module):
    """Linear, and then whatever a test does to the batch."""

    def __init__(self, mix: Any) -> None:
        super().__init__()
        self.last, self.mix = nn.Linear(4, 3), mix

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.mix(self.last(x))
        return result


class Remembering(nn.Module):
    """Keeps the mean of what it saw in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 3)
        self.register_buffer("seen", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.seen.mul_(0.9).add_(x.mean(dim=0), alpha=0.1)
        result: Tensor = self.last(x)
        return result


@cache
def packaged(kind: type[nn.Module]) -> tuple[Program, Any]:
    """A module's program and manifest, made once."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return exported(kind())


def exported(module: nn.Module) -> tuple[Program, Any]:
    with tempfile.TemporaryDirectory() as folder:
        package = samples.exported(module, torch.zeros(2, 4), Path(folder))
        return load_program(package.train_path, package.manifest, 8), package.manifest


def blobs(count: int) -> Examples:
    chance = np.random.default_rng(count)
    labels = np.arange(count) % 3
    features = chance.normal(size=(count, 4)) + labels[:, None]
    return Examples(torch.from_numpy(features.astype(np.float32)), torch.from_numpy(labels))


def private_job(kind: type[nn.Module], **changes: Any) -> PrivateJob:
    program, manifest = packaged(kind)
    where = layout(manifest)
    weights = flatten({name: tensor.numpy() for name, tensor in program.initial.items()}, where)
    job = Job(program, where, manifest.training, manifest.task.loss, weights, seed=7)
    settings = {"noise_multiplier": 1.0, "sample_rate": 0.5, "steps": 4, "clip_norm": 1.0, "at_once": 5} | changes
    return PrivateJob(job, **settings)


def placed(program: Program) -> dict[str, Tensor]:
    return {**program.initial, **program.local, **program.constants}


@pytest.mark.parametrize("module", [Plain, Attentive], ids=["linear", "attention"])
def test_example_gradients__then_they_are_those_of_each_example_alone(module: Any) -> None:
    made = private_job(module).job
    examples = blobs(5)
    tensors = {name: tensor.clone() for name, tensor in placed(made.program).items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        gradients, losses = example_gradients(
            replace(made.program), tensors, "cross_entropy", examples.features, examples.labels
        )
    assert losses.shape == (5,)
    if module is Attentive:  # its dropout is another one for each example
        assert all(g.shape[0] == 5 for g in gradients.values())
        return
    for index in range(5):
        leaves = {name: t.clone().requires_grad_(name in made.program.parameters) for name, t in tensors.items()}
        loss = F.cross_entropy(made.program.run(leaves, examples.features[[index]]), examples.labels[[index]])
        loss.backward()  # type: ignore[no-untyped-call]
        for name, gradient in gradients.items():
            assert torch.allclose(gradient[index], leaves[name].grad, atol=1e-6), name


def test_clipped_sum__of_long_and_short_gradients__then_only_the_long_are_scaled() -> None:
    gradients = {"a": torch.tensor([[3.0, 0.0], [0.1, 0.0]]), "b": torch.tensor([[4.0], [0.2]])}
    found = clipped_sum(gradients, 1.0)
    assert torch.allclose(found["a"], torch.tensor([0.6 + 0.1, 0.0], dtype=torch.float64), atol=1e-3)
    assert torch.allclose(found["b"], torch.tensor([0.8 + 0.2], dtype=torch.float64), atol=1e-3)


@pytest.mark.parametrize("wild", [float("nan"), float("inf"), 3e38, 1e-30, 0.0])
def test_clipped_sum__with_and_without_any_example__then_moves_by_at_most_the_bound(wild: float) -> None:
    chance = torch.Generator().manual_seed(1)
    rest = torch.randn(200, 50, generator=chance) * 10
    one = torch.full((1, 50), wild)
    with_it, without = clipped_sum({"w": torch.cat((rest, one))}, 0.7)["w"], clipped_sum({"w": rest}, 0.7)["w"]
    assert torch.isfinite(with_it).all()
    assert float((with_it - without).norm()) <= 0.7


@pytest.mark.parametrize("norm", [1e30, 1e31, 7e32, 1e33, 3e38])
def test_clipped_sum__of_a_gradient_far_beyond_the_bound__then_rounding_does_not_take_it_over(norm: float) -> None:
    found = clipped_sum({"w": torch.tensor([[norm]])}, 1e-12)["w"]
    assert float(found.norm()) <= 1e-12


def test_train_privately__without_noise_and_with_every_example__then_is_gradient_descent() -> None:
    made = private_job(Plain, noise_multiplier=0.0, sample_rate=1.0, steps=6, clip_norm=1e6)
    examples, settings = blobs(20), replace_batch(made, 20)
    trained = train_privately(settings, examples)
    weights = {name: t.clone().requires_grad_() for name, t in made.job.program.initial.items()}
    optimizer = torch.optim.SGD(list(weights.values()), lr=settings.job.settings.learning_rate)
    for _ in range(6):
        optimizer.zero_grad()
        outputs = made.job.program.run({**placed(made.job.program), **weights}, examples.features)
        F.cross_entropy(outputs, examples.labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    for name, part in unflatten(trained.weights, made.job.where).items():
        assert np.allclose(part, weights[name].detach().numpy(), rtol=1e-3, atol=1e-5), name


def replace_batch(made: PrivateJob, batch: int) -> PrivateJob:
    settings = made.job.settings.model_copy(update={"batch_size": batch})
    return replace(made, job=replace(made.job, settings=settings))


def test_train_privately__when_no_example_is_ever_sampled__then_it_is_noise_of_the_stated_size() -> None:
    made = private_job(Plain, sample_rate=1e-9, steps=50, noise_multiplier=2.0, clip_norm=3.0)
    told: list[Epoch] = []
    trained = train_privately(made, blobs(10), told.append, SecureStream(bytes(32)))
    moved = (trained.weights - made.job.weights)[:67]
    settings = made.job.settings
    expected = settings.learning_rate * 2.0 * 3.0 / settings.batch_size * np.sqrt(50)
    assert 0.7 < moved.std() / expected < 1.3
    assert trained.steps == 50
    assert [np.isnan(one.loss) for one in told] == [True]


def test_train_privately__of_any_size_of_micro_batches__then_does_the_same() -> None:
    made = private_job(Convolutional, steps=2)
    examples = blobs(30)
    one, other = (train_privately(made, examples, stream=SecureStream(bytes(32))) for _ in range(2))
    assert np.array_equal(one.weights, other.weights)
    plain = private_job(Plain, steps=2)
    small, great = (
        train_privately(replace(plain, at_once=size), examples, stream=SecureStream(bytes(32))) for size in (3, 30)
    )
    assert np.allclose(small.weights, great.weights, atol=1e-6)
    assert not np.array_equal(small.weights, plain.job.weights)


def test_train_privately__without_a_given_stream__then_no_two_runs_are_alike() -> None:
    made = private_job(Plain, steps=2)
    one, other = train_privately(made, blobs(9)), train_privately(made, blobs(9))
    assert not np.array_equal(one.weights, other.weights)


def test_train_privately__with_an_example_that_has_no_finite_gradient__then_it_counts_nothing() -> None:
    made = private_job(Plain, sample_rate=1.0, steps=3)
    examples = blobs(9)
    examples.features[4] = float("inf")
    trained = train_privately(made, examples)
    assert np.isfinite(trained.weights).all()
    assert np.isfinite(trained.losses).all()


def test_train_privately__when_a_weight_is_infinite__then_stops() -> None:
    made = private_job(Plain, noise_multiplier=1e42, steps=1)
    with pytest.raises(TrainingFailed):
        train_privately(made, blobs(9))


def test_train_privately__with_a_proximal_term__then_stays_nearer() -> None:
    made = private_job(Plain, sample_rate=1e-9, steps=40)
    pulled = made.job.settings.model_copy(update={"proximal_mu": 4.0})
    near = replace(made, job=replace(made.job, settings=pulled))
    runs = [train_privately(one, blobs(9), stream=SecureStream(bytes(32))).weights for one in (made, near)]
    free, held = (float(np.linalg.norm(weights - made.job.weights)) for weights in runs)
    assert held < free / 2


def test_train_privately__on_data_that_can_be_learnt__then_learns() -> None:
    made = replace_batch(private_job(Plain, sample_rate=0.1, steps=40, noise_multiplier=0.5, at_once=256), 60)
    examples = blobs(600)
    trained = train_privately(made, examples)
    assert trained.losses[-1] < trained.losses[0] - 0.1
    assert trained.examples == 600


def test_at_once__then_memory_is_bounded_and_one_always_fits() -> None:
    assert at_once(1000, 1000) == 256
    assert at_once(1_000_000, 0) == (256 << 20) // 12_000_000
    assert at_once(10**9, 10**9) == 1


@pytest.mark.parametrize("module", [Plain, Convolutional, Attentive])
def test_check_independence__of_programs_that_treat_examples_one_by_one__then_passes(module: Any) -> None:
    check_independence(*packaged(module))


@pytest.mark.parametrize(
    ("mix", "step"),
    [
        (lambda x: x - x.mean(dim=0), "sub"),
        (lambda x: torch.softmax(x, dim=0), "softmax"),
        (lambda x: torch.cumsum(x, dim=0), "cumsum"),
        (lambda x: x.flip(0), "flip"),
        (lambda x: torch.roll(x, 1, 0), "roll"),
        (lambda x: x / x.norm(), "div"),
        (lambda x: x.t().sort(dim=1)[0].t(), "t.default"),
    ],
)
def test_check_independence__of_operators_that_mix_examples__then_names_the_step(mix: Any, step: str) -> None:
    with pytest.raises(BadPackage, match="depend on the other examples") as caught:
        check_independence(*exported(Mixing(mix)))
    assert step in caught.value.where


def test_check_independence__of_batch_norm__then_says_what_to_use(tmp_path: Path) -> None:
    made = samples.net()
    (tmp_path / "train.pt2").write_bytes(made.train)
    with pytest.raises(BadPackage, match=r"BatchNorm takes its mean.*use GroupNorm"):
        check_independence(load_program(tmp_path / "train.pt2", made.manifest, 8), made.manifest)


def test_check_independence__of_a_buffer_that_remembers_examples__then_names_it() -> None:
    with pytest.raises(BadPackage, match="writes to the buffer seen"):
        check_independence(*exported(Remembering()))
