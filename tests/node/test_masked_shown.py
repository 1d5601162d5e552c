"""What people are shown of masked bounties: an update step by step, the terms, risks and receipts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ledger.chain import Block
from ledger.cid import Digest
from ledger.history import build_history
from ledger.merge_records import GivenReason, Reason
from ledger.records import PrivacyMode, Timestamp, Wei
from ledger.unixfs import digest_of
from node.cli.explain_tables import in_words
from node.explaining.prospect import make_risks
from node.explaining.published import judge
from node.explaining.receipt import Verdict
from node.explorer.bounty_page import terms_lines
from node.explorer.steps import Outcome, verdict
from node.explorer.update_check import FetchedFile, LiveReveal, update_steps
from tests import builders as make
from tests.masked_group import MaskedGroup, group_with

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
