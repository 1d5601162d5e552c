"""What was found, beside what the studies found: tables in Markdown, and pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from scripts.benchmarks.attacks_rules import Rule
from scripts.benchmarks.attacks_worlds import (
    BUCKETING,
    BYZFL,
    BYZFL_BEST,
    BYZFL_NEAR,
    EVERYTHING,
    MATRIX_ATTACKS,
    MATRIX_RULES,
    MATRIX_SPLITS,
    Cell,
)

Found = dict[str, Any]
Outcomes = Sequence[tuple[Cell, Found]]

STUDY = {"own sign flip": 97.85, "label flip": 97.85, "mimic": 97.95, "IPM": 97.87, "ALIE": 98.13}
"""Centered clipping with buckets of two and momentum 0.9 after 600 steps, the mean of three seeds: percent.

Source: `outputs/exp3/all/output/exp3.csv` of epfml/byzantine-robust-noniid-optimizer.
"""
STUDY_NEAR, STUDY_LEAST, TWIN_NEAR = 0.5, 97.3, 0.2

NOT_RUN = "–"


@dataclass(frozen=True)
class Table:
    """Rows under a head; the first column names the row."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    @property
    def figures(self) -> dict[str, str]:
        """Each row as one line."""
        return {
            row[0]: ", ".join(f"{name}: {value}" for name, value in zip(self.head[1:], row[1:], strict=True))
            for row in self.rows
        }

    def markdown(self) -> str:
        lines = [self.head, tuple("---" for _ in self.head), *self.rows]
        return f"## {self.title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def last(found: Found) -> float:
    """The accuracy after the last step, in percent."""
    return 100 * float(found["curve"][-1][1])


def best(found: Found) -> float:
    """The best accuracy that was measured, in percent: what ByzFL's pictures show."""
    return 100 * max(float(value) for _, value in found["curve"])


def tables(outcomes: Outcomes) -> list[Table]:
    """Tables of the worlds in which anything was played."""
    whole = [(cell, found) for cell, found in outcomes if cell.steps is None]
    worlds = {cell.world for cell, _ in whole}
    study = [study_table(whole)] if BUCKETING in worlds else []
    return [*study, *byzfl_tables(whole), *(matrix_tables(whole) if EVERYTHING in worlds else ())]


def study_table(outcomes: Outcomes) -> Table:
    """The ICLR 2022 study's attacks: its figure, the integers' and the floats'."""
    found = {(cell.attack, cell.exact): result for cell, result in outcomes if cell.world == BUCKETING}
    rows = []
    for attack, theirs in STUDY.items():
        exact, twin = found.get((attack, True)), found.get((attack, False))
        ours = "" if exact is None else _judged(last(exact), abs(last(exact) - theirs) <= STUDY_NEAR)
        apart = NOT_RUN
        if exact is not None and twin is not None:
            difference = last(exact) - last(twin)
            apart = _judged(difference, abs(round(difference, 2)) <= TWIN_NEAR, "+.2f")
        rows.append((attack, f"{theirs:.2f}", ours or NOT_RUN, NOT_RUN if twin is None else f"{last(twin):.2f}", apart))
    done = [last(result) for (_, exact), result in found.items() if exact]
    worst = _judged(min(done), min(done) >= STUDY_LEAST) if done else NOT_RUN
    rows.append((f"worst of the {len(done)} that were run (bar: {STUDY_LEAST})", "97.85", worst, "", ""))
    head = ("attack", "study", f"integers (bar: within {STUDY_NEAR})", "float32", f"difference (bar: {TWIN_NEAR})")
    return Table("Bucketing study: `centered_clip`, buckets of 2", head, rows)


def byzfl_tables(outcomes: Outcomes) -> Iterator[Table]:
    """For each rule the worst of the three attacks, by gamma and number of attackers."""
    cells = [(cell, found) for cell, found in outcomes if cell.world == BYZFL]
    for name in dict.fromkeys(cell.rule.name for cell, _ in cells):
        rows = []
        for gamma in (1.0, 0.66, 0.33, 0.0):
            row = [f"gamma {gamma}"]
            for attackers in range(1, 5):
                told = [
                    (best(found), cell.attack)
                    for cell, found in cells
                    if (cell.rule.name, cell.split, cell.attackers) == (name, f"gamma {gamma}", attackers)
                ]
                theirs = BYZFL_BEST[gamma][attackers - 1] if gamma in BYZFL_BEST else None
                row.append(_worst(told, theirs))
            rows.append(tuple(row))
        head = ("", *(f"f = {attackers}" for attackers in range(1, 5)))
        yield Table(f"ByzFL's benchmark: `{name}`", head, rows)


def _worst(told: Sequence[tuple[float, str]], theirs: float | None) -> str:
    """The worst attack's figure, ByzFL's in brackets; how many of the three attacks were run if not all were."""
    if not told:
        return NOT_RUN
    value, attack = min(told)
    kept = theirs is None or value >= theirs - BYZFL_NEAR
    part = "" if len(told) == 3 else f"; {len(told)} of 3 run"
    return f"{_judged(value, kept)} ({attack}" + ("" if theirs is None else f"; ByzFL {theirs}") + f"{part})"


