"""What a challenger finds wrong with masks, in the order in which it can be proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ledger.demands import ChunkKind
from ledger.keccak import ZERO_HASH, keccak
from ledger.merge_records import Reason
from ledger.records import MergeRule, Wei
from node.challenger.differences import first_fault
from node.challenger.evidence import Pay
from node.challenger.faults import Fault, Withheld, WrongRejection
from node.challenger.mask_faults import MaskFault, WrongMasks, WrongSeed, WrongTable
from node.challenger.masked import AcceptedMasked, MaskEvidence, mask_fault, merged_masked, recorded_table
from node.masking.judged import CommittedMasked, committed_masked
from node.masking.table import TableRow, encode_table
from tests import builders
from tests.masked_group import MaskedGroup, group_with
from tests.node.challenged import Small, payouts

pytestmark = pytest.mark.unit

CHUNKS = 2
LIVE = (1, 4, 6)


@pytest.fixture(scope="module")
def group() -> MaskedGroup:
    """Members 1, 3, 4 and 6, of whom 3 dropped."""
    return MaskedGroup(group_with([1, 3, 4, 6], 3), chunks=CHUNKS)


def rows_of(group: MaskedGroup) -> list[TableRow]:
    lists, recovered = group.recovered(LIVE, LIVE)
    return list(group.rows(lists, recovered).values())


def committed(group: MaskedGroup, member: int) -> CommittedMasked:
    file, root = group.files([member])[member]
    found = committed_masked(file.masked_D, file.leaf.encode(), root)
    assert found is not None
    return found


def evidence(group: MaskedGroup, rows: Sequence[TableRow]) -> MaskEvidence:
    updates = [
        AcceptedMasked(index, group.made[member].root, member, committed(group, member))
        for index, member in enumerate(LIVE)
    ]
    return MaskEvidence(tuple(updates), encode_table(rows))


def found(masks: MaskEvidence) -> MaskFault | Withheld | None:
    return mask_fault(1, masks, CHUNKS, {})


def test_mask_fault__when_all_is_right__then_the_plain_sum_follows(group: MaskedGroup) -> None:
    masks = evidence(group, rows_of(group))
    assert found(masks) is None
    before_PD = np.zeros((1, CHUNKS * 128), dtype=np.int32)
    merged = merged_masked(builders.terms(chunks=CHUNKS, merge_rule=MergeRule.MEAN), before_PD, masks)
    assert merged is not None
    np.testing.assert_array_equal(merged[0], 256 * group.expected(LIVE).astype(np.int64) // len(LIVE))


def test_mask_fault__when_a_seed_or_sign_is_another__then_names_the_mask(group: MaskedGroup) -> None:
    rows = rows_of(group)
    pair, own = rows[1].entries
    for wrong in (replace(pair, seed=bytes(32)), replace(pair, is_added=not pair.is_added)):
        rows[1] = TableRow(0, (wrong, own))
        assert found(evidence(group, rows)) == WrongSeed(1, 1, 1, 0, pair.slot)
    rows[1] = TableRow(0, (pair, replace(own, seed=bytes(32))))
    assert found(evidence(group, rows)) == WrongSeed(1, 1, 1, 1, 255)


def test_mask_fault__when_a_mask_is_missing_or_one_too_many__then_names_the_update(group: MaskedGroup) -> None:
    rows = rows_of(group)
    pair, own = rows[2].entries
    for entries in ((pair,), (own,), (replace(pair, slot=0), pair, own)):
        rows[2] = TableRow(0, entries)
        assert found(evidence(group, rows)) == WrongMasks(1, 2, 2, is_malformed=False)


def test_mask_fault__when_members_of_one_group_are_put_into_two__then_names_the_first(group: MaskedGroup) -> None:
    rows = rows_of(group)
    rows[2] = TableRow(1, rows[2].entries)
    assert found(evidence(group, rows)) == WrongMasks(1, 0, 0, is_malformed=False)


def test_mask_fault__when_strangers_share_a_number__then_it_is_a_fault(group: MaskedGroup) -> None:
    """Two groups under one number would have other means, though every mask is right."""
    other = MaskedGroup(group_with([0, 2, 5], 2), chunks=CHUNKS)
    lists, recovered = other.recovered([0, 2, 5], [0, 2, 5])
    own, theirs = evidence(group, rows_of(group)), list(other.rows(lists, recovered, 0).values())
    updates = [
        AcceptedMasked(3 + place, other.made[member].root, member, committed(other, member))
        for place, member in enumerate((0, 2, 5))
    ]
    merged = [*rows_of(group), *theirs]
    together = MaskEvidence((*own.updates, *updates), encode_table(merged))
    assert found(together) == WrongMasks(1, 0, 0, is_malformed=False)
    apart = [*rows_of(group), *(TableRow(1, row.entries) for row in theirs)]
    assert found(replace(together, table=encode_table(apart))) is None


def test_mask_fault__when_an_accepted_key_leaf_is_another_members__then_says_so(group: MaskedGroup) -> None:
    masks = evidence(group, rows_of(group))
    first = replace(masks.updates[0], member=9)
    fault = found(replace(masks, updates=(first, *masks.updates[1:])))
    assert fault == WrongMasks(1, 0, 0, is_malformed=True)


def test_mask_fault__when_the_table_has_another_form__then_says_so(group: MaskedGroup) -> None:
    masks = evidence(group, rows_of(group)[:2])
    assert found(masks) == WrongTable(1)


def test_mask_fault__when_something_is_withheld__then_demands_updates_then_the_table(group: MaskedGroup) -> None:
    masks = replace(evidence(group, rows_of(group)), table=None)
    assert found(masks) == Withheld(1, ChunkKind.MASKS, ZERO_HASH, 0)
    missing = replace(masks.updates[1], committed=None)
    masks = replace(masks, updates=(masks.updates[0], missing, masks.updates[2]))
    known = committed(group, LIVE[1])
    for leaf in range(CHUNKS + 1):
        shown = {missing.root: {index: known.open(index) for index in range(leaf)}}
        assert mask_fault(1, masks, CHUNKS, shown) == Withheld(1, ChunkKind.UPDATE, missing.root, leaf)


def test_recorded_table__of_several__is_the_one_with_the_hash() -> None:
    assert recorded_table([None, b"other", b""], keccak(b"")) == b""
    assert recorded_table([None, b"other"], keccak(b"")) is None


@pytest.mark.parametrize("code", [Reason.WRONG_NORM, Reason.OUT_OF_RANGE])
def test_first_fault__when_a_masked_update_is_rejected_for_a_chunk__then_it_is_a_fault(
    group: MaskedGroup, code: Reason
) -> None:
    small = Small()
    merge = small.claim(rejected=0b10, reasons=builders.reasons(code), paid=Wei(0))
    case = small.case(merge, masks=evidence(group, rows_of(group)), pay=Pay(payouts(150, 150), (), {}, None))
    fault: Fault | None = first_fault(case)
    assert isinstance(fault, WrongRejection)
    assert fault.code == code


@pytest.mark.parametrize("fault", [WrongTable(3), WrongMasks(3, 1, 0, True), WrongSeed(3, 1, 0, 2, 255)])
def test_fault__when_shown__then_is_one_sentence_that_names_its_round(fault: MaskFault) -> None:
    assert str(fault).startswith("Round 3")
    assert str(fault).endswith(".")
