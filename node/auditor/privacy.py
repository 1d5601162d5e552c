"""What providers' privacy has cost, recomputed, and merge reports that say otherwise."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import orjson

from ledger.errors import ContentError
from ledger.history import BountyHistory
from ledger.records import Merged
from node.auditor.report import Difference
from node.bounty_files import Artefacts
from node.errors import shown
from node.manifest import Manifest
from node.privacy.record import SpentPrivacy, spent_in_round

CLOSE = 1e-3
"""Two machines' epsilons may differ by this part: they are floating point."""


def check_privacy(
    files: Artefacts, history: BountyHistory, manifest: Manifest
) -> tuple[list[SpentPrivacy], list[Difference]]:
    """Every provider's privacy in every round, and where a merge report has another number.

    A report that can't be had, or that says nothing about privacy, is not held against anyone: nothing is paid by it.
    """
    spent, differences = [], []
    for number, one in sorted(history.rounds.items()):
        expected = spent_in_round(history, manifest, number)
        spent += expected
        if expected and one.merged is not None:
            differences += report_differences(number, _claimed(files, one.merged), expected)
    return spent, differences


def _claimed(files: Artefacts, merged: Merged) -> Any:
    try:
        document = orjson.loads(files.report(merged))
    except (ContentError, ValueError):
        return None
    return document.get("privacy") if isinstance(document, dict) else None


def report_differences(number: int, claimed: Any, expected: list[SpentPrivacy]) -> list[Difference]:
    """Where a merge report's section `privacy` is not what follows; nothing for a report without one."""
    if claimed is None:
        return []
    if not isinstance(claimed, list) or len(claimed) != len(expected):
        count = len(claimed) if isinstance(claimed, list) else 0
        return [Difference(number, "privacy in the report", f"{count} entries", f"{len(expected)} entries")]
    found = []
    for entry, ours in zip(claimed, expected, strict=True):
        told = entry if isinstance(entry, dict) else {}
        for name, value in asdict(ours).items():
            if not _same(told.get(name), value):
                what = f"privacy of {ours.provider} in the report: {name}"
                found.append(Difference(number, what, shown(told.get(name), 60), shown(value, 60)))
    return found


def _same(claimed: Any, ours: Any) -> bool:
    if isinstance(ours, float) and isinstance(claimed, int | float) and not isinstance(claimed, bool):
        return math.isclose(claimed, ours, rel_tol=CLOSE)
    return type(claimed) is type(ours) and claimed == ours
