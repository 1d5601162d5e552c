"""A bounty's target: the hold-out metric at which it ends early, in the units that the chain compares.

docs/PROTOCOL.md, section 7, "Target".

More is better on chain. The metric is floating point and measured by whoever merges: recorded, recomputed by audits,
and beyond what a contract can judge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ledger.history import BountyHistory
from ledger.records import MergeClaim
from node.manifest import Manifest

UNITS = 1_000_000
"""A metric of 1."""

MOST = 2**32 - 1
"""The field is a uint32."""

LESS_IS_BETTER = ("mse", "mae")

TOLERATED = 1e-3
"""By how much a recorded metric may differ from a recomputed one: of 1 for accuracy, else of the recomputed one."""


def metric_units(value: float, metric: str) -> int:
    """A metric as the chain has it; 0, which reaches no target, for what is not a number.

    Rounding: to the nearest millionth, ties to even; values beyond the field saturate.
    """
    if not math.isfinite(value):
        return 0
    units = round(value * UNITS)
    return max(0, min(MOST, MOST - units if metric in LESS_IS_BETTER else units))


def metric_value(units: int, metric: str) -> float:
    """The metric that the chain's number stands for."""
    return (MOST - units if metric in LESS_IS_BETTER else units) / UNITS


def target_units(manifest: Manifest) -> int:
    """The target of the terms; 0 where the manifest names none."""
    return metric_units(manifest.target.value, manifest.task.metric) if manifest.target else 0


def measured_units(metrics: Mapping[str, float], manifest: Manifest) -> int:
    """What a merge claims to have measured; 0 where nothing was."""
    metric = manifest.task.metric
    return metric_units(metrics[metric], metric) if metric in metrics else 0


def is_as_measured(claim: MergeClaim, metrics: Mapping[str, float], manifest: Manifest) -> bool:
    """Whether a claimed metric is the one measured here, within what machines may differ by."""
    own, metric = measured_units(metrics, manifest), manifest.task.metric
    scale = abs(metric_value(own, metric)) if metric in LESS_IS_BETTER else 1.0
    return abs(claim.metric - own) <= max(1, math.ceil(TOLERATED * scale * UNITS))


def in_words(units: int, metric: str) -> str:
    """A target for people."""
    bound = "at most" if metric in LESS_IS_BETTER else "at least"
    return f"{metric} {bound} {metric_value(units, metric):g}"


def ending_in_words(history: BountyHistory) -> str:
    """Why a bounty ended before its last round; empty where it did not, or for another reason."""
    number = history.target_round
    if number is None or history.ended is None:
        return ""
    return f"target reached in round {number} of {history.posted.terms.rounds}"
