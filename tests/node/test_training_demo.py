"""The demo's model, data and grid together: federated rounds in one process, merged as the protocol merges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from node.data.load import load_data, load_file
from node.evaluation import evaluate
from node.model import apply_state, flatten, layout
from node.package.loader import load_package
from node.training.local import Job, train
from node.updates import Quantised, quantise
from scripts.demo_model import CLASSES, MIN_EXAMPLES, build_package, split_data

pytestmark = pytest.mark.unit

ROUNDS = 6


def test_demo__when_five_unlike_providers_train__then_the_merged_model_learns_and_the_grid_loses_little(
    tmp_path: Path,
) -> None:
    package, split = build_package(tmp_path), split_data(tmp_path)
    manifest, where = package.manifest, layout(package.manifest)
    trainer, evaluator = load_package(package.train_path, package.eval_path, manifest)
    initial_D = flatten({name: tensor.numpy() for name, tensor in trainer.initial.items()}, where)
    holdout = load_file(split.holdout, "npz", manifest)
    parts = [load_data(str(path), manifest) for path in split.providers]
    state_D = np.zeros(where.size, dtype=np.int64)
    made: list[Quantised] = []
    for number in range(ROUNDS):
        global_D = apply_state(initial_D, state_D.astype(np.int32), manifest.update.bits)
        updates = []
        for index, part in enumerate(parts):
            job = Job(trainer, where, manifest.training, manifest.task.loss, global_D, seed=number * 10 + index)
            delta_D = train(job, part).weights - global_D
            updates.append(quantise(delta_D, manifest.update, np.random.default_rng(0)))
        made += updates
        state_D += sum(one.update.astype(np.int64) for one in updates) * 256 // len(updates)
    final_D = apply_state(initial_D, state_D.astype(np.int32), manifest.update.bits)
    assert evaluate(evaluator, manifest, initial_D, holdout)["accuracy"] < 0.3
    assert evaluate(evaluator, manifest, final_D, holdout)["accuracy"] >= 0.93
    assert sum(one.lost for one in made) < 0.001 * sum(one.nonzero for one in made)
    assert sum(one.saturated for one in made) < 0.001 * sum(one.nonzero for one in made)


def test_split_data__when_dealt__then_every_digit_is_dealt_once_and_providers_differ(tmp_path: Path) -> None:
    manifest, split = build_package(tmp_path).manifest, split_data(tmp_path, providers=4, alpha=0.5, seed=3)
    parts = [load_data(str(path), manifest) for path in split.providers]
    holdout = load_file(split.holdout, "npz", manifest)
    assert sum(len(part) for part in parts) + len(holdout) == 1797
    assert min(len(part) for part in parts) >= MIN_EXAMPLES
    shares = np.array([np.bincount(part.labels.numpy(), minlength=CLASSES) / len(part) for part in parts])
    assert shares.max(axis=0).min() > 1.2 / CLASSES
    assert np.abs(shares[0] - shares[1]).sum() > 0.3
    assert np.bincount(holdout.labels.numpy(), minlength=CLASSES).min() >= 30
    again = split_data(tmp_path / "again", providers=4, alpha=0.5, seed=3)
    for first, second in zip(split.providers, again.providers, strict=True):
        assert first.read_bytes() == second.read_bytes()
