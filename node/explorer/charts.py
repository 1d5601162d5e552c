"""Charts as geometry, for the SVG that a page carries without any script. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 16, 12, 28
_MOST_ROUND_LABELS = 10
_GREATEST = 1e9
_FLAT = 1e-9
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    label: str


@dataclass(frozen=True)
class LineChart:
    """One line over the rounds, in pixels of a WIDTH x HEIGHT box; a round without a value leaves a gap."""

    segments: tuple[str, ...]
    dots: tuple[Dot, ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    bottom: int = HEIGHT - _BOTTOM


def line_chart(points: Sequence[tuple[int, float | None]]) -> LineChart | None:
    """Draw values by round; None where there is no value at all."""
    values = [value for _, value in points if value is not None and _can_be_drawn(value)]
    if not values:
        return None
    low, high, step = _scale(min(values), max(values))
    rounds = [number for number, _ in points]
    first, span = min(rounds), max(max(rounds) - min(rounds), 1)

    def x(number: int) -> float:
        return round(_LEFT + (number - first) / span * (WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)

    segments: list[list[str]] = [[]]
    dots = []
    for number, value in points:
        if value is None or not _can_be_drawn(value):
            segments.append([])
            continue
        segments[-1].append(f"{x(number)},{y(value)}")
        dots.append(Dot(x(number), y(value), f"round {number}: {value:.4g}"))
    ticks = [low + index * step for index in range(round((high - low) / step) + 1)]
    every = max(1, -(-len(rounds) // _MOST_ROUND_LABELS))
    return LineChart(
        segments=tuple(" ".join(one) for one in segments if len(one) > 1),
        dots=tuple(dots),
        rows=tuple(Tick(y(value), f"{value:.3g}") for value in ticks),
        columns=tuple(Tick(x(number), str(number)) for number in rounds[::every]),
    )


def _can_be_drawn(value: float) -> bool:
    return math.isfinite(value) and abs(value) <= _GREATEST


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """A round step, and the ends of the axis on multiples of it."""
    span = high - low
    if span <= _FLAT * max(abs(low), abs(high), 1.0):
        span = max(abs(high), 1.0)
    power = 10.0 ** math.floor(math.log10(span / 4))
    step = next(one * power for one in _STEPS if one * power >= span / 4 * 0.999)
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    return bottom, top if top > bottom else bottom + step, step
