"""The auditor's comparisons: what is recorded against what follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from incentives.settlement import settle
from ledger.commitments import state_tree
from ledger.history import build_history
from ledger.records import Claimed, Merged, Money, Reason, Wei
from ledger.unixfs import digest_of
from node import manifest as manifests
from node.auditor.money import money_differences
from node.auditor.report import AuditReport, Difference, Verdict, verdict_of
from node.auditor.rounds import Recomputed, rejection_differences, state_difference, state_file_difference
from node.state_files import encode_state
from node.verification import Rejection, VerifiedUpdate
from tests import builders as make
from tests.node import samples

pytestmark = pytest.mark.unit

MANIFEST = samples.manifest()
STATE_D = np.arange(manifests.chunks(MANIFEST) * 128, dtype=np.int32)
OURS = Recomputed(STATE_D, state_tree(STATE_D[None]).root)


def checked(index: int, reason: Reason | None = None) -> VerifiedUpdate | Rejection:
    revealed = make.revealed(make.ALICE, 1, index, 5)
    if reason is not None:
        return Rejection(revealed, reason, "")
    return VerifiedUpdate(revealed, np.zeros(128, np.int16), 272)


@pytest.mark.parametrize(
    ("differences", "missing", "verdict"),
    [
        ([], [], Verdict.OK),
        ([], ["Qm"], Verdict.UNAVAILABLE),
        ([Difference(1, "state", "a", "b")], ["Qm"], Verdict.WRONG),
    ],
)
def test_verdict_of__then_wrong_beats_unavailable_beats_ok(
    differences: list[Difference], missing: list[str], verdict: Verdict
) -> None:
    assert verdict_of(differences, missing) == verdict


def test_rejection_differences__when_the_reasons_are_right__then_none() -> None:
    merged = make.merged(1, 9, reveals=3, rejected=0b101, reasons=bytes([Reason.WRONG_ROOT, Reason.MALFORMED]))
    updates = [checked(0, Reason.WRONG_ROOT), checked(1), checked(2, Reason.MALFORMED)]
    assert rejection_differences(merged, updates) == []


def test_rejection_differences__when_wrong__then_each_is_named_with_both_sides() -> None:
    merged = make.merged(1, 9, reveals=4, rejected=0b0111, reasons=bytes([4, 77, Reason.UNAVAILABLE]))
    updates = [checked(0), checked(1, Reason.MALFORMED), checked(2), checked(3, Reason.WRONG_NORM)]
    found = [(one.update, one.claimed, one.expected) for one in rejection_differences(merged, updates)]
    assert found == [
        (0, "wrong-root", "accepted"),
        (1, "unknown-77", "malformed"),
        (3, "accepted", "wrong-norm"),
    ], "a claim of `unavailable` can't be judged later"


def test_state_difference__when_the_file_is_at_hand__then_names_coordinate_and_tensor() -> None:
    published_D = STATE_D.copy()
    published_D[7] += 5
    found = state_difference(make.merged(2, 9), OURS, published_D, MANIFEST)
    assert (found.round, found.coordinate, found.tensor, found.claimed, found.expected) == (
        2,
        7,
        "layer.weight[1, 3]",
        "12",
        "7",
    )
    assert str(found) == ("round 2, coordinate 7 (layer.weight[1, 3]): state is recorded as 12, but 7 follows")


def test_state_difference__when_the_file_is_gone__then_names_the_roots() -> None:
    merged = make.merged(2, 9)
    found = state_difference(merged, OURS, None, MANIFEST)
    assert (found.claimed, found.expected) == ("0x" + merged.state_root.hex(), "0x" + OURS.root.hex())
    assert found.coordinate is None


def test_state_file_difference__when_the_cid_is_the_files__then_none() -> None:
    right = make.merged(1, 9, state_cid=digest_of(encode_state(STATE_D[None])))
    assert state_file_difference(right, OURS) == []
    assert len(state_file_difference(make.merged(1, 9), OURS)) == 1


def test_money_differences__when_the_purses_are_right__then_none() -> None:
    story = build_history([make.posted()])
    settlement = settle(story.events)
    assert money_differences(story, settlement, Money(owed=Wei(0), free=Wei(900))) == []


def test_money_differences__when_a_purse_is_off__then_named() -> None:
    story = build_history([make.posted()])
    found = money_differences(story, settle(story.events), Money(owed=Wei(1), free=Wei(899)))
    assert [(one.what, one.claimed, one.expected) for one in found] == [
        ("money (owed)", "1", "0"),
        ("money (free)", "899", "900"),
    ]


def test_money_differences__when_a_claim_is_in_no_tree__then_names_the_account() -> None:
    merged: Merged = replace(make.merged(1, 9), reveals=1, paid=Wei(300))
    events = [
        make.posted(),
        make.joined(make.ALICE, 0),
        make.opened(1, 3),
        make.committed(make.ALICE, 1, 4),
        make.revealed(make.ALICE, 1, 0, 5),
        merged,
        Claimed(make.at(99), make.BOUNTY, make.ALICE, Wei(299)),
    ]
    story = build_history(events)
    settlement = settle(events)
    found = money_differences(story, settlement, Money(settlement.owed, settlement.free))
    assert any(one.what == f"money (claims of {make.ALICE})" and one.claimed == "299" for one in found)


def test_report__then_all_differences_are_those_of_the_money_and_the_rounds() -> None:
    report = AuditReport(7, Verdict.WRONG, {}, (), {}, (Difference(0, "money (owed)", "1", "0"),))
    assert [str(one) for one in report.all_differences] == ["the bounty: money (owed) is recorded as 1, but 0 follows"]
    assert report.as_json()["verdict"] == "wrong"
