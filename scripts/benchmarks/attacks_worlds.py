"""What is played in the attack bench: the two studies whose figures are its bars, and every attack against every rule.

BUCKETING is the third experiment of Karimireddy, He and Jaggi (ICLR 2022, arXiv:2006.09365): `exp3.py`, `utils.py`,
`codes/sampler.py` and `run.sh` of epfml/byzantine-robust-noniid-optimizer, its network from the same authors'
byzantine-robust-decentralized-optimizer. BYZFL is the default benchmark of byzfl 0.0.11 (`byzfl/benchmark`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from scripts.benchmarks.attacks_data import Task, digits, mnist
from scripts.benchmarks.attacks_models import BucketingStudy, ByzFL, Perceptron
from scripts.benchmarks.attacks_rules import Rule

__all__ = ["BUCKETING", "BYZFL", "EVERYTHING", "MATRIX_RULES", "MATRIX_SPLITS", "WORLDS", "Cell", "World", "plan"]


@dataclass(frozen=True)
class World:
    """How everyone trains.

    rate:     the server's learning rate; an update is `-rate` times what a worker sends in the sources.
    decay:    of a worker's momentum, `m = decay * m + gain * gradient`.
    recalls:  whether attackers that train keep a momentum too.
    bits:     the grid: one unit of an update is `2**-bits` of a weight.
    clip:     L2 bound on what is sent, in the sources' unit; None: only the grid's ends bound it.
    measured: steps between two measurements on the test data.
    """

    task: Callable[[], Task]
    network: Callable[[], nn.Module]
    honest: int
    batch: int
    steps: int
    rate: float
    decay: float
    gain: float
    recalls: bool
    bits: int
    measured: int
    clip: float | None = None
    weight_decay: float = 0.0
    together: bool = False
    """Whether all workers' gradients are computed in one pass: faster for a small network, slower for convolutions."""


BUCKETING, BYZFL, EVERYTHING = "bucketing", "byzfl", "matrix"

WORLDS = {
    BUCKETING: World(
        mnist, BucketingStudy, honest=20, batch=32, steps=600, rate=0.01, decay=0.9, gain=1.0, recalls=False, bits=18,
        measured=150,
    ),
    BYZFL: World(
        mnist, ByzFL, honest=10, batch=25, steps=800, rate=0.1, decay=0.9, gain=0.1, recalls=True, bits=18,
        measured=100, clip=2.0, weight_decay=1e-4,
    ),
    EVERYTHING: World(
        digits, Perceptron, honest=16, batch=16, steps=100, rate=0.2, decay=0.9, gain=0.1, recalls=True, bits=16,
        measured=50, clip=10.0, together=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One bounty that is played. exact: by the product's integers, or in floating point for comparison."""

    world: str
    split: str
    attack: str
    attackers: int
    rule: Rule
    exact: bool = True
    seed: int = 0
    steps: int | None = None
    """Fewer than the world's: only to see that it runs."""
    enough: float | None = None
    """The accuracy at which it may end early: ByzFL's figure is the best of all measurements, not the last."""

    def settings(self) -> dict[str, Any]:
        """All that the outcome depends on: the key of its line among the results."""
        world = WORLDS[self.world]
        told = {name: value for name, value in vars(world).items() if not callable(value) and name != "together"}
        named = {"task": world.task.__name__, "network": world.network.__name__}
        own = {name: value for name, value in asdict(self).items() if value is not None}
        return own | {"settings": told | named} | {"steps": self.steps or world.steps}


BUCKETING_ATTACKS = ("own sign flip", "label flip", "mimic", "IPM", "ALIE")
BUCKETING_RULE = Rule("centered_clip", attackers=5, bucket=2, iterations=3, radius=100.0)
"""tau = 10 / (1 - momentum), three iterations: `_get_aggregator` in the study's `utils.py`."""

BYZFL_ATTACKS = ("IPM optimised", "ALIE optimised", "sign flip")
BYZFL_BEST = {1.0: (98, 98, 98, 98), 0.66: (98, 97, 97, 97), 0.33: (98, 97, 94, 94)}
"""ByzFL's best of trimmed mean and geometric median, by gamma, for 1 to 4 attackers: the worst attack, percent."""
BYZFL_NEAR = 1.0
BYZFL_GRID = (
    *((0.33, 4), (0.66, 4), (1.0, 4), (0.0, 3), (0.33, 3), (0.66, 3), (0.33, 2), (0.66, 2)),
    *((0.33, 1), (0.66, 1), (1.0, 3), (1.0, 2), (1.0, 1), (0.0, 4), (0.0, 2), (0.0, 1)),
)
"""Most telling first: the hardest of each row, then what it bounds."""
BYZFL_RULES = ("nearest_neighbours", "trimmed_mean")

MATRIX_ATTACKERS = 4
MATRIX_SPLITS = ("IID", "Dirichlet 0.5", "Dirichlet 0.1", "one class")
MATRIX_ATTACKS = (
    "none", "label flip", "sign flip", "Gaussian", "ALIE", "ALIE optimised", "IPM", "IPM optimised", "mimic",
    "min-max", "scaled boosting", "model replacement", "zero", "noise", "replay", "copycat", "Sybil copies",
)  # fmt: skip
MATRIX_RULES = (
    Rule("mean"),
    Rule("trimmed_mean", MATRIX_ATTACKERS),
    Rule("median", MATRIX_ATTACKERS),
    Rule("centered_clip", MATRIX_ATTACKERS, 1, 3, 0.3),
    Rule("centered_clip", MATRIX_ATTACKERS, 2, 3, 0.3),
    Rule("multi_krum", MATRIX_ATTACKERS),
    Rule("geometric_median", MATRIX_ATTACKERS),
    Rule("nearest_neighbours", MATRIX_ATTACKERS),
)


def plan() -> Iterator[Cell]:
    """All cells, the bars first."""
    for exact in (True, False):
        for attack in BUCKETING_ATTACKS:
            yield Cell(BUCKETING, "sorted", attack, 5, BUCKETING_RULE, exact)
    for name in BYZFL_RULES:
        for gamma, attackers in BYZFL_GRID:
            enough = (BYZFL_BEST[gamma][attackers - 1] - BYZFL_NEAR) / 100 if gamma in BYZFL_BEST else None
            for attack in BYZFL_ATTACKS:
                yield Cell(BYZFL, f"gamma {gamma}", attack, attackers, Rule(name, attackers), enough=enough)
    for split in MATRIX_SPLITS:
        for attack in MATRIX_ATTACKS:
            for rule in MATRIX_RULES:
                yield Cell(EVERYTHING, split, attack, MATRIX_ATTACKERS, rule)
