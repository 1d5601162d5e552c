"""The global model on the owner's published hold-out, after each merge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from node.bounty_files import Artefacts
from node.data.load import load_file
from node.data.schema import Examples
from node.evaluation import evaluate
from node.manifest import Manifest
from node.model import apply_state, flatten, layout
from node.package.loader import load_program
from node.package.program import EVALUATION_BATCH, Program


class Scorer:
    """Measures states of one bounty."""

    def __init__(self, program: Program, manifest: Manifest, examples: Examples) -> None:
        self._program, self._manifest, self._examples = program, manifest, examples
        initial = {name: tensor.numpy() for name, tensor in program.initial.items()}
        self._initial_D = flatten(initial, layout(manifest))

    def score(self, state_D: NDArray[np.int32]) -> dict[str, float]:
        """The manifest's metric and the loss of a state.

        Shapes: state_D (chunks * CHUNK,) int32.
        """
        weights_D = apply_state(self._initial_D, state_D, self._manifest.update.bits)
        return evaluate(self._program, self._manifest, weights_D, self._examples)


def open_scorer(files: Artefacts, manifest: Manifest) -> Scorer | None:
    """A scorer on the published hold-out; None where the owner published none.

    Raises: BadPackage, BadData, ContentError.
    """
    holdout = manifest.holdout
    if holdout is None:
        return None
    examples = load_file(files.holdout(holdout), holdout.format, manifest)
    program = load_program(files.programs(manifest).evaluate, manifest, EVALUATION_BATCH)
    return Scorer(program, manifest, examples)
