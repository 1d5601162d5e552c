"""Measuring on the hold-out what each update did in the merge that was made. docs/PROTOCOL.md, section 14.

`contributions` takes a gradient half-way along the merge's step; `game_of` measures merges without some of the updates,
for the rules of `incentives.shapley`; `assess` finds what a round's pay is divided by.

Shape suffixes: N updates, M of the round before, D coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from incentives.contribution import (
    UNSEEN_BITS,
    chance_cosine,
    copies,
    counts_once,
    helps,
    repeats,
    to_score,
    weights,
)
from incentives.shapley import Game
from node.blocks import pieces
from node.data.schema import Examples
from node.distances import inner_products
from node.evaluation import evaluate
from node.made_merges import MadeMerge
from node.manifest import STATE_EXTRA_BITS, Manifest
from node.model import apply_state, flatten, layout, unflatten
from node.package.program import EVALUATION_BATCH, Program
from node.training.losses import LOSSES

BLOCK = 2**16

PAID_POINTS = 2
"""Gradients behind pay: where providers' data differ much, one is not always enough (docs/benchmarks)."""


@dataclass(frozen=True)
class Holdout:
    """The owner's hold-out, and the program that measures on it."""

    program: Program
    manifest: Manifest
    examples: Examples

    @cached_property
    def _initial_D(self) -> NDArray[np.float32]:  # noqa: N802 - shape suffix
        return flatten({name: tensor.numpy() for name, tensor in self.program.initial.items()}, layout(self.manifest))

    def weights(self, state_D: NDArray[np.int32]) -> NDArray[np.float32]:
        return apply_state(self._initial_D, state_D, self.manifest.update.bits)

    def loss(self, state_D: NDArray[np.int32]) -> float:
        return evaluate(self.program, self.manifest, self.weights(state_D), self.examples)["loss"]

    def gradient(self, weights_D: NDArray[np.float32]) -> NDArray[np.float32]:
        """The mean loss's gradient in every coordinate, running statistics included; one pass over the hold-out.

        Shapes: weights_D (D,) float32 -> (D,) float32, padding 0.
        Raises: BadPackage if the program can't run.
        """
        where, program = layout(self.manifest), _with_smooth_steps(self.program)
        tensors = {name: torch.tensor(part) for name, part in unflatten(weights_D, where).items()}
        coordinates = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
        tensors |= {name: tensor.clone() for name, tensor in {**program.local, **program.constants}.items()}
        loss_of = LOSSES[self.manifest.task.loss]
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(0)
            for start in range(0, len(self.examples), EVALUATION_BATCH):
                rows = slice(start, start + EVALUATION_BATCH)
                labels = self.examples.labels[rows]
                loss = loss_of(program.run(tensors, self.examples.features[rows]), labels)
                if loss.requires_grad:
                    (loss * (len(labels) / len(self.examples))).backward()  # type: ignore[no-untyped-call]
        slopes = {
            name: np.zeros(tuple(tensor.shape), np.float32) if tensor.grad is None else tensor.grad.numpy()
            for name, tensor in coordinates.items()
        }
        return flatten(slopes, where)


def _with_smooth_steps(program: Program) -> Program:
    """The program with a batch norm whose running statistics have a gradient: torch's own gives them none."""
    steps = tuple(
        replace(step, function=_batch_norm) if step.label == "torch.ops.aten.batch_norm.default" else step
        for step in program.graph.steps
    )
    return replace(program, graph=replace(program.graph, steps=steps))


def _batch_norm(
    values: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None, variance: Tensor | None, *rest: Any
) -> Tensor:
    """`aten.batch_norm`, written out. rest: training, momentum, eps, cudnn_enabled."""
    training, _, epsilon, _ = rest
    if training or mean is None or variance is None:
        result: Tensor = torch.ops.aten.batch_norm.default(values, weight, bias, mean, variance, *rest)
        return result
    shape = (1, -1, *([1] * (values.dim() - 2)))
    scale = torch.rsqrt(variance + epsilon) if weight is None else weight * torch.rsqrt(variance + epsilon)
    shift = -mean * scale if bias is None else bias - mean * scale
    return values * scale.reshape(shape) + shift.reshape(shape)


def game_of(merge: MadeMerge, holdout: Holdout) -> Game:
    """The merge as a game between its updates: a coalition is worth by how much it alone lowers the loss."""
    nobody = holdout.loss(merge.state_of(0))
    return Game(
        len(merge.updates),
        lambda coalition: nobody - holdout.loss(merge.state_of(coalition)) if coalition else 0.0,
    )


def contributions(merge: MadeMerge, holdout: Holdout, points: int = 1) -> tuple[float, ...]:
    """The loss that each update took away: its part of the step, times the slope along all parts together.

    points: gradients that are taken on the way; 1 is the midpoint, which is exact where the loss is quadratic there, 2
            are exact up to the fourth power.
    Holds:  for the rule mean it is additive: an update's contribution is the sum of those of any updates that it is the
            sum of. It is Shapley's value where the loss is quadratic along the step.
    Raises: BadPackage if the program can't run.
    Source: Aumann and Shapley 1974; the integral along the diagonal by Gauss and Legendre's rule.
    """
    return _contributions(merge, holdout, mean_gradient(merge, holdout, points)) if merge.updates else ()


