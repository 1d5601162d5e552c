"""Merge reports, which anyone may have written: read within limits, believed by nobody. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

MOST_METRICS = 8
MOST_ENTRIES = 4096
_FORMAT = 1


@dataclass(frozen=True)
class Report:
    """What a merger says about its own merge.

    metrics:  of the new state on the hold-out, by name.
    details:  why an update was left out, in the merger's words, by reveal index.
    payouts:  the payout tree's amounts by member index.
    problem:  why it can't be used; empty if it can.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[int, str] = field(default_factory=dict)
    payouts: tuple[int, ...] = ()
    problem: str = ""


def read_report(data: bytes, bounty: int, number: int) -> Report:
    """Read a report; what does not fit is left out, and what is of another merge is refused."""
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return Report(problem="it is not JSON")
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        return Report(problem="it is no merge report of format 1")
    if (document.get("bounty"), document.get("round")) != (bounty, number):
        return Report(problem="it is about another merge")
    return Report(_metrics(document.get("metrics")), _details(document.get("rejections")), _payouts(document))


def _metrics(given: Any) -> dict[str, float]:
    if not isinstance(given, dict):
        return {}
    numbers = {name: value for name, value in given.items() if _is_number(value)}
    return {name[:40]: float(value) for name, value in list(numbers.items())[:MOST_METRICS]}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _details(given: Any) -> dict[int, str]:
    entries = given[:MOST_ENTRIES] if isinstance(given, list) else []
    return {
        one["index"]: one["detail"]
        for one in entries
        if isinstance(one, dict) and isinstance(one.get("index"), int) and isinstance(one.get("detail"), str)
    }


def _payouts(document: Mapping[str, Any]) -> tuple[int, ...]:
    given = document.get("payouts")
    listed = given[:MOST_ENTRIES] if isinstance(given, list) else []
    if not all(isinstance(one, str) and one.isascii() and one.isdigit() and len(one) <= 29 for one in listed):
        return ()
    return tuple(int(one) for one in listed)
