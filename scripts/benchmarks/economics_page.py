"""How the figures of `scripts/bench economics` are shown: tables on screen or as Markdown, and a picture.

`python -m scripts.benchmarks.economics_page FIGURES.json FOLDER` prints the Markdown and draws economics.png.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib
from rich.table import Table

from scripts.benchmarks.economics import REFERENCE, compared_with
from scripts.benchmarks.measure import Figures, console
from scripts.benchmarks.strategies import HONEST, STRATEGIES
from scripts.benchmarks.strategy_games import SCREENINGS, SPLITS
from scripts.benchmarks.strategy_money import RULES

matplotlib.use("Agg")
from matplotlib import pyplot as plt

DRAWN = (
    HONEST,
    "lazy: a tenth of its data",
    "free rider: replay, hidden",
    "Sybil x3: hidden copies",
    "Sybil x3: data cut in three",
    "colluding three: one trains",
)


@dataclass(frozen=True)
class Grid:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def grids(figures: Figures) -> Iterator[Grid]:
    yield from (_payoffs(figures, split) for split in SPLITS)
    yield _sweep(figures)
    for title, content in figures.items():
        if title.startswith(("identities", "aggregator", "auditor")):
            yield _plain(title, content)


def show(figures: Figures) -> None:
    """Print everything but the single parameter sets, which are in the JSON."""
    for grid in grids(figures):
        table = Table(title=grid.title, title_justify="left", box=None)
        for place, column in enumerate(grid.columns):
            table.add_column(column, justify="left" if place == 0 else "right")
        for row in grid.rows:
            table.add_row(*row)
        console.print(table, "")


def markdown(figures: Figures) -> str:
    parts = []
    for grid in grids(figures):
        lines = [f"**{grid.title}**", "", _line(grid.columns), _line(["---"] * len(grid.columns))]
        parts.append("\n".join([*lines, *map(_line, grid.rows)]))
    return "\n\n".join(parts) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _payoffs(figures: Figures, split: str) -> Grid:
    """A strategy's payoff by rule and screening; marked where it pays more than honest work of as many persons."""
    cells = list(product(RULES, SCREENINGS))
    rows = []
    for name in STRATEGIES:
        row = [name]
        for rule, screening in cells:
            found = figures[f"payoffs: {rule}, screening {screening}, {split}"][name]
            better = name != compared_with(name) and found["to honest"] > max(0.02, 2 * found["error"])
            row.append(f"{found['payoff']:.2f}" + (" *" if better else ""))
        rows.append(row)
    training, gwei, stake, capital = REFERENCE
    at = f"training {training:g}, {gwei:g} gwei, stake {stake:g}, capital {capital:.1%} a round"
    title = f"{split}: net payoff of a round, of a person ({at}); * more than honest"
    return Grid(title, ["strategy", *(f"{rule}; {screening}" for rule, screening in cells)], rows)


def _sweep(figures: Figures) -> Grid:
    rows = []
    for rule, screening, split in product(RULES, SCREENINGS, SPLITS):
        found = figures[f"sweep: {rule}, screening {screening}, {split}"]
        others = [f"{name} ({count})" for name, count in found["best replies"].items() if name != HONEST]
        share = f"{found['honest is the best reply']:.0%}"
        gain = f"{found['most to gain by anything else']:.2f}"
        rows.append([rule, screening, split, share, gain, ", ".join(others[:3]) or "none"])
    columns = [
        "rule",
        "screening",
        "data",
        "honest is best",
        "most to gain",
        "what is better elsewhere (parameter sets)",
    ]
    return Grid("Best replies over the sweep", columns, rows)


def _plain(title: str, content: dict[str, Any]) -> Grid:
    first = next(iter(content.values()))
    if not isinstance(first, dict):
        return Grid(title, ["", ""], [[name, str(value)] for name, value in content.items()])
    return Grid(title, ["", *first], [[name, *(_cell(one) for one in row.values())] for name, row in content.items()])


def _cell(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def picture(figures: Figures, path: Path, screening: str = "copies") -> None:
    """Net payoffs by the price of a training, a panel a rule and split."""
    shape = {"sharex": True, "sharey": True, "figsize": (11, 6.5), "layout": "constrained"}
    drawing, panels = plt.subplots(len(SPLITS), len(RULES), **shape)
    prices = [step / 50 for step in range(51)]
    for (row, split), (column, rule) in product(enumerate(SPLITS), enumerate(RULES)):
        panel = panels[row][column]
        found = figures[f"payoffs: {rule}, screening {screening}, {split}"]
        for name in DRAWN:
            one = found[name]
            heights = [one["payoff"] + (REFERENCE[0] - price) * one["trainings"] for price in prices]
            panel.plot(prices, heights, label=name, linewidth=3 if name == HONEST else 1.3)
        panel.axhline(0, color="grey", linewidth=0.8)
        panel.set_title(f"{rule}, {split}")
    for panel in panels[-1]:
        panel.set_xlabel("price of a training, in honest pays")
    for line in panels:
        line[0].set_ylabel("net payoff of a round")
    drawing.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    drawing.savefig(path, dpi=110)
    plt.close(drawing)


def main() -> None:
    figures = json.loads(Path(sys.argv[1]).read_text())
    picture(figures, Path(sys.argv[2]) / "economics.png")
    print(markdown(figures))


if __name__ == "__main__":
    main()
