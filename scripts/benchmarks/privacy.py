"""Privacy: what is read out of update files, with and without protection, and what protection costs in accuracy."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from scripts.benchmarks.contribution_players import digits_task, mnist_task
from scripts.benchmarks.measure import Figures, console
from scripts.benchmarks.privacy_accuracy import EPSILONS, PLANS, draw, final_accuracy
from scripts.benchmarks.privacy_leaks import inversion, masked_spread, membership, most_advantage

ROOT = Path(__file__).parents[2]
DONE = ROOT / "build" / "privacy"
"""What was measured, a file each; an interrupted run goes on from there."""
PAGES = ROOT / "docs" / "benchmarks"

ATTACKED: tuple[float | None, ...] = (1.0, 2.0, 8.0, None)
MNIST_ROWS = 30_000
CHI_SQUARE_LIMIT = 368.6
"""Random bytes are above it once in a million: chi-square with 255 degrees of freedom."""

Part = tuple[str, Callable[[], Any]]


def run(quick: bool) -> Figures:
    """Inversion (bars: > 20 dB on open, < 15 dB on dp and masked), membership, masked bytes, accuracy by epsilon."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with TemporaryDirectory(prefix="fedbounty-privacy-") as name:
            found = _measured(_plan(Path(name), quick), DONE / ("quick" if quick else "whole"))
    finally:
        torch.set_num_threads(threads)
    accuracy = _by_epsilon(found, quick)
    figures = {**_leaks(found), **{f"accuracy, {task}": _shown(values) for task, values in accuracy.items()}}
    if not quick:
        draw(accuracy, PAGES / "privacy-accuracy.svg")
        (PAGES / "privacy.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return figures


def _plan(folder: Path, quick: bool) -> list[Part]:
    makers = {"digits": digits_task, "MNIST": lambda path: mnist_task(path, 1000 if quick else MNIST_ROWS)}
    task_of = cache(lambda data: makers[data](folder / data))
    seeds, images = (2, 1) if quick else (20, 5)

    def later(measure: Callable[..., Any], data: str, *rest: Any) -> Callable[[], Any]:
        return lambda: measure(task_of(data), *rest)

    parts: list[Part] = [(f"inversion-{row}", later(inversion, "MNIST", row)) for row in range(images)]
    parts += [(f"masked-{seed}", later(masked_spread, "digits", seed)) for seed in range(seeds)]
    parts += [
        (f"membership-{_named(epsilon)}-{seed}", later(membership, "digits", epsilon, seed))
        for epsilon in ATTACKED
        for seed in range(seeds)
    ]
    return parts + [
        (f"accuracy-{data}-{_named(epsilon)}-{seed}", later(final_accuracy, data, PLANS[data], epsilon, seed))
        for data in _tasks(quick)
        for epsilon in EPSILONS
        for seed in range(_repeats(data, quick))
    ]


def _tasks(quick: bool) -> list[str]:
    return ["digits"] if quick else list(PLANS)


def _repeats(data: str, quick: bool) -> int:
    return 1 if quick else {"digits": 3, "MNIST": 1}[data]


def _measured(parts: list[Part], folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for number, (name, measure) in enumerate(parts):
        file = folder / f"{name}.json"
        if not file.exists():
            console.print(f"[dim]{number + 1}/{len(parts)} {name}[/dim]", end="\r")
            partial = file.with_suffix(".partial")
            partial.write_text(json.dumps(measure()))
            partial.replace(file)
        found[name] = json.loads(file.read_text())
    return found


def _leaks(found: dict[str, Any]) -> Figures:
    images = [value for name, value in found.items() if name.startswith("inversion-")]
    spread = [value for name, value in found.items() if name.startswith("masked-")]
    figures: Figures = {
        "inversion, PSNR in dB": {
            **{f"{mode}, mean": float(np.mean([one[mode] for one in images])) for mode in images[0]},
            **{f"{mode}, best": float(np.max([one[mode] for one in images])) for mode in images[0]},
        },
        "bytes, chi-square": {
            "masked, greatest": max(one["masked"] for one in spread),
            "limit (once in a million)": CHI_SQUARE_LIMIT,
            "open, least": min(one["open"] for one in spread),
        },
    }
    for epsilon in ATTACKED:
        values = [value for name, value in found.items() if name.startswith(f"membership-{_named(epsilon)}-")]
        most = most_advantage(epsilon) if epsilon is not None else 1.0
        figures[f"membership, epsilon {_named(epsilon)}"] = {
            "advantage, mean": float(np.mean(values)),
            "greatest": max(values),
            "epsilon allows": most,
            "seeds within": f"{sum(value <= most for value in values)} of {len(values)}",
        }
    return figures


def _by_epsilon(found: dict[str, Any], quick: bool) -> dict[str, dict[str, list[float]]]:
    return {
        data: {
            _named(epsilon): [
                found[f"accuracy-{data}-{_named(epsilon)}-{seed}"] for seed in range(_repeats(data, quick))
            ]
            for epsilon in EPSILONS
        }
        for data in _tasks(quick)
    }


def _shown(by_epsilon: dict[str, list[float]]) -> dict[str, float]:
    return {f"epsilon {name}": float(np.mean(values)) for name, values in by_epsilon.items()}


def _named(epsilon: float | None) -> str:
    return "none" if epsilon is None else f"{epsilon:g}"
