"""Robust rules under attack: two published studies with the product's integers, and every attack against every rule.

Each cell that is finished is a line of docs/benchmarks/attacks.jsonl; a run goes on where the last one stopped.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits

from scripts.benchmarks.attacks_play import Found, play
from scripts.benchmarks.attacks_tables import Table, draw, last, tables
from scripts.benchmarks.attacks_worlds import Cell, plan
from scripts.benchmarks.measure import Figures, console

RESULTS = Path(__file__).parents[2] / "docs" / "benchmarks" / "attacks.jsonl"
HEADER = """# Attacks

Made by `scripts/bench attacks` from [attacks.jsonl](attacks.jsonl); what is measured and how, the
[benchmarks' page](README.md#scriptsbench-attacks) says.
Test accuracy in percent, in brackets behind a backdoor how often its trigger is followed.
–: not run. Bold: a bar that was missed.

![by step](attacks-bucketing.svg)

![by attack and rule](attacks-matrix.svg)

"""
QUICK_STEPS = 3
QUICK_CELLS = 40

Results = dict[str, Found]
"""What was found, by a cell's key."""


def run(quick: bool, only: str = "", workers: int | None = None) -> Figures:
    """Accuracy under attack by rule; bars from the ICLR 2022 bucketing study and ByzFL's benchmark.

    only:    words, each of which a cell's name has to hold, as `byzfl` or `matrix median`.
    workers: processes, one core each; None: as many as there are cores.
    """
    cells = [cell for cell in plan() if all(word in name_of(cell) for word in only.split())]
    if quick:
        few = [replace(cell, steps=QUICK_STEPS) for cell in cells[:: max(1, len(cells) // QUICK_CELLS)]]
        found = dict(play_all(few, workers))
        return {"accuracy": {name_of(cell): f"{last(found[key_of(cell)]):.2f} %" for cell in few}}
    results = read_results(RESULTS)
    with RESULTS.open("a") as file:
        for key, found in play_all([cell for cell in cells if key_of(cell) not in results], workers):
            file.write(json.dumps({"cell": json.loads(key)} | found) + "\n")
            file.flush()
            results[key] = found
    return {table.title: dict(table.figures) for table in published(cells, results, RESULTS.parent)}


def play_all(cells: Sequence[Cell], workers: int | None = None) -> Iterator[tuple[str, Found]]:
    """Play cells in processes of one core each; gives each one's key and what was found as soon as it is done."""
    if not cells:
        return
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers or os.cpu_count(), spawn, initializer=_one_core)
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        "left:",
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    try:
        with Progress(*columns, console=console, speed_estimate_period=3600) as progress:
            task = progress.add_task("", total=len(cells))
            playing = {pool.submit(play, cell): cell for cell in cells}
            for future in as_completed(playing):
                cell, found = playing[future], future.result()
                rate = f"{found['seconds']:.1f} s, {100 * found['curve'][-1][1]:.2f} %: {name_of(cell)}"
                progress.update(task, advance=1, description=rate)
                yield key_of(cell), found
    finally:
        pool.shutdown(cancel_futures=True)


def _one_core() -> None:
    torch.set_num_threads(1)
    threadpool_limits(1)


def name_of(cell: Cell) -> str:
    """A cell in words, for `--only` and for the screen."""
    arithmetic = "exact" if cell.exact else "float"
    return f"{cell.world}, {cell.split}, {cell.attack}, f={cell.attackers}, {cell.rule}, {arithmetic}, seed {cell.seed}"


def key_of(cell: Cell) -> str:
    return json.dumps(cell.settings(), sort_keys=True)


def read_results(path: Path) -> Results:
    """All finished cells; a line that was cut short by a crash is left out and played again."""
    found: Results = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            entry: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[json.dumps(entry.pop("cell"), sort_keys=True)] = entry
    return found


def published(cells: Sequence[Cell], results: Results, folder: Path) -> list[Table]:
    """Write tables and pictures of all that was ever found; gives the tables of these cells."""
    everything = _outcomes(list(plan()), results)
    if everything:
        text = HEADER + "\n".join(table.markdown() for table in tables(everything))
        (folder / "attacks.md").write_text(text)
        draw(everything, folder)
    return tables(_outcomes(cells, results))


def _outcomes(cells: Sequence[Cell], results: Results) -> list[tuple[Cell, Found]]:
    return [(cell, results[key_of(cell)]) for cell in cells if key_of(cell) in results]
