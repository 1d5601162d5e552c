"""A masked round from its events: groups, what can be unmasked, and an audit of what a merge made of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from ledger.cid import Digest, to_cid
from ledger.commitments import CHUNK
from ledger.content import ContentStore
from ledger.errors import ContentUnavailable
from ledger.history import build_history
from ledger.keccak import keccak
from ledger.mask_board import Announced
from ledger.merge_records import Reason
from ledger.records import Address, Event, Left, Merged, PrivacyMode, Revealed, Terms, Timestamp
from ledger.unixfs import digest_of
from node.aggregator.unmasking import MOST_ANNOUNCED, SHARES_SECONDS, MaskSource, Unmasking
from node.auditor.masked import MaskedJudge
from node.bounty_files import Artefacts, BountyFiles
from node.manifest import Manifest, manifest_from
from node.masked_rounds import (
    Candidate,
    MaskedRound,
    Unmasked,
    accept_groups,
    candidates,
    masked_round,
    merge_masked,
    opening_block,
    sums_of,
    unmask_groups,
)
from node.masked_updates import VerifiedMasked, check_masked
from node.masking.files import decode_masked
from node.masking.groups import group_of
from node.masking.table import encode_table
from node.masking.unmasking import release
from node.masking.update import MaskedUpdate, Seat, mask_update
from node.verification import Rejection
from tests import builders as make
from tests.masked_group import member_secrets
from tests.node import samples

pytestmark = pytest.mark.unit

PLACE = (31337, make.OWNER)
OPENED_IN = keccak(b"opening block")
MEMBERS = 6
BEFORE_PD = np.zeros((1, CHUNK), dtype=np.int32)


def manifest() -> Manifest:
    sections = {"privacy": {"mode": "masked"}, "masking": {"group": 3, "threshold": 2}}
    return manifest_from({**samples.manifest().model_dump(exclude_none=True), **sections})


def account(index: int) -> Address:
    return Address("0x" + f"{index + 16:02x}" * 20)


def joins(index: int, block: int = 2) -> Event:
    key = member_secrets(index).exchange_key.public_key().public_bytes_raw()
    return replace(make.joined(account(index), index, block), encryption_key=key)


@dataclass
class Case:
    """Six members in two groups of three, all of whom revealed; a folder with what is on IPFS."""

    folder: Path
    terms: Terms = field(default_factory=lambda: make.terms(chunks=1, privacy=PrivacyMode.MASKED, max_updates=8))
    plain: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        posted = replace(make.posted(), terms=self.terms)
        self.events: list[Event] = [posted, *(joins(index) for index in range(MEMBERS)), make.opened(1, 5)]
        self.masked = self.round()
        rng = np.random.default_rng(3)
        self.made: list[MaskedUpdate] = []
        for index in range(MEMBERS):
            self.plain[index] = rng.integers(-500, 500, CHUNK).astype(np.int16)
            self.made.append(mask_update(self.plain[index], self.seat(index)))
        self.reveals = [self.revealed(index, self.made[index]) for index in range(MEMBERS)]
        self.events += [make.committed(account(index), 1, 6) for index in range(MEMBERS)]

    def round(self) -> MaskedRound:
        section = manifest().masking
        assert section is not None
        return masked_round(build_history(self.events), 1, PLACE, OPENED_IN, section)

    def seat(self, index: int) -> Seat:
        place = group_of(self.masked.groups, index)
        assert place is not None
        return Seat(self.masked.context, place[1], index, member_secrets(index))

    def revealed(self, index: int, made: MaskedUpdate) -> Revealed:
        cid = digest_of(made.data)
        (self.folder / to_cid(cid)).write_bytes(made.data)
        return replace(make.revealed(account(index), 1, index, 7), update_root=made.root, cid=cid, squared_norm=0)

    def check(self, revealed: Revealed) -> VerifiedMasked | Rejection:
        return check_masked(self.folder / to_cid(revealed.cid), revealed, 1)

    def checked(self) -> list[VerifiedMasked | Rejection]:
        return [self.check(one) for one in self.reveals]

    def without(self, index: int, reason: Reason = Reason.UNAVAILABLE) -> list[VerifiedMasked | Rejection]:
        one = Rejection(self.reveals[index], reason, "gone")
        return [*self.checked()[:index], one, *self.checked()[index + 1 :]]

    def released(self, found: list[Candidate]) -> list:
        files = {index: (decode_masked(self.made[index].data, 1), self.made[index].root) for index in range(MEMBERS)}
        return [release(self.seat(index), one.lists, files) for one in found for index in one.lists.revealed]

    def unmasked(self) -> Unmasked:
        found, rejections = candidates(self.masked, self.checked())
        return accept_groups(self.terms, unmask_groups(found, self.released(found)), rejections)

    def fetch_to(self, digest: Digest, path: Path, max_bytes: int, timeout_s: float) -> None:
        source = self.folder / to_cid(digest)
        if not source.exists():
            raise ContentUnavailable(to_cid(digest), timeout_s)
        path.write_bytes(source.read_bytes())

    def pin(self, digest: Digest) -> None:
        assert (self.folder / to_cid(digest)).exists()

    def publish(self, data: bytes) -> Digest:
        digest = digest_of(data)
        (self.folder / to_cid(digest)).write_bytes(data)
        return digest

    def judge(self, cache: Path) -> MaskedJudge:
        history = build_history([*self.events, *self.reveals])
        return MaskedJudge(Artefacts(self, cache, 1.0), history, manifest(), PLACE, lambda block: OPENED_IN)

    def merge(self, table: bytes, **changes: object) -> Merged:
        claim = {"scales_hash": keccak(table), "clip_cid": self.publish(table), **changes}
        return make.merged(1, 9, reveals=MEMBERS, **claim)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    (tmp_path / "ipfs").mkdir()
    return Case(tmp_path / "ipfs")


def table_of(unmasked: Unmasked) -> bytes:
    return encode_table([unmasked.rows[index] for index in sorted(unmasked.rows)])


def test_masked_round__when_members_come_go_or_have_bad_keys__then_only_who_was_there_is_grouped(case: Case) -> None:
    bad = replace(make.joined(account(7), 7, 3), encryption_key=bytes(32))
    left = Left(make.at(4), make.BOUNTY, account(6), Timestamp(0))
    same_block, late = joins(8, block=5), joins(9, block=6)
    events = [case.events[0], *(joins(index) for index in range(7)), bad, left, make.opened(1, 5), same_block, late]
    case.events = events
    grouped = sorted(index for group in case.round().groups for index in group.indices)
    assert grouped == [0, 1, 2, 3, 4, 5, 8]
    assert opening_block(build_history(events), 1) == 5
    assert opening_block(build_history(events), 2) is None


def test_masked_round__when_the_round_was_opened_by_the_clock_alone__then_refused(case: Case) -> None:
    case.events = case.events[:-7]
    with pytest.raises(ValueError, match="was not opened by a transaction"):
        case.round()


def test_accept_groups__when_all_is_there__then_the_sums_are_exact(case: Case) -> None:
    unmasked = case.unmasked()
    assert (sorted(unmasked.updates), unmasked.rejections, unmasked.missing) == (list(range(MEMBERS)), {}, ())
    rows = [unmasked.rows[index] for index in range(MEMBERS)]
    sums = sums_of([unmasked.updates[index] for index in range(MEMBERS)], rows)
    for number, one in enumerate(sums):
        inside = [index for index in range(MEMBERS) if rows[index].group == number]
        np.testing.assert_array_equal(one.sum_D, sum(case.plain[index].astype(np.int32) for index in inside))
    total = sum(one.astype(np.int64) for one in case.plain.values())
    np.testing.assert_array_equal(merge_masked(case.terms, BEFORE_PD, sums).planes_PD[0], 256 * total // MEMBERS)


def test_accept_groups__when_a_sum_is_longer_than_the_bound__then_its_group_is_left_out(case: Case) -> None:
    case.terms = replace(case.terms, squared_norm_bound=1000)
    unmasked = case.unmasked()
    assert not unmasked.updates
    assert {(one.reason, one.detail) for one in unmasked.rejections.values()} == {
        (Reason.UNMASKABLE, "its sum is longer than 3 updates can be together")
    }


def test_candidates__when_one_file_is_bad__then_its_group_is_left_out_whole(case: Case) -> None:
    (group,) = [one for one in case.masked.groups if 2 in one.indices]
    found, rejections = candidates(case.masked, case.without(2, Reason.WRONG_ROOT))
    assert [one.group for one in found] == [one for one in case.masked.groups if one != group]
    assert {index: one.reason for index, one in rejections.items()} == {
        index: Reason.WRONG_ROOT if index == 2 else Reason.UNMASKABLE for index in group.indices
    }
    assert rejections[min(set(group.indices) - {2})].detail == "update 2 of its group is wrong-root"


def test_candidates__when_too_few_revealed__then_nobody_may_release(case: Case) -> None:
    (group,) = [one for one in case.masked.groups if 0 in one.indices]
    alone = [one for one in case.checked() if one.revealed.index == 0]
    found, rejections = candidates(case.masked, alone)
    assert (found, rejections[0].reason) == ([], Reason.UNMASKABLE)
    assert rejections[0].detail == f"1 of its {len(group.members)} members revealed, 2 are needed"


def test_candidates__when_an_update_is_of_other_groups__then_it_is_malformed(case: Case) -> None:
    (other,) = [one for one in case.masked.groups if 0 not in one.indices]
    (own,) = [one for one in case.seat(0).group.members if one.index == 0]
    moved = replace(other, members=(own, *other.members[1:]))
    made = mask_update(case.plain[0], Seat(case.masked.context, moved, 0, member_secrets(0)))
    case.reveals[0] = case.revealed(0, made)
    _, rejections = candidates(case.masked, case.checked())
    assert (rejections[0].reason, rejections[0].detail) == (
        Reason.MALFORMED,
        "its key leaf names other members than those of its group",
    )


def test_candidates__when_a_late_joiner_reveals__then_it_is_in_no_group(case: Case) -> None:
    stranger = replace(case.reveals[0], provider=account(40), index=6)
    _, rejections = candidates(case.masked, [*case.checked(), case.check(stranger)])
    assert {index: one.detail for index, one in rejections.items()} == {6: "its provider is in no group of the round"}


def test_check_masked__when_the_file_is_wrong__then_the_reason_says_how(case: Case) -> None:
    revealed, path = case.reveals[0], case.folder / to_cid(case.reveals[0].cid)
    data = path.read_bytes()
    for reason, hostile in (
        (Reason.WRONG_LENGTH, b""),
        (Reason.WRONG_LENGTH, data[:-1]),
        (Reason.MALFORMED, b"FBU2" + data[4:]),
        (Reason.WRONG_ROOT, data[:20] + bytes((data[20] ^ 1,)) + data[21:]),
    ):
        path.write_bytes(hostile)
        found = case.check(revealed)
        assert isinstance(found, Rejection)
        assert found.reason == reason


class Files(BountyFiles):
    """A case's folder, published on and read from without a network."""

    def __init__(self, case: Case, cache: Path) -> None:
        Artefacts.__init__(self, case, cache, 1.0)
        self.store = cast(ContentStore, case)

    def publish(self, data: bytes) -> Digest:
        return cast(Case, self.store).publish(data)