def mean_gradient(merge: MadeMerge, holdout: Holdout, points: int) -> NDArray[np.float64]:
    """The loss's mean gradient on the straight way from the merge of zero updates to the one that was made.

    Shapes: -> (D,) float64.
    """
    made_D = holdout.weights(merge.state_D)
    start_D, end_D = made_D.copy(), made_D
    for block in pieces(len(made_D), BLOCK):
        start_D[block] -= (_unit(holdout) * replace(merge, counts=None).parts(block).sum(axis=0)).astype(np.float32)
        end_D[block] = start_D[block] + (_unit(holdout) * merge.parts(block).sum(axis=0)).astype(np.float32)
    step_D = end_D - start_D
    gradient_D = np.zeros(len(end_D))
    for place, weight in zip(*np.polynomial.legendre.leggauss(points), strict=True):
        back = np.float32((1 - place) / 2)  # the rule is for -1 .. 1
        gradient_D += weight / 2 * holdout.gradient(end_D - back * step_D)
    return gradient_D


def _unit(holdout: Holdout) -> float:
    """One unit of a state, in weights."""
    return math.ldexp(1.0, -(holdout.manifest.update.bits + STATE_EXTRA_BITS))


def _contributions(merge: MadeMerge, holdout: Holdout, gradient_D: NDArray[np.float64]) -> tuple[float, ...]:
    total_N = np.zeros(len(merge.updates))
    for block in pieces(len(gradient_D), BLOCK):
        total_N -= merge.parts(block) @ gradient_D[block]
    return tuple(float(_unit(holdout) * total) for total in total_N)


@dataclass(frozen=True)
class Assessment:
    """What a round's pay by contribution follows from; an entry an update, all integers.

    scores: contributions, on the grid; updates that are alike count as one.
    alike:  how many of the round's new updates are alike it, itself included.
    new:    whether it is neither noise nor a replay.
    """

    scores: tuple[int, ...]
    alike: tuple[int, ...]
    new: tuple[bool, ...]

    @property
    def weights(self) -> tuple[int, ...]:
        return weights(self.scores, self.new)


def assess(
    merge: MadeMerge, holdout: Holdout, before: Sequence[NDArray[np.int16]] = (), points: int = PAID_POINTS
) -> Assessment:
    """Measure a round.

    before: the updates of the latest merge before, which everybody could replay.
    Raises: ValueError for a rule that chooses among updates, or a slope that is not finite; BadPackage if the program
            can't run.
    """
    if not merge.updates:
        return Assessment((), (), ())
    if not merge.is_measurable:
        raise ValueError(
            "gradients don't measure updates that a rule chooses among; use the rule mean or centered_clip"
        )
    gradient_D = mean_gradient(merge, holdout, points)
    products_NN = inner_products(merge.updates, merge.updates)
    norms_N = products_NN.diagonal().astype(np.float64)
    gains = _slopes(merge.updates, gradient_D) / np.sqrt(np.maximum(norms_N, 1))
    chance = to_score(float(np.linalg.norm(gradient_D)) * chance_cosine(layout(holdout.manifest).used))
    repeated = repeats(_unseen(merge.updates, before, norms_N))
    new = tuple(helps(to_score(-gain), chance) and not old for gain, old in zip(gains, repeated, strict=True))
    alike = copies(products_NN.tolist(), new)
    if max(alike) > 1:
        merge = replace(merge, counts=counts_once(alike))
        gradient_D = mean_gradient(merge, holdout, points)
    scores = tuple(to_score(value) for value in _contributions(merge, holdout, gradient_D))
    return Assessment(scores, alike, new)


def _unseen(
    updates: Sequence[NDArray[np.int16]], before: Sequence[NDArray[np.int16]], norms_N: NDArray[np.float64]
) -> list[int]:
    """The part of each update's squared length outside the span of `before`, in units of 2**-32.

    Holds: 0 for a sum of multiples of them that is rounded to the grid, by less than one unit a coordinate.
    """
    left_N = norms_N.copy()
    if before:
        shared_MN = inner_products(before, updates).astype(np.float64)
        own_MM = inner_products(before, before).astype(np.float64)
        left_N -= (shared_MN * np.linalg.lstsq(own_MM, shared_MN, rcond=None)[0]).sum(axis=0)
        left_N[left_N <= [np.count_nonzero(update) for update in updates]] = 0
    return [round(part * 2**UNSEEN_BITS) for part in np.clip(left_N / np.maximum(norms_N, 1), 0, 1).tolist()]


def _slopes(updates: Sequence[NDArray[np.int16]], gradient_D: NDArray[np.float64]) -> NDArray[np.float64]:
    blocks = pieces(len(gradient_D), BLOCK)
    return np.array([sum(float(update[block] @ gradient_D[block]) for block in blocks) for update in updates])
