"""What payouts follow from a merge, for as many leaves as its tree claims; and hostile lists of them."""

from __future__ import annotations

import orjson
import pytest

from ledger.commitments import payout_root, payout_tree
from ledger.records import Wei
from node.challenger.pay import follows_from, listed_payouts, pay_of
from tests.builders import ALICE, BOB, merged, revealed
from tests.node.challenged import played

pytestmark = pytest.mark.unit

REVEALS = [revealed(ALICE, 1, 0, 5), revealed(BOB, 1, 1, 6)]
MEMBERS = [ALICE, BOB]


def test_follows_from__when_updates_earn__then_the_tree_holds_what_was_there_before_too() -> None:
    merge = merged(1, 20, reveals=2, payout_leaves=2)
    history = played(merge, REVEALS)
    assert follows_from(history, merge, []) == [(ALICE, Wei(150)), (BOB, Wei(150))]
    assert follows_from(history, merge, [(ALICE, Wei(7))]) == [(ALICE, Wei(157)), (BOB, Wei(150))]


def test_pay_of__when_the_tree_has_too_few_leaves__then_what_the_others_earn_is_still_known() -> None:
    merge = merged(1, 20, reveals=2, payout_leaves=1)
    pay = pay_of(played(merge, REVEALS), merge, None)
    assert pay.follows == [(ALICE, Wei(150))]
    assert pay.earned == {0: 150, 1: 150}
    assert pay.leafless == BOB
    assert pay.posted is None


def test_pay_of__when_the_report_lists_what_the_root_commits_to__then_that_is_what_was_posted() -> None:
    wrong = [(ALICE, Wei(149)), (BOB, Wei(151))]
    merge = merged(1, 20, reveals=2, payout_leaves=2, payout_root=payout_root(payout_tree(wrong)))
    history = played(merge, REVEALS)
    assert pay_of(history, merge, orjson.dumps({"payouts": ["149", "151"]})).posted == wrong
    assert pay_of(history, merge, orjson.dumps({"payouts": ["150", "150"]})).posted is None


@pytest.mark.parametrize(
    "report",
    [
        b"",
        b"[]",
        b'{"payouts": 1}',
        b'{"payouts": ["1"]}',
        b'{"payouts": ["1", 2]}',
        b'{"payouts": ["1", "-2"]}',
        b'{"payouts": ["1", "0x2"]}',
        '{"payouts": ["1", "٢"]}'.encode(),
        b'{"payouts": ["1", "%s"]}' % (b"9" * 30),
        b'{"payouts": ["1", "%d"]}' % 2**96,
        b'{"payouts": ["1", "2", "3"]}',
    ],
)
def test_listed_payouts__when_the_report_is_hostile__then_it_lists_nothing(report: bytes) -> None:
    assert listed_payouts(report, MEMBERS) is None
