"""What people are shown of masked bounties: an update step by step, the terms, risks and receipts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ledger.chain import Block
from ledger.cid import Digest
from ledger.history import build_history
from ledger.merge_records import GivenReason, Reason
from ledger.records import Address, PrivacyMode, Timestamp, Wei
from ledger.unixfs import digest_of
from node.cli.explain_tables import in_words
from node.explaining.prospect import make_risks
from node.explaining.published import judge
from node.explaining.receipt import Verdict
from node.explorer.bounty_page import bounty_page, terms_lines
from node.explorer.masked_groups import groups_in
from node.explorer.round_page import round_page
from node.explorer.shelf import Missing
from node.explorer.steps import Outcome, verdict
from node.explorer.update_check import FetchedFile, LiveReveal, update_steps
from node.masking_section import MaskingSection
from tests import builders as make
from tests.masked_group import MaskedGroup, group_with, member_secrets
from tests.node.rendered import rendered

pytestmark = pytest.mark.unit

TERMS = make.terms(chunks=3, privacy=PrivacyMode.MASKED)
BLOCK = Block(9, make.word("block"), Timestamp(1009))


def test_update_steps__when_the_update_is_masked__then_its_chunks_lead_to_the_root(tmp_path: Path) -> None:
    made = MaskedGroup(group_with([0, 1, 2]), chunks=3).made[1]
    known = replace(make.revealed(make.ALICE, 1, 0, 5), update_root=made.root, cid=Digest(digest_of(made.data)))
    path = tmp_path / "file"
    path.write_bytes(made.data)
    for chunk in range(3):
        steps = update_steps(known, TERMS, chunk, LiveReveal(known, BLOCK), FetchedFile(path))
        assert verdict(steps) == Outcome.OK
        assert steps[3].rungs[-1].parent == made.root
    path.write_bytes(made.data[:100] + bytes((made.data[100] ^ 1,)) + made.data[101:])
    assert verdict(update_steps(known, TERMS, 0, LiveReveal(known, BLOCK), FetchedFile(path))) == Outcome.MISMATCH
    path.write_bytes(made.data[:-1])
    steps = update_steps(known, TERMS, 0, LiveReveal(known, BLOCK), FetchedFile(path))
    assert "wrong-length" in steps[-1].text


def test_shown__when_a_bounty_is_masked__then_pay_by_groups_is_said_everywhere() -> None:
    assert "a group is paid or left out as a whole" in dict(terms_lines(TERMS))["privacy"]
    risks = [risk for risk in make_risks(TERMS, Wei(100), 3, 1) if "group" in risk.case]
    assert [risk.stake for risk in risks] == [0, 0]
    assert not [risk for risk in make_risks(make.terms(), Wei(100), 3, 1) if "group" in risk.case]
    assert "a group is paid whole" in in_words(GivenReason(Reason.UNMASKABLE))


def test_groups_in__of_a_round__then_each_active_member_is_in_one_of_them() -> None:
    keys = [member_secrets(index).exchange_key.public_key().public_bytes_raw() for index in range(6)]
    people = [Address("0x" + f"{index + 16:02x}" * 20) for index in range(7)]
    joins = [replace(make.joined(people[n], n), encryption_key=key) for n, key in enumerate([*keys, bytes(32)])]
    history = build_history([make.posted(privacy=PrivacyMode.MASKED), *joins, make.opened(1, 3)])
    section = MaskingSection(group=3, threshold=2)
    groups = groups_in(history, 1, (31337, make.OWNER), make.word("opening block"), section)
    assert sorted(groups.values()) == [1, 1, 1, 2, 2, 2]
    assert people[6] not in groups, "its key is malformed"


def test_pages__when_a_bounty_is_masked__then_groups_are_explained_and_no_norm_is_claimed() -> None:
    events = [make.posted(privacy=PrivacyMode.MASKED), make.joined(make.ALICE, 0), make.opened(1, 3)]
    masked = build_history([*events, make.revealed(make.ALICE, 1, 0, 4)])
    plain = build_history([make.posted(), *events[1:], make.revealed(make.ALICE, 1, 0, 4)])
    said = "A group is counted and paid as a whole"
    for history, shown in ((masked, True), (plain, False)):
        bounty = bounty_page(history, "", "", Timestamp(0), lambda merged: Missing("QmX"))
        html = rendered("bounty.html", page=bounty, manifest=None, missing=None, gas=[], described={}, command="")
        assert (said in html) is shown
        groups = {make.ALICE: 2} if shown else {}
        html = rendered("round.html", page=round_page(history, 1, None), seat=0, drawn=None, name="", groups=groups)
        assert [said in html, ">hidden<" in html, ">group<" in html] == [shown] * 3


@pytest.mark.parametrize(
    ("privacy", "expected"), [(PrivacyMode.MASKED, Verdict.OPEN), (PrivacyMode.OPEN, Verdict.WRONG)]
)
def test_judge__when_left_out_as_unmaskable__then_only_a_masked_bounty_has_that(
    privacy: PrivacyMode, expected: Verdict
) -> None:
    shown = make.revealed(make.ALICE, 1, 0, 4)
    merged = make.merged(1, 5, rejected=1, reasons=make.reasons(Reason.UNMASKABLE))
    events = [make.posted(privacy=privacy), make.joined(make.ALICE, 0), make.opened(1, 3), shown, merged]
    found = judge(None, build_history(events), merged, shown, GivenReason(Reason.UNMASKABLE))
    assert found.verdict == expected
