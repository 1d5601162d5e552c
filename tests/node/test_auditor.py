"""The auditor's comparisons: what is recorded against what follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from incentives.settlement import settle
from ledger.history import build_history
from ledger.merge_records import Reason
from ledger.records import BountyId, Claimed, Merged, Money, Wei
from ledger.unixfs import digest_of
from node import manifest as manifests
from node.auditor.audit import unchecked
from node.auditor.money import (
    balance_differences,
    claim_differences,
    purse_differences,
    replay,
    unchecked_money,
)
from node.auditor.rejections import rejection_differences
from node.auditor.report import AuditReport, Books, Difference, RoundReport, Verdict, verdict_of
from node.auditor.rounds import clip_differences, state_difference, state_file_difference
from node.merged_states import MergedState
from node.state_files import encode_state
from node.verification import Rejection, VerifiedUpdate
from tests import builders as make
from tests.node import samples

pytestmark = pytest.mark.unit

MANIFEST = samples.manifest()
STATE_PD = np.arange(manifests.chunks(MANIFEST) * 128, dtype=np.int32)[None]
OURS = MergedState(STATE_PD)


def checked(index: int, reason: Reason | None = None, chunks: tuple[int, ...] = ()) -> VerifiedUpdate | Rejection:
    revealed = make.revealed(make.ALICE, 1, index, 5)
    if reason is not None:
        return Rejection(revealed, reason, "", chunks)
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
    merged = make.merged(1, 9, reveals=3, rejected=0b101, reasons=make.reasons(Reason.WRONG_ROOT, Reason.MALFORMED))
    updates = [checked(0, Reason.WRONG_ROOT), checked(1), checked(2, Reason.MALFORMED)]
    assert rejection_differences(merged, updates) == []


def test_rejection_differences__when_wrong__then_each_is_named_with_both_sides() -> None:
    merged = make.merged(1, 9, reveals=4, rejected=0b0111, reasons=make.reasons(4, 77, Reason.UNAVAILABLE))
    updates = [checked(0), checked(1, Reason.MALFORMED), checked(2), checked(3, Reason.OUT_OF_RANGE, (5,))]
    found = [(one.update, one.claimed, one.expected) for one in rejection_differences(merged, updates)]
    assert found == [
        (0, "wrong-root", "accepted"),
        (1, "unknown-77", "malformed"),
        (3, "accepted", "out-of-range (chunk 5)"),
    ], "a claim of `unavailable` can't be judged later"


def test_rejection_differences__when_a_reason_is_about_a_chunk__then_the_chunk_must_be_faulty() -> None:
    updates = [checked(index, Reason.OUT_OF_RANGE, (5, 8)) for index in range(2)]
    given = make.reasons((Reason.OUT_OF_RANGE, 8), (Reason.OUT_OF_RANGE, 6))
    (found,) = rejection_differences(make.merged(1, 9, reveals=2, rejected=0b11, reasons=given), updates)
    assert (found.update, found.claimed, found.expected) == (1, "out-of-range (chunk 6)", "out-of-range (chunk 5)")


def test_rejection_differences__when_the_file_holds_other_bytes__then_one_about_the_committed_ones_stands() -> None:
    merged = make.merged(1, 9, reveals=2, rejected=0b11, reasons=make.reasons((Reason.WRONG_NORM, 3), (5, 3)))
    (found,) = rejection_differences(merged, [checked(0, Reason.WRONG_ROOT), checked(1)])
    assert (found.update, found.claimed, found.expected) == (1, "wrong-norm (chunk 3)", "accepted")


def test_state_difference__when_the_second_plane_differs__then_names_it() -> None:
    ours = MergedState(np.concatenate((STATE_PD, STATE_PD)))
    published_PD = ours.planes_PD.copy()
    published_PD[1, 7] += 5
    found = state_difference(make.merged(2, 9), ours, published_PD, MANIFEST)
    assert (found.what, found.coordinate, found.claimed) == ("previous aggregate", 7, "12")


def test_clip_differences__when_the_rule_does_not_clip__then_the_words_are_zero() -> None:
    assert clip_differences(make.merged(1, 9), OURS) == []
    (found,) = clip_differences(make.merged(1, 9, scales_hash=make.word("scales")), OURS)
    assert found.what == "scales"


def test_state_difference__when_the_file_is_at_hand__then_names_coordinate_and_tensor() -> None:
    published_PD = STATE_PD.copy()
    published_PD[0, 7] += 5
    found = state_difference(make.merged(2, 9), OURS, published_PD, MANIFEST)
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
    assert (found.claimed, found.expected) == ("0x" + merged.claim.state_root.hex(), "0x" + OURS.root.hex())
    assert found.coordinate is None


def test_state_file_difference__when_the_cid_is_the_files__then_none() -> None:
    right = make.merged(1, 9, state_cid=digest_of(encode_state(STATE_PD)))
    assert state_file_difference(right, OURS) == []
    assert len(state_file_difference(make.merged(1, 9), OURS)) == 1


def test_purse_differences__when_the_purses_are_right__then_none() -> None:
    expected = {1: Money(Wei(0), Wei(900)), 5: Money(Wei(300), Wei(600))}
    assert purse_differences(expected, expected) == []


def test_purse_differences__when_one_is_off__then_the_first_block_is_named() -> None:
    expected = {block: Money(Wei(0), Wei(900)) for block in (1, 5, 9)}
    on_chain = {5: Money(Wei(1), Wei(899)), 9: Money(Wei(2), Wei(900))}
    assert [(one.what, one.claimed, one.expected) for one in purse_differences(expected, on_chain)] == [
        ("money (owed, after block 5)", "1", "0"),
        ("money (free, after block 5)", "899", "900"),
    ]


def test_balance_differences__when_the_market_holds_more__then_none_and_when_less__then_named() -> None:
    assert balance_differences({1: 900, 4: 1000}, {1: Wei(900), 4: Wei(1001)}) == []
    (found,) = balance_differences({1: 900, 4: 1000}, {1: Wei(900), 4: Wei(999)})
    assert (found.what, found.claimed) == ("money (the market's balance after block 4)", "999")
    assert found.expected == "at least 1000"


def test_unchecked_money__when_old_states_are_gone__then_says_how_many_and_why() -> None:
    purses = {block: Money(Wei(0), Wei(900)) for block in (1, 5, 9)}
    held = dict.fromkeys(purses, 900)
    whole = Books({}, 3, 3, 1, 900, 900)
    assert list(unchecked_money(whole, purses, purses, held, dict.fromkeys(held, Wei(900)))) == []
    last = Books({}, 3, 1, 9, 900, 900)
    (found,) = unchecked_money(last, purses, {9: purses[9]}, held, {9: Wei(900)})
    assert found.what.startswith("money in 2 of 3 blocks where it changed: no history")
    assert "before block 9" in found.what


def test_unchecked_money__when_the_token_does_not_answer__then_says_so() -> None:
    purses = {5: Money(Wei(0), Wei(900))}
    (found,) = unchecked_money(Books({}, 1, 1, 5, 900, None), purses, purses, {5: 900}, {})
    assert found.what == "the market's token balance: the token does not answer"


def test_replay__then_purses_are_the_bountys_and_holdings_those_of_all_with_its_token() -> None:
    other = replace(make.posted(pot=Wei(50)), at=make.at(3), bounty=BountyId(8))
    foreign = replace(make.posted(token=make.ALICE), at=make.at(4), bounty=BountyId(9))
    found = replay(make.BOUNTY, [make.posted(), make.joined(make.ALICE, 0), other, foreign])
    assert found.purses == {1: Money(Wei(0), Wei(900)), 2: Money(Wei(0), Wei(900))}
    assert found.held == {1: 900, 2: 1000, 3: 1050}
    assert found.settlement.stakes == 100


def test_claim_differences__when_a_claim_is_in_no_tree__then_names_the_account() -> None:
    merged: Merged = make.merged(1, 9)
    events = [
        *make.shown(),
        merged,
        Claimed(make.at(99), make.BOUNTY, make.ALICE, Wei(299)),
    ]
    found = claim_differences(build_history(events), settle(events))
    assert [(one.what, one.claimed) for one in found] == [(f"money (claims of {make.ALICE})", "299")]


def test_report__then_all_differences_are_those_of_the_money_and_the_rounds() -> None:
    wrong = Difference(1, "state", "a", "b")
    one = RoundReport(1, Verdict.WRONG, "merged", 0, 0, 0, 0, 0, {}, differences=(wrong,), missing=("Qm1",))
    money = Difference(0, "money (owed)", "1", "0")
    books = Books({}, 1, 1, 1, 0, 0)
    report = AuditReport(7, 9, "0x", Verdict.WRONG, {}, (one, one), {}, books, (money,))
    assert report.all_differences == [money, wrong, wrong]
    assert report.all_missing == ["Qm1"]
    assert str(money) == "the bounty: money (owed) is recorded as 1, but 0 follows"
    assert report.as_json()["verdict"] == "wrong"


def test_unchecked__then_each_thing_says_whom_it_leaves_to_be_trusted() -> None:
    story = build_history([make.posted()])
    holdout = {"cid": "Qm" + "c" * 44, "bytes": 1000, "format": "csv"}
    manifests_of = (samples.manifest(holdout=holdout), samples.manifest())
    with_holdout, without = (" ".join(map(str, unchecked(story, manifest))) for manifest in manifests_of)
    assert "trained at all" in with_holdout
    assert "float sums" in with_holdout
    assert "no hold-out was published" in without
    assert "there you trust the owner" in without
