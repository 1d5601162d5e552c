"""A signed report as one page of HTML: it loads nothing, runs nothing, and shows every text as text. Pure."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

WIDTH, HEIGHT = 760, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 14, 34
_LABELS = 12
"""Rounds that are named under a curve; of more, every second, third, …"""

_VERDICTS = {
    "ok": ("All is right.", "Every root, merge and payment follows from the recorded bytes."),
    "wrong": ("Something is wrong.", "What is recorded does not follow from the bytes; see below."),
    "unavailable": ("Not all could be had.", "Nothing that could be recomputed is wrong, but files are missing."),
}
_BASES = {
    "recomputed": "own state",
    "published": "published state",
    "missing": "no state at hand",
}
_SUMS = {
    "deposits": "Deposits",
    "payouts": "Payouts to providers",
    "refunds": "Refunds to the owner",
    "rewards_for_proofs": "Rewards for proofs",
    "stakes_and_bonds_returned": "Stakes and bonds returned",
    "stakes_held": "Stakes held",
    "bonds_held": "Bonds held",
    "owed": "In escrow, owed to providers",
    "free": "In escrow, free",
}


@dataclass(frozen=True)
class Point:
    """A value of a curve, where it is drawn, and whether its label is shown."""

    x: float
    y: float
    label: str
    text: str
    shown: bool = True


@dataclass(frozen=True)
class Curve:
    """A metric after each round."""

    name: str
    points: tuple[Point, ...]
    ticks: tuple[Point, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT

    @property
    def path(self) -> str:
        return " ".join(f"{point.x},{point.y}" for point in self.points)

    @property
    def radius(self) -> float:
        return 4 if len(self.points) <= 30 else 2.5


def render_report(signed: dict[str, Any], json_name: str) -> str:
    """Write the page of a signed report.

    Holds: the same report gives the same page; a text of whatever content is shown as text.
    """
    report = signed["report"]
    record, findings = report["record"], report["findings"]
    word, text = _VERDICTS[findings["verdict"]]
    style = (files("node.auditor") / "templates" / "report.css").read_text()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page: str = _template().render(
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        style=Markup(style),  # noqa: S704 - our own file
        record=record,
        chain=record["chain"],
        bounty=record["bounty"],
        findings=findings,
        signature=signed["signature"],
        json_name=json_name,
        verdict_word=word,
        verdict_text=text,
        facts=_facts(record, findings),
        problems=_problems(findings),
        metrics=list(findings["metrics_start"]),
        curve=curve_of(findings),
        bases=_BASES,
        pay=_pay(record),
        payouts=record["payments"]["payouts"],
        sums=[(name, record["payments"]["sums"][key]) for key, name in _SUMS.items()],
        books_text=_books_text(findings["books"]),
        privacy_text=_privacy_text(record["privacy"]["mode"]),
    )
    return page


def tokens(amount: int | str) -> str:
    """An amount of 18 decimals in whole tokens, exactly."""
    whole, part = divmod(int(amount), 10**18)
    return f"{whole:,}" + (f".{part:018d}".rstrip("0") if part else "")


def _rounded(amount: int | str) -> str:
    """As `tokens`, to a hundredth, down; `…` where something was cut off."""
    whole, _, part = tokens(amount).partition(".")
    return f"{whole}.{part[:2]}".rstrip("0").rstrip(".") + "…" if len(part) > 2 else tokens(amount)


def curve_of(findings: dict[str, Any]) -> Curve | None:
    """The manifest's metric by round, from the start on; None where nothing was measured."""
    name = next((name for name in findings["metrics_start"] if name != "loss"), None)
    if name is None:
        return None
    values = [(0, findings["metrics_start"][name])]
    values += [(one["round"], one["metrics"][name]) for one in findings["rounds"] if name in one["metrics"]]
    numbers = [(number, float(value)) for number, value in values if isinstance(value, int | float)]
    if len(numbers) < 2:
        return None
    low, high = min(0.0, *(value for _, value in numbers)), max(1.0, *(value for _, value in numbers))
    last = numbers[-1][0]
    every = -(-last // _LABELS)

    def at(value: float) -> float:
        return round(HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)

    points = [
        Point(
            x=round(_LEFT + (WIDTH - _LEFT - _RIGHT) * number / last, 1),
            y=at(value),
            label=str(number) if number else "start",
            text=f"{value:.4f}",
            shown=number % every == 0,
        )
        for number, value in numbers
    ]
    grid = [low + (high - low) * quarter / 4 for quarter in range(5)]
    return Curve(name, tuple(points), tuple(Point(0, at(value), "", f"{value:.4g}") for value in grid))


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("node.auditor"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
    )
    environment.filters |= {"tokens": tokens, "score": _score, "moment": _moment}
    return environment.get_template("report.html")


def _visible(value: Any) -> Any:
    """Text without control characters and marks that turn the direction of reading."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in value)


def _score(value: float | str) -> str:
    return f"{value:.4f}" if isinstance(value, float | int) else str(value)


def _moment(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, tz=UTC).strftime("%-d %B %Y, %H:%M:%S UTC")


def _facts(record: dict[str, Any], findings: dict[str, Any]) -> list[tuple[str, str]]:
    rounds = findings["rounds"]
    facts = [
        ("Status", record["bounty"]["status"]),
        (
            "Rounds merged",
            f"{sum(one['state'] == 'merged' for one in rounds)} of {record['bounty']['terms']['rounds']}",
        ),
        ("Updates accepted", f"{sum(one['accepted'] for one in rounds):,}"),
        ("Providers", f"{len(record['members']):,}"),
        ("Pot, tokens", _rounded(record["bounty"]["terms"]["pot"])),
    ]
    curve = curve_of(findings)
    return [*facts, (curve.name.capitalize(), f"{curve.points[0].text} → {curve.points[-1].text}")] if curve else facts


def _problems(findings: dict[str, Any]) -> list[tuple[str, str]]:
    found = [*findings["differences"], *(one for each in findings["rounds"] for one in each["differences"])]
    lines = [("wrong", _difference(one)) for one in found]
    for one in findings["rounds"]:
        lines += [("unavailable", f"Round {one['round']}: {cid}") for cid in one["missing"]]
        lines += [("note", f"Round {one['round']}: {note}.") for note in one["notes"]]
    return lines


def _difference(one: dict[str, Any]) -> str:
    place = f"Round {one['round']}" if one["round"] else "The bounty"
    if one["update"] is not None:
        place += f", update {one['update']}"
    if one["coordinate"] is not None:
        place += f", coordinate {one['coordinate']} ({one['tensor']})"
    return f"{place}: {one['what']} is recorded as {one['claimed']}, but {one['expected']} follows."


def _pay(record: dict[str, Any]) -> list[dict[str, Any]]:
    providers = record["payments"]["providers"]
    most = max((int(one["earned"]) for one in providers), default=0) or 1
    rows = [one | {"share": round(100 * int(one["earned"]) / most, 1)} for one in providers]
    return sorted(rows, key=lambda one: -int(one["earned"]))


def _books_text(books: dict[str, Any]) -> str:
    text = (
        "Deposits are payouts, refunds, rewards, returns, stakes, bonds and escrow together. Compared with the chain "
        f"at {books['checked']:,} of the {books['changed']:,} blocks where something changed."
    )
    if books["balance"] is not None:
        text += f" For all its bounties the market must hold {tokens(books['held'])} of the token"
        text += f" and holds {tokens(books['balance'])}."
    return text


def _privacy_text(mode: str) -> str:
    if mode == "open":
        return (
            "None is accounted for. The bounty's privacy mode is “open”: its updates are readable by all, its terms "
            "ask for no noise, and the chain records no privacy parameters. What the updates reveal of the data is not "
            "bounded."
        )
    return f"The bounty's privacy mode is “{mode}”; no privacy parameters are recorded."
