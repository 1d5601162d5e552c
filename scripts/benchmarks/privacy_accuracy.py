"""What privacy costs: accuracy of federated DP-SGD against epsilon, on digits and MNIST."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from node.contribution import Holdout
from node.data.schema import Examples
from node.made_merges import MadeMerge
from node.model import layout, unflatten
from node.training.local import Job, train
from node.updates import quantise
from scripts.benchmarks.contribution_players import Task, deal
from scripts.benchmarks.privacy_leaks import Noise, noise_for, private_weights

PROVIDERS = 5
EPSILONS: tuple[float | None, ...] = (2.0, 4.0, 8.0, None)
"""Of the whole bounty, for one example of one provider; None: no noise."""


@dataclass(frozen=True)
class Plan:
    """How a task is trained. rate: of Poisson sampling; steps: of DP-SGD a round; learning_rate: of these."""

    rounds: int
    rate: float
    steps: int
    learning_rate: float


PLANS = {"digits": Plan(8, 0.1, 20, 0.3), "MNIST": Plan(8, 0.02, 25, 2.0)}


def final_accuracy(task: Task, plan: Plan, epsilon: float | None, seed: int) -> float:
    """Accuracy on the hold-out after all rounds of the mean, by providers with equal hands of the data."""
    rng = np.random.default_rng(seed)
    holdout, rows = task.split(rng)
    hands = deal(task.labels, rows, PROVIDERS, None, rng)
    merge = task.start()
    for _ in range(plan.rounds):
        state_D = merge.state_D
        weights_D = holdout.weights(state_D)
        updates = [_update(task, plan, epsilon, weights_D, task.examples(hand), rng) for hand in hands]
        merge = MadeMerge(merge.parameters, state_D[np.newaxis], updates)
    return _accuracy(task, holdout, merge.state_D)


def _update(
    task: Task,
    plan: Plan,
    epsilon: float | None,
    weights_D: NDArray[np.float32],
    examples: Examples,
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    manifest, seed = task.manifest, int(rng.integers(2**31))
    if epsilon is None:
        job = Job(task.trainer, layout(manifest), manifest.training, manifest.task.loss, weights_D, seed)
        after_D = train(job, examples).weights
    else:
        noise = noise_for(epsilon, plan.rate, plan.steps * plan.rounds)
        batch = round(plan.rate * len(examples))
        made = Noise(noise, plan.rate, plan.steps, batch, plan.learning_rate)
        after_D = private_weights(task, weights_D, examples, made, seed)
    return quantise(after_D - weights_D, manifest.update, rng).update


def _accuracy(task: Task, holdout: Holdout, state_D: NDArray[np.int32]) -> float:
    program, examples = task.evaluator, holdout.examples
    parts = unflatten(holdout.weights(state_D), layout(task.manifest))
    tensors = {name: torch.tensor(part) for name, part in parts.items()}
    with torch.no_grad():
        outputs = program.run({**tensors, **program.local, **program.constants}, examples.features)
    return float((outputs.argmax(dim=1) == examples.labels).double().mean())


def draw(found: dict[str, dict[str, list[float]]], path: Path) -> None:
    """One line a task: mean accuracy by epsilon, with the least and the greatest of the seeds."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "fedbounty"  # the same figures give the same file
    from matplotlib import pyplot

    figure: Any
    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    for task, by_epsilon in found.items():
        places = range(len(by_epsilon))
        means = [float(np.mean(values)) for values in by_epsilon.values()]
        spread = [
            [mean - min(values) for mean, values in zip(means, by_epsilon.values(), strict=True)],
            [max(values) - mean for mean, values in zip(means, by_epsilon.values(), strict=True)],
        ]
        axes.errorbar(places, means, yerr=spread, marker="o", capsize=3, label=task)
        axes.set_xticks(list(places), list(by_epsilon))
    axes.set(xlabel="epsilon of the whole bounty, delta 1e-5", ylabel="accuracy on the hold-out")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