def matrix_tables(outcomes: Outcomes) -> Iterator[Table]:
    """Every attack against every rule: the worst of them by rule and split, then a table a split."""
    found = {(cell.split, cell.attack, cell.rule): result for cell, result in outcomes if cell.world == EVERYTHING}
    rows = []
    for rule in MATRIX_RULES:
        told = [
            [(last(one), key[1]) for key, one in found.items() if key[::2] == (split, rule)] for split in MATRIX_SPLITS
        ]
        rows.append((str(rule), *(f"{min(part)[0]:.1f} ({min(part)[1]})" if part else NOT_RUN for part in told)))
    yield Table("Every attack against every rule: the worst", ("rule", *MATRIX_SPLITS), rows)
    for split in MATRIX_SPLITS:
        cells = [[found.get((split, attack, rule)) for rule in MATRIX_RULES] for attack in MATRIX_ATTACKS]
        rows = [(name, *map(_with_trigger, line)) for name, line in zip(MATRIX_ATTACKS, cells, strict=True)]
        yield Table(f"Every attack against every rule: {split}", ("attack", *map(str, MATRIX_RULES)), rows)


def _with_trigger(found: Found | None) -> str:
    if found is None:
        return NOT_RUN
    shown = f"{last(found):.1f}"
    return shown + f" ({100 * found['followed']:.0f})" if "followed" in found else shown


def _judged(value: float, kept: bool, form: str = ".2f") -> str:
    return f"{value:{form}}" if kept else f"**{value:{form}} missed**"


def draw(outcomes: Outcomes, folder: Path) -> list[Path]:
    """Write the pictures for which there is anything to show."""
    whole = [(cell, found) for cell, found in outcomes if cell.steps is None]
    drawn: dict[str, Callable[[Outcomes], Figure | None]] = {
        "attacks-bucketing.svg": _draw_study,
        "attacks-matrix.svg": _draw_matrix,
    }
    files = []
    for name, picture in drawn.items():
        figure = picture(whole)
        if figure is not None:
            # no date and no random ids: the same figures give the same file
            with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
                figure.savefig(folder / name, bbox_inches="tight", metadata={"Date": None})
            files.append(folder / name)
    return files


def _draw_study(outcomes: Outcomes) -> Figure | None:
    """Accuracy by step, one line an attack; the study's last figure as a short mark at the right."""
    cells = [(cell, found) for cell, found in outcomes if cell.world == BUCKETING]
    if not cells:
        return None
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    colours = dict(zip(STUDY, ("C0", "C1", "C2", "C3", "C4"), strict=True))
    for cell, found in cells:
        steps, values = zip(*found["curve"], strict=True)
        style, kind = ("-", "integers") if cell.exact else (":", "float32")
        label = f"{cell.attack}, {kind}"
        axes.plot(steps, [100 * value for value in values], style, color=colours[cell.attack], label=label, marker=".")
    for attack, theirs in STUDY.items():
        axes.plot([605, 625], [theirs, theirs], color=colours[attack], linewidth=2)
    axes.axhline(STUDY_LEAST, color="0.6", linewidth=0.8)
    axes.set(xlabel="step (right: the study's figure; grey: the bar for the worst)", ylabel="test accuracy, %")
    axes.legend(fontsize=8)
    return figure


def _draw_matrix(outcomes: Outcomes) -> Figure | None:
    """Accuracy by attack and rule, a panel a split; grey: not run."""
    found = {(cell.split, cell.attack, cell.rule): last(one) for cell, one in outcomes if cell.world == EVERYTHING}
    if not found:
        return None
    figure = Figure(figsize=(13, 6.5))
    panels = figure.subplots(1, len(MATRIX_SPLITS), sharey=True)
    for panel, split in zip(panels, MATRIX_SPLITS, strict=True):
        values = [
            [found.get((split, attack, rule), float("nan")) for rule in MATRIX_RULES] for attack in MATRIX_ATTACKS
        ]
        panel.set_facecolor("0.8")
        image = panel.imshow(values, vmin=0, vmax=100, cmap="viridis", aspect="auto")
        panel.set_title(split)
        panel.set_xticks(range(len(MATRIX_RULES)), [_short(rule) for rule in MATRIX_RULES], rotation=90)
        panel.set_yticks(range(len(MATRIX_ATTACKS)), MATRIX_ATTACKS)
        for row, line in enumerate(values):
            for column, value in enumerate(line):
                if value == value:
                    dark = "black" if value > 60 else "white"
                    panel.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=dark)
    figure.colorbar(image, ax=panels, label="test accuracy, %", fraction=0.02)
    return figure


def _short(rule: Rule) -> str:
    return str(rule).replace("_", " ")
