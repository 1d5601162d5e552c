"""Members that lie, and what they can't reach: a wrong sum, or somebody's update."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ledger.keccak import keccak
from node.masking.errors import BadShares, BadUnmasking, NotUnmaskable
from node.masking.key_leaf import SELF
from node.masking.recovery import Recovered, recover
from node.masking.shares import Transfer, open_bundle
from node.masking.unmasking import Lists, Released, decode_released, lists_of, release
from tests.masked_group import CONTEXT, MaskedGroup, group_with, member_of, member_secrets

pytestmark = pytest.mark.unit

EIGHT = tuple(range(8))


@pytest.fixture(scope="module")
def world() -> MaskedGroup:
    """Eight members, threshold 5."""
    return MaskedGroup(group_with(EIGHT, 5))


def recovered_from(world: MaskedGroup, lists: Lists, released: list[Released]) -> Recovered:
    leaves = {index: file.leaf for index, (file, _) in world.files(lists.revealed).items()}
    return recover(world.group, lists, leaves, released)


def spoilt(one: Released) -> Released:
    return Released(one.holder, {place: keccak(share) for place, share in one.shares.items()})


def test_lists_of__when_too_few_revealed__then_nothing_is_released(world: MaskedGroup) -> None:
    for revealed in ((), (3,), (0, 1, 2, 3)):
        with pytest.raises(NotUnmaskable, match=f"{len(revealed)} of its 8 members revealed, 5 are needed"):
            lists_of(world.group, revealed)
    assert lists_of(world.group, (7, 1, 2, 3, 4)) == Lists((1, 2, 3, 4, 7), (0, 5, 6))


def test_release__when_some_dropped__then_never_both_kinds_for_one_mask(world: MaskedGroup) -> None:
    lists = lists_of(world.group, (0, 1, 2, 4, 5, 6))
    for one in world.released(lists, EIGHT):
        for dealer, slot in one.shares:
            assert dealer in lists.revealed  # never a share of a dropped member's self seed
            peer = None if slot == SELF else world.files([dealer])[dealer][0].leaf.peers[slot][0]
            assert peer is None or peer in lists.dropped  # never one of a seed between two that revealed
        assert len(one.shares) == 6 * 3


def test_release__when_no_bundle_opens__then_nothing_leaves(world: MaskedGroup) -> None:
    lists = lists_of(world.group, EIGHT)
    files = {
        index: (replace(file, sealed=tuple(bytes(len(one)) for one in file.sealed)), root)
        for index, (file, root) in world.files(EIGHT).items()
    }
    assert release(world.seat(3), lists, files).shares == {}


@pytest.mark.parametrize(
    ("liars", "absent"), [((0,), (1,)), ((2,), (0, 1)), ((1, 2), ()), ((0, 4), (3,)), ((0, 1, 2), ())]
)
def test_recover__when_members_release_wrong_shares__then_they_are_found_and_named(
    world: MaskedGroup, liars: tuple[int, ...], absent: tuple[int, ...]
) -> None:
    lists = lists_of(world.group, EIGHT)
    live = [index for index in EIGHT if index not in absent]
    released = [spoilt(one) if one.holder in liars else one for one in world.released(lists, live)]
    found = recovered_from(world, lists, released)
    assert found.culprits == liars
    np.testing.assert_array_equal(world.unmasked(lists, world.rows(lists, found)), world.expected(EIGHT))


def test_recover__when_more_lie_than_can_be_left_out__then_refused(world: MaskedGroup) -> None:
    lists = lists_of(world.group, EIGHT)
    released = [spoilt(one) if one.holder in (1, 2, 3) else one for one in world.released(lists, EIGHT[1:])]
    with pytest.raises(NotUnmaskable, match="do not lead to what it committed to"):
        recovered_from(world, lists, released)


def test_recover__when_a_share_is_of_another_round__then_it_counts_as_wrong(world: MaskedGroup) -> None:
    lists = lists_of(world.group, EIGHT)
    later = MaskedGroup(world.group, context=replace(CONTEXT, round=3))
    replayed = [one for one in later.released(lists, EIGHT) if one.holder == 1]
    released = [one for one in world.released(lists, EIGHT) if one.holder not in (0, 1)] + replayed
    found = recovered_from(world, lists, released)
    assert found.culprits == (1,)
    np.testing.assert_array_equal(world.unmasked(lists, world.rows(lists, found)), world.expected(EIGHT))


def test_recover__when_a_stranger_to_the_group_releases__then_ignored(world: MaskedGroup) -> None:
    lists = lists_of(world.group, EIGHT)
    released = world.released(lists, EIGHT[:5])
    strangers = [Released(index, released[0].shares) for index in range(20, 30)]
    assert recovered_from(world, lists, [*strangers, *released]).culprits == ()
    with pytest.raises(NotUnmaskable, match="4 of 5 shares of member 0's self seed were released"):
        recovered_from(world, lists, [*strangers, *released[:4]])


def test_open_bundle__when_moved_or_replayed__then_refused(world: MaskedGroup) -> None:
    file, root = world.files([2])[2]
    right = Transfer(CONTEXT, 2, 5, root)
    sealed = file.sealed[file.leaf.holders.index(5)]
    assert len(open_bundle(sealed, member_secrets(5), member_of(2), right).shares) == 8
    wrong = [
        (replace(right, context=replace(CONTEXT, round=3)), 5, 2),
        (replace(right, context=replace(CONTEXT, opened_in=keccak(b"reorganised"))), 5, 2),
        (replace(right, root=keccak(b"another update")), 5, 2),
        (replace(right, dealer=3), 5, 3),
        (replace(right, holder=6), 6, 2),
        (right, 5, 3),
        (right, 6, 2),
    ]
    for transfer, holder, dealer in wrong:
        with pytest.raises(BadShares, match="did not seal them for"):
            open_bundle(sealed, member_secrets(holder), member_of(dealer), transfer)
    with pytest.raises(BadShares):
        open_bundle(sealed, member_secrets(5), replace(member_of(2), key=bytes(32)), right)


def test_sealed__when_the_same_update_is_sealed_twice__then_no_nonce_repeats(world: MaskedGroup) -> None:
    again = MaskedGroup(world.group)
    assert again.made[2].root == world.made[2].root
    assert not set(again.files([2])[2][0].sealed) & set(world.files([2])[2][0].sealed)


def test_decode_released__when_hostile__then_refused(world: MaskedGroup) -> None:
    released = world.released(lists_of(world.group, EIGHT[:6]), [3])[0]
    data = released.encode()
    assert decode_released(data) == released
    entry = data[16:52]
    for detail, hostile in {
        "less than its header": data[:15],
        "not of version 1": b"FBM2" + data[4:],
        "version 1": data[:8] + b"\1" + data[9:],
        "bytes for": data + b"\0",
        "bytes for 4096": data[:6] + b"\x10\x00" + data[8:],
        "once each": data[:6] + b"\0\2" + data[8:16] + entry + entry,
        "rising member": data[:6] + b"\0\2" + data[8:16] + data[52:88] + entry,
        "listed": data[:19] + b"\1" + data[20:],
    }.items():
        with pytest.raises(BadUnmasking, match=detail):
            decode_released(hostile)
    many = Released(3, {(member, slot): keccak(b"") for member in range(100) for slot in range(14)})
    with pytest.raises(BadUnmasking):
        decode_released(many.encode())
