"""An evaluator's local work: from its data and the posted model version to one integer."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import structlog
from numpy.typing import NDArray

from ledger.evaluation_records import EvaluationTerms, Metric, Units
from node.data.load import load_data
from node.evaluation import example_metrics
from node.evaluation_files import METRIC_NAMES, EvaluationFiles
from node.evaluator.journal import MadeReport
from node.evaluator.noise import epsilon
from node.manifest import Manifest
from node.model import apply_state, flatten, layout
from node.package.loader import load_program
from node.package.program import EVALUATION_BATCH
from node.privacy.discrete_noise import RandomBelow, discrete_laplace

log = structlog.get_logger()


@dataclass(frozen=True)
class MeasuringSetup:
    """On what to measure. data: as `--data` names it; noise: the scale that is added, in units."""

    files: EvaluationFiles
    terms: EvaluationTerms
    manifest: Manifest
    data: str
    noise: int


class Measuring:
    """Loads and checks program and data once; measures when it is asked to.

    Raises: BadPackage, BadData, before anything is spent.
    """

    def __init__(self, setup: MeasuringSetup) -> None:
        self._setup = setup
        manifest = setup.manifest
        self._program = load_program(setup.files.program(manifest), manifest, EVALUATION_BATCH)
        self._examples = load_data(setup.data, manifest)

    @property
    def operators(self) -> tuple[str, ...]:
        """What the model computes with: the program's operators."""
        return self._program.operators

    @property
    def examples(self) -> int:
        return len(self._examples)

    @property
    def epsilon(self) -> Fraction | None:
        """What the report tells at most about one example; None without noise."""
        return epsilon(self._setup.terms, self.examples, self._setup.noise)

    def measure(self, below: RandomBelow | None = None) -> MadeReport:
        """The number to report, noise included.

        Raises: ContentError if the state can't be had; BadPackage.
        """
        setup = self._setup
        exact = on_grid(self._metrics(), setup.terms)
        drawn = 0
        if setup.noise:
            drawn = discrete_laplace(setup.noise, below) if below else discrete_laplace(setup.noise)
        value = Units(min(max(exact + drawn, setup.terms.low), setup.terms.high))
        log.info("measured", examples=self.examples, noise=setup.noise)
        return MadeReport(value, self.examples, setup.noise)

    def _metrics(self) -> NDArray[np.float64]:
        """Shapes: -> (N,): the metric of each example."""
        setup = self._setup
        initial = {name: tensor.numpy() for name, tensor in self._program.initial.items()}
        initial_D = flatten(initial, layout(setup.manifest))
        state_D = setup.files.state(setup.terms, setup.manifest)[0]
        weights_D = apply_state(initial_D, state_D, setup.manifest.update.bits)
        name = METRIC_NAMES[setup.terms.metric]
        return example_metrics(self._program, setup.manifest, weights_D, self._examples, name)


def on_grid(metrics_N: NDArray[np.float64], terms: EvaluationTerms) -> Units:
    """The mean of the examples' metrics in units, each clamped to the range and rounded first.

    Shapes: metrics_N (N,), N >= 1.
    Holds:  low <= result <= high; another example in place of one moves it by at most ceil((high - low) / N).
    """
    worst = terms.low if terms.metric == Metric.ACCURACY else terms.high
    scaled_N = np.where(np.isnan(metrics_N), float(worst), metrics_N * 10.0**terms.decimals)
    units = [min(max(_rounded(number), terms.low), terms.high) for number in scaled_N.tolist()]
    return Units((2 * sum(units) + len(units)) // (2 * len(units)))


def _rounded(number: float) -> int:
    """The nearest integer, ties to even; beyond all ranges where it is infinite."""
    if number in (float("inf"), float("-inf")):
        return 1 << 64 if number > 0 else -(1 << 64)
    return round(number)