def test_merge__when_members_announce_rubbish_too__then_their_last_right_files_count(
    case: Case, tmp_path: Path
) -> None:
    found, _ = candidates(case.masked, case.checked())
    right = {one.holder: one.encode() for one in case.released(found)}
    lost, kept = (group.indices for group in case.masked.groups)
    said = [(account(90), right[lost[0]])]  # a stranger repeats a member's file
    said += [(account(index), right[index]) for index in (*lost[1:], *kept)]
    said += [(account(lost[1]), b"rubbish %d" % number) for number in range(3)]  # its own is not among its last three
    said += [(account(kept[0]), right[kept[1]]), (account(kept[0]), b"rubbish")]
    announced = [Announced(make.at(8, place), who, case.publish(data)) for place, (who, data) in enumerate(said)]
    source = MaskSource(PLACE, lambda block: OPENED_IN, lambda number: announced)
    work = Unmasking(Files(case, tmp_path / "cache"), case.terms, manifest(), source)
    history = build_history([*case.events, *case.reveals])
    work.gather(history, 1)
    assert not work.is_complete(1), "another share may still come"
    made = work.merge(history, 1, BEFORE_PD)
    assert {index: one.reason for index, one in made.rejections.items()} == dict.fromkeys(lost, Reason.UNMASKABLE)
    assert "1 of 2 shares of member" in made.rejections[lost[0]].detail
    total = sum(case.plain[index].astype(np.int64) for index in kept)
    np.testing.assert_array_equal(made.merged.planes_PD[0], 256 * total // len(kept))

    announced.append(Announced(make.at(9), account(lost[1]), case.publish(right[lost[1]])))
    work.gather(history, 1)
    assert work.is_complete(1)
    assert work.merge(history, 1, BEFORE_PD).rejections == {}


def test_merge__when_members_announce_what_nobody_has__then_it_is_waited_for_once_and_not_for_long(
    case: Case, tmp_path: Path
) -> None:
    waited: list[float] = []

    class Patient(Files):
        def file(self, digest: Digest, max_bytes: int, most_seconds: float = 60.0) -> Path:
            if digest == nowhere:
                waited.append(most_seconds)
            return super().file(digest, max_bytes, most_seconds)

    nowhere = Digest(make.word("nowhere"))
    announced = [Announced(make.at(8, place), account(place % MEMBERS), nowhere) for place in range(9 * MEMBERS)]
    source = MaskSource(PLACE, lambda block: OPENED_IN, lambda number: announced)
    work = Unmasking(Patient(case, tmp_path / "cache"), case.terms, manifest(), source)
    history = build_history([*case.events, *case.reveals])
    work.gather(history, 1)
    assert len(work.merge(history, 1, BEFORE_PD).rejections) == MEMBERS
    assert waited == [SHARES_SECONDS] * (MOST_ANNOUNCED * MEMBERS)


def test_merge__when_a_verified_root_is_revealed_by_another__then_it_is_looked_at_anew(
    case: Case, tmp_path: Path
) -> None:
    source = MaskSource(PLACE, lambda block: OPENED_IN, lambda number: [])
    work = Unmasking(Files(case, tmp_path / "cache"), case.terms, manifest(), source)
    work.gather(build_history([*case.events, *case.reveals]), 1)
    first, second, *rest = case.reveals
    swapped = [replace(first, provider=second.provider), replace(second, provider=first.provider), *rest]
    made = work.merge(build_history([*case.events, *swapped]), 1, BEFORE_PD)
    assert [made.rejections[index].reason for index in (0, 1)] == [Reason.MALFORMED] * 2
    assert all(made.rejections[index].revealed == swapped[index] for index in made.rejections)


def test_judge__when_the_merge_is_right__then_the_same_state_follows(case: Case, tmp_path: Path) -> None:
    unmasked = case.unmasked()
    merged = case.merge(table_of(unmasked))
    judge = case.judge(tmp_path / "cache")
    checked = case.checked()
    assert judge.rejections(merged, checked) == []
    assert judge.groups(merged) == 2
    again = judge.merge(merged, [one for one in checked if isinstance(one, VerifiedMasked)], BEFORE_PD)
    assert (again.differences, again.missing) == ((), ())
    total = sum(one.astype(np.int64) for one in case.plain.values())
    assert again.merged is not None
    np.testing.assert_array_equal(again.merged.planes_PD[0], 256 * total // MEMBERS)


def test_judge__when_the_table_lies__then_the_masks_are_not_taken_off(case: Case, tmp_path: Path) -> None:
    table = table_of(case.unmasked())
    updates = [one for one in case.checked() if isinstance(one, VerifiedMasked)]
    judge = case.judge(tmp_path / "cache")
    lies = {
        "seeds its own is not the committed one": case.merge(table[:-32] + keccak(b"another seed")),
        "a table of 6 updates": case.merge(table[:-1]),
        "0x": case.merge(table, scales_hash=keccak(b"another table")),
    }
    for expected, merged in lies.items():
        again = judge.merge(merged, updates, BEFORE_PD)
        assert again.merged is None
        (found,) = again.differences
        assert found.what == "mask table"
        assert expected in found.expected
    (found,) = judge.merge(case.merge(table, distances_hash=keccak(b"x")), updates, BEFORE_PD).differences
    assert found.what == "distances"


def test_judge__when_the_table_can_not_be_had__then_its_cid_is_missing(case: Case, tmp_path: Path) -> None:
    merged = case.merge(table_of(case.unmasked()), clip_cid=Digest(keccak(b"nowhere")))
    updates = [one for one in case.checked() if isinstance(one, VerifiedMasked)]
    again = case.judge(tmp_path / "cache").merge(merged, updates, BEFORE_PD)
    assert (again.merged, again.missing) == (None, (to_cid(Digest(keccak(b"nowhere"))),))


def test_judge__when_nothing_was_counted__then_the_table_is_empty_and_the_state_stays(
    case: Case, tmp_path: Path
) -> None:
    merged = case.merge(b"", clip_cid=Digest(bytes(32)))
    again = case.judge(tmp_path / "cache").merge(merged, [], BEFORE_PD)
    assert again.differences == ()
    assert again.merged is not None
    np.testing.assert_array_equal(again.merged.planes_PD, BEFORE_PD)


def test_judge__when_a_group_is_counted_in_part__then_said(case: Case, tmp_path: Path) -> None:
    merged = case.merge(b"", rejected=1, reasons=make.reasons(Reason.UNMASKABLE))
    (found,) = case.judge(tmp_path / "cache").rejections(merged, case.checked())
    assert (found.what, found.update, found.expected) == ("group", 0, "all or none")


def test_judge__when_a_group_with_a_bad_file_is_counted__then_each_of_it_is_named(case: Case, tmp_path: Path) -> None:
    judge = case.judge(tmp_path / "cache")
    (group,) = [one for one in case.masked.groups if 2 in one.indices]
    found = judge.rejections(case.merge(b""), case.without(2, Reason.WRONG_ROOT))
    assert [one.update for one in found] == list(group.indices)
    assert judge.rejections(case.merge(b""), case.without(2)) == [], "it may have been there for whoever merged"
    out = sum(1 << index for index in group.indices)
    reasons = make.reasons(*[Reason.WRONG_ROOT if index == 2 else Reason.UNMASKABLE for index in group.indices])
    merged = case.merge(b"", rejected=out, reasons=reasons)
    assert judge.rejections(merged, case.without(2, Reason.WRONG_ROOT)) == []
    screened = case.merge(b"", rejected=out, reasons=make.reasons(*[Reason.NEGLIGIBLE] * 3))
    assert [one.claimed for one in judge.rejections(screened, case.checked())] == ["negligible"] * 3
