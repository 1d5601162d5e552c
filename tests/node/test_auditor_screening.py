"""What an audit says of updates that screening leaves out, or should have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ledger.commitments import update_tree
from ledger.history import BountyHistory, build_history
from ledger.merge_records import Reason
from ledger.records import Event, Merged
from node.auditor.rejections import rejection_differences, screened
from node.manifest import Manifest
from node.verification import VerifiedUpdate
from tests import builders as make
from tests.node import samples

pytestmark = pytest.mark.unit

SCREENING = {"copy_cosine": 0.99, "least_norm": 0.0, "harm": 0.1}
HOLDOUT = {"cid": "Qm" + "c" * 44, "bytes": 1000, "format": "csv"}
MANIFEST = samples.manifest(screening=SCREENING, holdout=HOLDOUT)
STRICT = samples.manifest(screening={"copy_cosine": 0.99})


def values(seed: int) -> NDArray[np.int16]:
    return np.random.default_rng(seed).integers(-500, 500, 256).astype("<i2")


def story(*seeds: int, **claim: object) -> tuple[BountyHistory, Merged, list[VerifiedUpdate]]:
    """A merged round of updates with these contents, committed and revealed in this order."""
    accounts = [make.ALICE, make.BOB, make.OWNER, make.AGGREGATOR][: len(seeds)]
    shown = []
    for index, (account, seed) in enumerate(zip(accounts, seeds, strict=True)):
        tree = update_tree(values(seed))
        plain = make.revealed(account, 1, index, 5)
        revealed = replace(plain, update_root=tree.root, squared_norm=tree.total)
        shown.append(VerifiedUpdate(revealed, values(seed), 528))
    merged = make.merged(1, 9, reveals=len(seeds), **claim)
    joined: list[Event] = [make.joined(account, index) for index, account in enumerate(accounts)]
    commits: list[Event] = [make.committed(account, 1, 4) for account in accounts]
    reveals: list[Event] = [one.revealed for one in shown]
    return build_history([make.posted(), *joined, make.opened(1, 3), *commits, *reveals, merged]), merged, shown


def differences(
    history: BountyHistory, merged: Merged, updates: list[VerifiedUpdate], manifest: Manifest = MANIFEST
) -> list[tuple[int | None, str, str]]:
    section = manifest.screening
    harm = section is not None and section.harm is not None
    found = rejection_differences(merged, screened(history, merged, manifest, updates, []), harm=harm)
    return [(one.update, one.claimed, one.expected) for one in found]


def test_screened__when_a_copy_was_counted__then_it_is_named() -> None:
    assert differences(*story(1, 2, 1)) == [(2, "accepted", "copied (of update 0)")]


def test_screened__when_a_copy_was_left_out__then_all_is_right() -> None:
    left_out = {"rejected": 0b100, "reasons": make.reasons((Reason.COPIED, 0))}
    assert differences(*story(1, 2, 1, **left_out)) == []


def test_screened__when_the_copy_is_said_to_be_anothers__then_both_are_named() -> None:
    left_out = {"rejected": 0b100, "reasons": make.reasons((Reason.COPIED, 1))}
    assert differences(*story(1, 2, 1, **left_out)) == [(2, "copied (of update 1)", "copied (of update 0)")]


def test_screened__when_an_honest_update_is_called_a_copy__then_it_is_named() -> None:
    left_out = {"rejected": 0b10, "reasons": make.reasons((Reason.COPIED, 0))}
    assert differences(*story(1, 2, **left_out)) == [(1, "copied (of update 0)", "accepted")]


def test_screened__when_the_original_was_not_to_be_had__then_nothing_is_its_copy() -> None:
    left_out = {"rejected": 0b1, "reasons": make.reasons(Reason.UNAVAILABLE)}
    assert differences(*story(1, 2, 1, **left_out)) == []


def test_screened__when_the_manifest_has_no_screening__then_copies_count() -> None:
    assert differences(*story(1, 1), samples.manifest()) == []


def test_rejections__when_called_harmful__then_only_a_manifest_that_says_so_covers_it() -> None:
    left_out = {"rejected": 0b10, "reasons": make.reasons(Reason.HARMFUL)}
    told = story(1, 2, **left_out)
    assert differences(*told) == []
    assert differences(*told, STRICT) == [(1, "harmful", "accepted")]


def test_rejections__when_not_all_was_at_hand__then_likeness_is_not_judged() -> None:
    history, merged, updates = story(1, 2, 1)
    judged = screened(history, merged, MANIFEST, updates, [])
    assert rejection_differences(merged, judged, whole=False) == []
    history, merged, updates = story(1, 2, rejected=0b10, reasons=make.reasons((Reason.STALE, 7)))
    judged = screened(history, merged, MANIFEST, updates, [])
    assert rejection_differences(merged, judged, whole=False) == []
    assert len(rejection_differences(merged, judged)) == 1
