"""Contribution on digits and an MNIST network: each measure against exact Shapley values, and what cheats earn."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from incentives.contribution import alignment, pay
from incentives.shapley import ends_mean, exact_shapley, gtg_shapley, guided_orders
from ledger.records import Wei
from node.contribution import Holdout, assess, contributions, game_of
from node.distances import inner_products
from node.made_merges import MadeMerge
from scripts.benchmarks.contribution_players import (
    Kind,
    Player,
    Task,
    clouds_task,
    deal,
    digits_task,
    mnist_task,
    play_round,
)
from scripts.benchmarks.measure import Figures, console

DONE = Path(__file__).parents[2] / "build" / "contribution"
"""What an interrupted run has measured; the next one goes on from there."""

SPLITS: dict[str, float | None] = {"IID": None, "Dirichlet 0.5": 0.5, "Dirichlet 0.1": 0.1}
SEEDS = 3
ROUNDS = 2
PAID_ROUNDS = 3
LONG = 8
"""Rounds of a whole bounty, over which training one data set again is measured."""
ORDERS = 30
TRUNCATION = 0.005
"""Of a round's whole gain: what GTG-Shapley takes for nothing."""
POT = Wei(10**18)
DEALS = 5
"""Bounties a seed of the model that learns slowly; there all is luck but the direction."""
FEW = 24
"""Examples of everyone there."""

FREE = ("zero", "noise", "replay")

Found = dict[str, Any]


def run(quick: bool) -> Figures:
    """Correlation with exact Shapley (target: 0.99) and cost of each measure; pay where earlier systems failed."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = DONE / ("quick" if quick else "whole")
    try:
        with TemporaryDirectory(prefix="fedbounty-contribution-") as name:
            figures = _figures(folder, Path(name), quick)
    finally:
        torch.set_num_threads(threads)
    shutil.rmtree(folder)
    return figures


def _figures(done: Path, packages: Path, quick: bool) -> Figures:
    makers = {"digits": digits_task, "MNIST": mnist_task, "clouds": clouds_task}
    task_of = cache(lambda data: makers[data](packages / data))
    seeds = range(1 if quick else SEEDS)
    tasks = ["digits"] if quick else ["digits", "MNIST"]
    parts: dict[str, Callable[[Task, float | None, int], Found]] = {"agreement": _agreement, "pay": _pay, "slow": _slow}
    cells = product(("agreement", "pay"), tasks, SPLITS, seeds)
    plan = [*cells, *(("slow", "clouds", "IID", seed) for seed in seeds)]
    found: dict[tuple[str, str, str], list[Found]] = {}
    for number, (part, data, split, seed) in enumerate(plan):
        file = done / f"{part}-{data}-{split}-{seed}.json".replace(" ", "-")
        if not file.exists():
            measured = parts[part](task_of(data), SPLITS[split], seed)
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(".partial")
            partial.write_text(json.dumps(measured))
            partial.replace(file)
        found.setdefault((part, data, split), []).append(json.loads(file.read_text()))
        console.print(f"[dim]{number + 1}/{len(plan)} {part}: {data}, {split}[/dim]", end="\r")
    shown = {"agreement": _shown_agreement, "pay": _shown_pay, "slow": _shown_slow}
    return {f"{data}, {split}: {part}": shown[part](rows) for (part, data, split), rows in found.items()}


def _agreement(task: Task, alpha: float | None, seed: int) -> Found:
    """Each measure's correlation with the exact values and its seconds, round by round."""
    rng = np.random.default_rng(seed)
    holdout, rows = task.split(rng)
    hands = deal(task.labels, rows, 8, alpha, rng)
    kinds = [*[Kind.HONEST] * 7, Kind.FLIPPED, Kind.NOISE, Kind.HONEST]
    players = [Player(kind, hand) for kind, hand in zip(kinds, [*hands, hands[0], hands[0]], strict=True)]
    merge, measured = task.start(), []
    for _ in range(ROUNDS):
        merge = play_round(task, holdout, merge, players, rng)
        values = {name: _timed(measure, merge, holdout) for name, measure in _measures(rng).items()}
        exact = values["exact Shapley"][0]
        measured.append({name: (_correlation(exact, value), taken) for name, (value, taken) in values.items()})
    return {name: [row[name] for row in measured] for name in measured[0]}


