"""What a challenger finds wrong with a merge, fault by fault; and that it finds nothing wrong with a right one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ledger.commitments import CHUNK, payout_root, payout_tree, state_tree
from ledger.demands import ChunkKind
from ledger.keccak import ZERO_HASH, Hash32, keccak
from ledger.merge_parameters import PROVABLE
from ledger.merge_records import JUDGED, Reason
from ledger.proofs import Opening
from ledger.records import Merged, MergeRule, Wei
from ledger.trees import SumTree, Tag, leaf_hashes
from node.challenger.clip_differences import clip_of
from node.challenger.differences import first_fault
from node.challenger.evidence import Case, Ours, Pay, Posted, SeenUpdate, Shown, pair_key
from node.challenger.faults import (
    Fault,
    FaultyAccepted,
    FaultyLeaf,
    OnlyReexecuted,
    Undrawn,
    Withheld,
    WrongCoordinate,
    WrongDistance,
    WrongPaid,
    WrongPayout,
    WrongRejection,
    WrongScale,
)
from node.clip_files import Clipping
from node.openings import open_distance, open_payout, open_state, open_update
from tests.builders import ALICE, merged, reasons
from tests.node.challenged import FIRST, SECOND, Small, clipped, known, payouts, seen, update_of

pytestmark = pytest.mark.unit

SMALL = Small()


def found(merge: Merged, **changes: Any) -> Fault | None:
    return first_fault(SMALL.case(merge, **changes))


def moved_state(coordinate: int) -> tuple[Merged, Any]:
    """A merge whose state is one unit too large at one coordinate, and that state."""
    planes_PD = SMALL.ours().planes_PD.copy()
    planes_PD[0, coordinate] += 1
    return SMALL.claim(state_root=state_tree(planes_PD).root), planes_PD


def test_first_fault__when_all_is_right__then_finds_nothing() -> None:
    assert first_fault(SMALL.case()) is None


def test_first_fault__when_one_coordinate_is_one_unit_off__then_names_it_and_its_tensor() -> None:
    merge, planes_PD = moved_state(437)
    follows = int(SMALL.ours().planes_PD[0, 437])
    assert found(merge, posted=Posted(planes_PD)) == WrongCoordinate(1, 437, "first[14, 17]", follows + 1, follows)


@pytest.mark.parametrize("rule", [rule for rule in MergeRule if rule not in PROVABLE])
def test_first_fault__when_no_contract_knows_the_rule__then_a_wrong_state_has_no_proof(rule: MergeRule) -> None:
    merge, planes_PD = moved_state(437)
    terms = replace(SMALL.case().terms, merge_rule=rule)
    fault = found(merge, posted=Posted(planes_PD), terms=terms)
    assert isinstance(fault, OnlyReexecuted)
    assert fault.fault == found(merge, posted=Posted(planes_PD))
    assert f"{rule.name.lower()} is re-executable, but no proof on chain reaches it" in str(fault)


def test_first_fault__when_no_contract_knows_the_rule__then_what_can_be_proven_comes_first() -> None:
    merge, planes_PD = moved_state(437)
    terms = replace(SMALL.case().terms, merge_rule=MergeRule.MULTI_KRUM)
    accepted = found(merge, posted=Posted(planes_PD), terms=terms, disqualified=frozenset({1}))
    assert isinstance(accepted, FaultyAccepted)
    withheld = found(merge, posted=Posted(), terms=terms)
    assert isinstance(withheld, Withheld)


def test_first_fault__when_the_wrong_state_is_withheld__then_demands_until_the_chunk_is_open() -> None:
    merge, planes_PD = moved_state(437)
    tree, shown = state_tree(planes_PD), dict[int, Opening]()
    demanded = []
    for _ in range(4):
        fault = found(merge, posted=Posted(), shown={(ChunkKind.STATE, ZERO_HASH): shown})
        if not isinstance(fault, Withheld):
            break
        demanded.append(fault.index)
        shown[fault.index] = open_state(planes_PD, tree, fault.index)
    assert isinstance(fault, WrongCoordinate)
    assert fault.coordinate == 437
    assert demanded == [0, 2, 3]


def test_first_fault__when_the_previous_aggregate_differs__then_says_so() -> None:
    plane_D = SMALL.ours().planes_PD[0]
    ours = Ours(np.stack((plane_D, plane_D)), (0, 1))
    planes_PD = ours.planes_PD.copy()
    planes_PD[1, 3] -= 2
    fault = found(SMALL.claim(state_root=state_tree(planes_PD).root), ours=ours, posted=Posted(planes_PD))
    assert isinstance(fault, WrongCoordinate)
    assert (fault.claimed, fault.claimed_previous) == (fault.follows, fault.follows_previous - 2)
    assert "previous aggregate" in str(fault)


def test_first_fault__when_no_seed_was_drawn__then_says_so() -> None:
    assert found(SMALL.claim(), ours=None, undrawn=True) == Undrawn(1)


def test_first_fault__when_a_disqualified_update_is_accepted__then_names_it() -> None:
    root = SMALL.updates[1].revealed.update_root
    assert found(SMALL.claim(), disqualified=frozenset({1})) == FaultyAccepted(1, 1, root)


def test_first_fault__when_an_accepted_update_leaves_the_grid__then_names_the_chunk() -> None:
    update_D = update_of(1)
    update_D[300] = -32768
    small = Small((SMALL.updates[0], seen(1, update_D)))
    fault = first_fault(small.case())
    assert isinstance(fault, FaultyLeaf)
    assert (fault.update, fault.chunk) == (1, 2)
    assert "-32768" in str(fault)


def lying(chunk: int) -> SeenUpdate:
    """An update whose tree claims less at one chunk than its squares add up to."""
    update_D = update_of(1)
    honest = known(seen(1, update_D))
    sums = [one - (7 if number == chunk else 0) for number, one in enumerate(honest.sums)]
    tree = SumTree(leaf_hashes(Tag.UPDATE, update_D.data, CHUNK * 2), sums)
    return seen(1, update_D, Hash32(tree.root))


def test_first_fault__when_an_accepted_update_lies_about_a_norm__then_names_the_chunk_and_both_sums() -> None:
    small = Small((SMALL.updates[0], lying(3)))
    fault = first_fault(small.case())
    assert isinstance(fault, FaultyLeaf)
    assert (fault.chunk, fault.claimed) == (3, fault.follows - 7)


def test_first_fault__when_a_good_update_is_rejected_for_its_norm__then_names_it() -> None:
    merge = SMALL.claim(rejected=0b10, reasons=reasons((Reason.WRONG_NORM, 2)))
    fault = found(merge, pay=Pay((), (), {}, None))
    assert fault == WrongRejection(1, 1, Reason.WRONG_NORM, "wrong-norm", 2)


@pytest.mark.parametrize(("code", "chunk"), [(0, 0), (12, 0), (255, 3), (Reason.OUT_OF_RANGE, 5)])
def test_first_fault__when_a_reason_means_nothing__then_it_is_a_fault(code: int, chunk: int) -> None:
    fault = found(SMALL.claim(rejected=0b10, reasons=reasons((code, chunk))))
    assert isinstance(fault, WrongRejection)
    assert (fault.code, fault.chunk) == (code, chunk)


@pytest.mark.parametrize("code", [code for code in Reason if code not in JUDGED])
def test_first_fault__when_a_reason_is_about_a_file_or_a_whole_update__then_nobody_can_judge_it(code: Reason) -> None:
    merge = SMALL.claim(rejected=0b10, reasons=reasons(code), paid=Wei(0))
    assert found(merge, pay=Pay(payouts(150, 150), (), {}, None)) is None


def test_first_fault__when_a_lying_update_is_rejected_for_it__then_all_is_right() -> None:
    small = Small((SMALL.updates[0], lying(3)))
    merge = small.claim(rejected=0b10, reasons=reasons((Reason.WRONG_NORM, 3)))
    assert first_fault(small.case(merge)) is None


def test_first_fault__when_the_wrong_chunk_of_a_lying_update_is_named__then_it_is_a_fault() -> None:
    small = Small((SMALL.updates[0], lying(3)))
    merge = small.claim(rejected=0b10, reasons=reasons((Reason.WRONG_NORM, 2)))
    assert isinstance(first_fault(small.case(merge)), WrongRejection)


def test_first_fault__when_it_pays_too_little__then_names_both_amounts() -> None:
    assert found(SMALL.claim(paid=Wei(299))) == WrongPaid(1, Wei(299), Wei(300))


def test_first_fault__when_a_provider_has_no_leaf__then_names_its_seat() -> None:
    pay = Pay(payouts(150), (), {0: 150, 1: 150}, None)
    fault = found(SMALL.claim(payout_leaves=1), pay=pay)
    assert fault == WrongPaid(1, Wei(300), Wei(300), uncovered=1)


def test_first_fault__when_a_leaf_of_the_tree_before_is_gone__then_names_its_seat() -> None:
    before = merged(1, 10, payout_leaves=3)
    fault = found(SMALL.claim(), previous=before)
    assert fault == WrongPaid(1, Wei(300), Wei(300), uncovered=2)


def wrong_payouts() -> tuple[Merged, list[Any]]:
    posted = payouts(149, 151)
    return SMALL.claim(payout_root=payout_root(payout_tree(posted))), posted


def test_first_fault__when_one_wei_moved__then_names_the_first_of_both_members() -> None:
    merge, posted = wrong_payouts()
    fault = found(merge, pay=Pay(payouts(150, 150), (), {0: 150, 1: 150}, posted))
    assert fault == WrongPayout(1, 0, FIRST, Wei(149), Wei(150))


def test_first_fault__when_the_payouts_are_withheld__then_demands_their_leaves() -> None:
    merge, posted = wrong_payouts()
    assert found(merge) == Withheld(1, ChunkKind.PAYOUT, ZERO_HASH, 0)
    tree = payout_tree(posted)
    shown: Shown = {(ChunkKind.PAYOUT, ZERO_HASH): {0: open_payout(posted, tree, 0), 1: open_payout(posted, tree, 1)}}
    assert found(merge, shown=shown) == WrongPayout(1, 1, SECOND, Wei(151), Wei(150))


def without_file(index: int) -> tuple[SeenUpdate, ...]:
    return tuple(replace(one, committed=None) if one.revealed.index == index else one for one in SMALL.updates)


def test_first_fault__when_an_accepted_update_cannot_be_had__then_demands_its_chunks_in_turn() -> None:
    root = SMALL.updates[1].revealed.update_root
    given: dict[str, Any] = {"ours": None, "updates": without_file(1)}
    assert found(SMALL.claim(), **given) == Withheld(1, ChunkKind.UPDATE, root, 0)
    opened = open_update(known(SMALL.updates[1]), 0)
    answer = Opening(opened.opening.content + opened.sum.to_bytes(8, "big"), opened.opening.siblings)
    shown: Shown = {(ChunkKind.UPDATE, root): {0: answer}}
    assert found(SMALL.claim(), **given, shown=shown) == Withheld(1, ChunkKind.UPDATE, root, 1)


def test_first_fault__when_a_shown_chunk_lies__then_the_update_is_faulty() -> None:
    opened = open_update(known(SMALL.updates[1]), 0)
    answer = Opening(opened.opening.content + (opened.sum + 1).to_bytes(8, "big"), opened.opening.siblings)
    shown: Shown = {(ChunkKind.UPDATE, SMALL.updates[1].revealed.update_root): {0: answer}}
    fault = found(SMALL.claim(), ours=None, updates=without_file(1), shown=shown)
    assert isinstance(fault, FaultyLeaf)
    assert fault.claimed == fault.follows + 1


# --- clipping ---

DISTANCES = np.arange(20, dtype=np.uint64).reshape(4, 5)
SCALES = (65536, 65536, 40000, 30000)


def clip_case(scales: tuple[int, ...], distances_PC: Any, has_file: bool = True, **changes: Any) -> Case:
    """A merge that clips as given, where `SCALES` and `DISTANCES` follow."""
    right, _ = clipped(SCALES, DISTANCES)
    posted, hashes = clipped(scales, distances_PC)
    ours = replace(SMALL.ours(), clipping=right)
    given = Posted(ours.planes_PD, None, None)
    if has_file:
        given = Posted(ours.planes_PD, clip_of(posted), posted)
    return SMALL.case(SMALL.claim(**hashes), ours=ours, posted=given, **changes)


def other_distance(pair: int, chunk: int) -> Any:
    changed = DISTANCES.copy()
    changed[pair, chunk] += 1
    return changed


def test_first_fault__when_it_clips_right__then_finds_nothing() -> None:
    assert first_fault(clip_case(SCALES, DISTANCES)) is None


def test_first_fault__when_a_scale_is_off_by_one__then_names_it() -> None:
    assert first_fault(clip_case((65536, 65536, 40001, 30000), DISTANCES)) == WrongScale(1, 2, 40001, 40000)


def test_first_fault__when_there_are_too_few_scales__then_says_so() -> None:
    assert first_fault(clip_case(SCALES[:3], DISTANCES[:3])) == WrongScale(1, 0, None, 4)


def test_first_fault__when_a_distance_is_off_by_one__then_names_its_chunk() -> None:
    assert first_fault(clip_case(SCALES, other_distance(1, 3))) == WrongDistance(1, 1, 3, 9, 8)


def test_first_fault__when_a_scale_follows_from_a_wrong_distance__then_the_distance_is_the_fault() -> None:
    assert isinstance(first_fault(clip_case((65536, 65535, 40000, 30000), other_distance(1, 3))), WrongDistance)


def test_first_fault__when_the_clip_file_is_withheld__then_demands_it_and_then_the_distances() -> None:
    wrong = other_distance(1, 3)
    posted = Clipping(SCALES, wrong)
    trees = posted.trees()
    assert first_fault(clip_case(SCALES, wrong, has_file=False)) == Withheld(1, ChunkKind.CLIP, ZERO_HASH, 0)
    whole = clip_of(posted)
    shown: dict[Any, Any] = {(ChunkKind.CLIP, ZERO_HASH): {0: Opening(whole.scales, whole.distances)}}
    demanded = []
    for _ in range(5):
        fault = first_fault(clip_case(SCALES, wrong, has_file=False, shown=shown))
        if not isinstance(fault, Withheld):
            break
        assert (fault.kind, fault.key) == (ChunkKind.DISTANCE, pair_key(1))
        demanded.append(fault.index)
        opened = open_distance([int(one) for one in wrong[1]], trees[1], fault.index)
        answer = Opening(opened.content + whole.distances, opened.siblings)
        shown.setdefault((ChunkKind.DISTANCE, pair_key(1)), {})[fault.index] = answer
    assert fault == WrongDistance(1, 1, 3, 9, 8)
    assert demanded == [0, 2, 3]


def test_fault__when_shown__then_each_is_one_sentence_that_names_its_round() -> None:
    root = keccak(b"root")
    faults: list[Fault] = [
        WrongCoordinate(3, 1, "a[0]", 1, 2),
        WrongRejection(3, 0, 5, "wrong-norm", 1),
        FaultyAccepted(3, 0, root),
        FaultyLeaf(3, 0, root, 1, 2, 3),
        WrongPayout(3, 0, ALICE, Wei(1), Wei(2)),
        WrongPayout(3, 0, ALICE, Wei(1), Wei(1), stray=True),
        WrongPaid(3, Wei(1), Wei(2)),
        WrongPaid(3, Wei(1), Wei(1), uncovered=2),
        WrongScale(3, 0, 1, 2),
        WrongScale(3, 0, None, 2),
        WrongDistance(3, 0, 1, 2, 3),
        WrongDistance(3, 0, 1, 2, 2, stray=True),
        Undrawn(3),
        Withheld(3, ChunkKind.UPDATE, root, 1),
    ]
    for fault in faults:
        assert str(fault).startswith("Round 3")
        assert str(fault).endswith(".")
        assert "\n" not in str(fault)
