"""Who merges: the product's integers, and floating point beside them.

Shape suffixes: N updates, D coordinates, padding included; P planes of a state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ledger.merge_parameters import MergeParameters
from ledger.records import MergeRule
from node.blocks import Blocks
from node.manifest_sections import UpdateSection
from node.merging import ONE, bucket_order, merge_round
from node.model import apply_state
from node.updates import Quantised, quantise
from scripts.benchmarks.attacks_rules import Rule, merge_floats

Vectors = NDArray[np.float32]

UNBOUNDED = 1e6
"""A bound on an update's length that the grid's ends reach first."""


class Server(Protocol):
    """Takes what is sent in a round, in the sources' unit, and moves the weights."""

    def merge(self, sent: Sequence[Vectors], seed: bytes, weights_D: Vectors) -> None:
        """Shapes: each of `sent` (D,), weights_D (D,), which is overwritten."""


def parameters_of(rule: Rule, rate: float, bits: int) -> MergeParameters:
    """The rule as a bounty has it. Units: the rule's radius in the sources' unit, before the rate."""
    clips = rule.name == "centered_clip"
    return MergeParameters(
        MergeRule[rule.name.upper()],
        eta=ONE,
        trim=rule.attackers if rule.name == "trimmed_mean" else 0,
        bucket=rule.bucket if clips else 0,
        iterations=rule.iterations if clips else 0,
        tau=int(rule.radius * rate * 2**bits) if clips else 0,
        attackers=rule.attackers,
    )


class Here(Executor):
    """Runs each block at once in the caller's thread: cells share the cores, not blocks."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(call(*args, **kwargs))
        return done


class ExactServer:
    """Updates on the grid, merged by `node.merging`: the code that aggregators and auditors run."""

    def __init__(self, rule: Rule, rate: float, bits: int, clip: float | None, initial_D: Vectors) -> None:
        self._parameters = parameters_of(rule, rate, bits)
        bound = UNBOUNDED if clip is None else rate * clip
        self._grid = UpdateSection(codec="int16", bits=bits, clip=bound, rounding="nearest")
        self._initial_D, self._rate = initial_D.copy(), np.float32(rate)
        self._delta_D = np.empty_like(initial_D)
        self._planes_PD = np.zeros((self._parameters.planes, len(initial_D)), np.int32)
        self._spare_PD = np.zeros_like(self._planes_PD)
        self._blocks = Blocks(executor=Here())
        self.saturated = 0.0
        """The greatest share of an update's coordinates that was cut to the grid's ends."""

    def merge(self, sent: Sequence[Vectors], seed: bytes, weights_D: Vectors) -> None:
        """Encode, merge and apply; one vector that is sent by several is encoded once."""
        encoded: dict[int, Quantised] = {}
        for vector_D in sent:
            if id(vector_D) not in encoded:
                np.multiply(vector_D, -self._rate, out=self._delta_D)
                encoded[id(vector_D)] = quantise(self._delta_D, self._grid, np.random.default_rng(0))
        self.saturated = max(self.saturated, *(one.saturated_share for one in encoded.values()))
        updates = [encoded[id(vector_D)].update for vector_D in sent]
        merge_round(self._parameters, self._planes_PD, updates, seed, self._blocks, self._spare_PD)
        self._planes_PD, self._spare_PD = self._spare_PD, self._planes_PD
        apply_state(self._initial_D, self._planes_PD[0], self._grid.bits, weights_D)


class FloatServer:
    """The same in float32, with no grid: what the integers are compared with."""

    def __init__(self, rule: Rule, rate: float, clip: float | None, initial_D: Vectors) -> None:
        self._rule, self._rate, self._clip = rule, np.float32(rate), clip
        self._previous_D = np.zeros_like(initial_D)
        self.saturated = 0.0

    def merge(self, sent: Sequence[Vectors], seed: bytes, weights_D: Vectors) -> None:
        sent_ND = clipped(np.stack(sent), self._clip)
        self._previous_D = merge_floats(self._rule, sent_ND, self._previous_D, bucket_order(len(sent), seed))
        weights_D -= self._rate * self._previous_D


def clipped(vectors_ND: Vectors, bound: float | None) -> Vectors:
    """Vectors shortened to an L2 bound; the same array where none is too long."""
    if bound is None:
        return vectors_ND
    lengths_N = np.sqrt(np.vecdot(vectors_ND, vectors_ND))
    if (lengths_N <= bound).all():
        return vectors_ND
    return vectors_ND * np.minimum(1, bound / lengths_N).astype(np.float32)[:, np.newaxis]