def _measures(rng: np.random.Generator) -> dict[str, Callable[[MadeMerge, Holdout], Sequence[float]]]:
    numbers: Iterator[int] = iter(lambda: int(rng.integers(2**62)), None)

    def guided(merge: MadeMerge, holdout: Holdout) -> Sequence[float]:
        game = game_of(merge, holdout)
        orders = guided_orders(game.players, ORDERS, numbers)
        return gtg_shapley(game, orders, TRUNCATION * abs(game(game.everyone)))

    return {
        "exact Shapley": lambda merge, holdout: exact_shapley(game_of(merge, holdout)),
        "midpoint gradient": contributions,
        "two gradients": lambda merge, holdout: contributions(merge, holdout, points=2),
        "(leave-one-out + solo)/2": lambda merge, holdout: ends_mean(game_of(merge, holdout)),
        "GTG-Shapley": guided,
        "alignment": lambda merge, _: alignment(inner_products(merge.updates, merge.updates).tolist()),
    }


def _timed(
    measure: Callable[[MadeMerge, Holdout], Sequence[float]], merge: MadeMerge, holdout: Holdout
) -> tuple[Sequence[float], float]:
    start = time.perf_counter()
    return measure(merge, holdout), time.perf_counter() - start


def _correlation(one: Sequence[float], other: Sequence[float]) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def _shown_agreement(rows: Sequence[Found]) -> dict[str, str]:
    shown = {}
    for name in rows[0]:
        found = np.array([one for row in rows for one in row[name]])
        seconds = float(np.median(found[:, 1]))
        correlation = f"{found[:, 0].mean():.4f} (lowest {found[:, 0].min():.4f}), "
        shown[name] = (correlation if name != "exact Shapley" else "") + f"{seconds * 1e3:.1f} ms"
    return shown


def _pay(task: Task, alpha: float | None, seed: int) -> Found:
    """What cheats and rarities earn, in shares of the pot; who cheats has the most data."""
    rng = np.random.default_rng(seed)
    holdout, rows = task.split(rng)
    hands = sorted(deal(task.labels, rows, 6, alpha, rng), key=len, reverse=True)
    honest = [Player(Kind.HONEST, hand) for hand in hands]
    free = [Player(kind, hands[0]) for kind in (Kind.ZERO, Kind.NOISE, Kind.REPLAY)]
    once, first = _earned(task, holdout, honest, seed)
    whole, _ = _earned(task, holdout, honest, seed, LONG)
    twice, thrice = ([*honest, *[honest[0]] * more] for more in (1, 2))
    again = {rounds: _earned(task, holdout, twice, seed, rounds)[0] for rounds in (PAID_ROUNDS, LONG)}
    more, _ = _earned(task, holdout, thrice, seed, LONG)
    cheated, _ = _earned(task, holdout, [Player(Kind.FLIPPED, hands[0]), *honest[1:], *free], seed)
    nines, others = (rows[(task.labels[rows] == 9) == wanted] for wanted in (True, False))
    rare = [Player(Kind.HONEST, hand) for hand in (nines, *deal(task.labels, others, 5, alpha, rng))]
    holder, _ = _earned(task, holdout, rare, seed)
    sent = _paid(replace(first, updates=[*first.updates, *[first.updates[0]] * 2]), holdout, [])
    return {
        "flipped": cheated[0],
        "least honest": float(np.min(cheated[1:6])),
        "honest": float(np.mean(cheated[1:6])),
        "zero": cheated[6],
        "noise": cheated[7],
        "replay": cheated[8],
        "holder": holder[0],
        "average": float(np.mean(holder)),
        "sent once": _paid(first, holdout, [])[0],
        "sent three times": float(sent[0] + sent[6:].sum()),
        "trained once": once[0],
        "trained twice": again[PAID_ROUNDS][0] + again[PAID_ROUNDS][6],
        "once in a bounty": whole[0],
        "twice in a bounty": again[LONG][0] + again[LONG][6],
        "three times in a bounty": more[0] + more[6] + more[7],
    }


def _earned(
    task: Task, holdout: Holdout, players: Sequence[Player], seed: int, rounds: int = PAID_ROUNDS
) -> tuple[list[float], MadeMerge]:
    """What each player earns in some rounds, and the first of them."""
    rng = np.random.default_rng(seed)
    merges = [task.start()]
    total = np.zeros(len(players))
    for _ in range(rounds):
        merges.append(play_round(task, holdout, merges[-1], players, rng))
        total += _paid(merges[-1], holdout, merges[-2].updates)
    return total.tolist(), merges[1]


def _paid(merge: MadeMerge, holdout: Holdout, before: Sequence[NDArray[np.int16]]) -> NDArray[np.float64]:
    return np.array(pay(POT, assess(merge, holdout, before).weights).parts) / POT


def _shown_pay(rows: Sequence[Found]) -> dict[str, str]:
    """Each case as a ratio, over all seeds together and in each."""
    cases = {
        "30 % flipped labels / least paid honest (target, IID: below 1)": ("flipped", "least honest"),
        "only holder of a digit / average (target: 1 or more)": ("holder", "average"),
        "an update sent three times / once (target: 1 or less)": ("sent three times", "sent once"),
        f"a data set trained twice / once, {PAID_ROUNDS} rounds (target: 1 or less)": ("trained twice", "trained once"),
        f"the same over {LONG} rounds": ("twice in a bounty", "once in a bounty"),
        f"three times / once over {LONG} rounds": ("three times in a bounty", "once in a bounty"),
        **{f"{kind} / honest (target: 0.05 or less)": (kind, "honest") for kind in FREE},
    }
    return {label: _ratios(rows, *pair) for label, pair in cases.items()}


def _slow(task: Task, alpha: float | None, seed: int) -> Found:
    """Five honest providers and free riders where every round goes nearly the way of the last: all they earn."""
    kinds = [*[Kind.HONEST] * 5, Kind.ZERO, Kind.NOISE, Kind.REPLAY]
    total, new = np.zeros(len(kinds)), []
    for number in range(DEALS):
        rng = np.random.default_rng([seed, number])
        holdout, rows = task.split(rng)
        hands = [hand[:FEW] for hand in deal(task.labels, rows, 5, alpha, rng)]
        merge, players = task.start(), [Player(*one) for one in zip(kinds, [*hands, *hands[:3]], strict=True)]
        for _ in range(LONG):
            before = merge.updates
            merge = play_round(task, holdout, merge, players, rng)
            assessed = assess(merge, holdout, before)
            total += np.array(pay(POT, assessed.weights).parts) / POT
            new += list(assessed.new[:5]) if before else []
    zero, noise, replay = total[5:].tolist()
    honest = float(total[:5].mean())
    return {"new": float(np.mean(new)), "zero": zero, "noise": noise, "replay": replay, "honest": honest}


def _shown_slow(rows: Sequence[Found]) -> dict[str, str]:
    ratios = {f"{kind} / honest (target: 0.05 or less)": _ratios(rows, kind, "honest") for kind in FREE}
    return {
        "honest updates that are new, after the first round": f"{np.mean([row['new'] for row in rows]):.3f}"
    } | ratios


def _ratios(rows: Sequence[Found], part: str, whole: str) -> str:
    """Over all seeds together, and in each."""
    return f"{_ratio(rows, part, whole)} ({', '.join(_ratio([row], part, whole) for row in rows)})"


def _ratio(rows: Sequence[Found], part: str, whole: str) -> str:
    total = sum(row[whole] for row in rows)
    return f"{sum(row[part] for row in rows) / total:.2f}" if total else "unpaid"
