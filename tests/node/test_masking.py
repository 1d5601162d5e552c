"""Masks, key leaves, files, groups, tables and sums: each held to its definition and to what a stranger may send."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.commitments import CHUNK
from ledger.keccak import ZERO_HASH, keccak
from ledger.merge_parameters import MergeParameters
from ledger.records import Address, BountyId, MergeRule
from ledger.trees import node_sum
from node.errors import MalformedUpdate, UpdateFault, WrongLengthUpdate
from node.masking.context import RoundContext
from node.masking.errors import BadTable, NotInGroup
from node.masking.files import decode_masked, encode_masked, masked_file_bytes, masked_tree, most_masked_bytes
from node.masking.groups import MOST_GROUP, Member, draw_groups, group_count, group_of, scaled_threshold
from node.masking.key_leaf import KEY_LEAF_BYTES, SELF, KeyLeaf, decode_key_leaf
from node.masking.masks import BLOCK, WORDS, Mask, apply_masks, chi_square, mask_word, pair_mask
from node.masking.seeds import is_well_formed, pair_seed, self_seed
from node.masking.sums import GroupSum, merge_sum_coordinate, merge_sums
from node.masking.table import TableEntry, TableRow, decode_table, encode_table, table_faults
from node.masking.update import Seat
from node.updates import HEADER, LIMIT
from tests.masked_group import CONTEXT, MaskedGroup, group_with, member_of, member_secrets

pytestmark = pytest.mark.unit

SEED = keccak(b"seed")
SMALL_ORDER = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
RULES = st.sampled_from([MergeRule.MEAN, MergeRule.TRIMMED_MEAN, MergeRule.MEDIAN])


@pytest.fixture(scope="module")
def world() -> MaskedGroup:
    return MaskedGroup(group_with([0, 4, 5, 9]), chunks=3)


# masks


@pytest.mark.parametrize(
    ("key", "block", "stream"),
    [
        # RFC 8439, appendix A.1, the vectors with nonce 0: numbers 1 and 2, 3 and 4
        (bytes(32), 0, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"),
        (bytes(32), 1, "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"),
        (bytes(31) + b"\1", 1, "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a"),
        (b"\0\xff" + bytes(30), 2, "72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca"),
    ],
)
def test_mask_word__when_the_rfc_has_a_vector__then_equals_it(key: bytes, block: int, stream: str) -> None:
    words = [mask_word(key, block * WORDS + word) for word in range(8)]
    assert b"".join(word.to_bytes(4, "little") for word in words).hex() == stream


@given(st.integers(0, 2**32 - 2), st.integers(1, 100), st.booleans())
def test_apply_masks__when_it_starts_anywhere__then_each_coordinate_has_its_own_mask(
    block: int, size: int, is_added: bool
) -> None:
    values_D = np.zeros(size, dtype=np.uint32)
    size = min(size, (2**32 - block) * WORDS)
    apply_masks(values_D[:size], [Mask(SEED, is_added)], block * WORDS)
    sign = 1 if is_added else -1
    assert [int(one) for one in values_D[:size]] == [
        sign * mask_word(SEED, block * WORDS + at) % 2**32 for at in range(size)
    ]


def test_apply_masks__when_there_are_several_blocks__then_the_opposites_take_all_away() -> None:
    before_D = np.random.default_rng(1).integers(0, 2**32, 2 * BLOCK + 48, dtype=np.uint32)
    after_D = before_D.copy()
    masks = [Mask(SEED, True), Mask(keccak(SEED), False), pair_mask(keccak(b"pair"), 3, 7)]
    apply_masks(after_D, masks)
    assert (
        after_D[2 * BLOCK + 5]
        == (
            int(before_D[2 * BLOCK + 5])
            + sum((1 if one.is_added else -1) * mask_word(one.seed, 2 * BLOCK + 5) for one in masks)
        )
        % 2**32
    )
    assert (after_D != before_D).mean() > 0.99
    apply_masks(after_D, [one.opposite for one in masks])
    np.testing.assert_array_equal(after_D, before_D)


def test_apply_masks__when_it_does_not_start_at_a_block__then_refused() -> None:
    with pytest.raises(ValueError, match="coordinate 8 does not begin"):
        apply_masks(np.zeros(8, dtype=np.uint32), [Mask(SEED, True)], 8)


def test_chi_square__when_an_update_is_masked__then_its_bytes_look_random_and_plain_ones_do_not() -> None:
    plain_D = np.random.default_rng(2).integers(-300, 300, 2**16).astype(np.int32)
    masked_D = plain_D.view(np.uint32).copy()
    apply_masks(masked_D, [Mask(SEED, True)])
    assert chi_square(masked_D.tobytes()) < 255 + 113
    assert chi_square(plain_D.tobytes()) > 10_000


def test_mask__when_it_is_printed__then_shows_no_seed() -> None:
    assert SEED.hex() not in repr(Mask(SEED, True))
    assert repr(member_secrets(1)) == "Secrets(***)"


# seeds


def test_pair_seed__when_both_members_derive_it__then_it_is_one_and_of_this_round_alone() -> None:
    ours = pair_seed(member_secrets(4), CONTEXT, 4, (9, member_of(9).key))
    assert ours == pair_seed(member_secrets(9), CONTEXT, 9, (4, member_of(4).key))
    others = [
        pair_seed(member_secrets(4), CONTEXT, 4, (8, member_of(8).key)),
        self_seed(member_secrets(4), CONTEXT, 4),
        *(
            pair_seed(member_secrets(4), other, 4, (9, member_of(9).key))
            for other in (
                replace(CONTEXT, round=3),
                replace(CONTEXT, bounty=BountyId(4)),
                replace(CONTEXT, market=Address("0x" + "2F" * 20)),
                replace(CONTEXT, chain_id=1),
                replace(CONTEXT, opened_in=keccak(b"another block")),
            )
        ),
    ]
    assert len({ours, *others}) == len(others) + 1


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytes(32), SMALL_ORDER, b"\1" + bytes(31)])
def test_is_well_formed__when_a_key_is_malformed__then_its_member_is_in_no_group(key: bytes) -> None:
    assert not is_well_formed(key)
    groups = draw_groups([*(member_of(index) for index in range(4)), Member(4, key)], 5, 3, SEED)
    assert group_of(groups, 4) is None
    assert [group.indices for group in groups] == [(0, 1, 2, 3)]
    with pytest.raises(NotInGroup, match="Member 4 is in no group of round 2"):
        Seat(CONTEXT, groups[0], 4, member_secrets(4))


# groups


@given(st.integers(3, 300), st.integers(3, MOST_GROUP))
def test_group_count__when_members_are_divided__then_sizes_are_allowed_and_near_the_wanted(n: int, size: int) -> None:
    count = group_count(n, size)
    least, most = n // count, -(-n // count)
    assert 3 <= least <= most <= MOST_GROUP
    if n >= size * size:
        assert abs(n / count - size) <= 1
    for members in (least, most):
        for threshold in range(2, size + 1):
            scaled = scaled_threshold(threshold, size, members)
            assert members < 2 * scaled <= 2 * (members - 1) or (members, scaled) == (3, 2)


def test_draw_groups__when_the_opening_block_differs__then_so_do_the_groups() -> None:
    members = [member_of(index) for index in range(20)]
    one, same, other = (
        draw_groups(order, 5, 3, seed) for order, seed in ((members, SEED), (members[::-1], SEED), (members, ZERO_HASH))
    )
    assert one == same != other
    assert sorted(index for group in one for index in group.indices) == list(range(20))
    assert [len(group.members) for group in one] == [5, 5, 5, 5]
    assert draw_groups(members[:2], 5, 3, SEED) == ()


# key leaves and files


def leaf_with(peers: list[int], own: int = 7) -> KeyLeaf:
    return KeyLeaf(own, keccak(b"self"), tuple((peer, keccak(bytes([peer]))) for peer in peers))


def test_key_leaf__when_encoded__then_has_its_size_and_comes_back() -> None:
    leaf = leaf_with([0, 3, 300 % 256, 200])
    assert len(leaf.encode()) == KEY_LEAF_BYTES
    assert decode_key_leaf(leaf.encode()) == leaf
    full = KeyLeaf(7, keccak(b"self"), tuple((100 + peer, keccak(bytes([peer]))) for peer in range(14)))
    assert decode_key_leaf(full.encode()) == full
    with pytest.raises(ValueError, match="no room for 15 peers"):
        replace(full, peers=(*full.peers, (200, SEED))).encode()


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (bytes(511), "has 511 bytes"),
        (leaf_with([]).encode(), "names 0 peers"),
        (leaf_with([3]).encode()[:2] + b"\x0f" + leaf_with([3]).encode()[3:], "names 15 peers"),
        (leaf_with([3]).encode()[:-1] + b"\1", "bytes where zeros belong"),
        (leaf_with([3]).encode()[:3] + b"\1" + leaf_with([3]).encode()[4:], "bytes where zeros belong"),
        (leaf_with([5, 3]).encode(), "by rising member index"),
        (leaf_with([3, 3]).encode(), "by rising member index"),
        (leaf_with([3, 7]).encode(), "by rising member index"),
    ],
)
def test_decode_key_leaf__when_hostile__then_malformed(data: bytes, detail: str) -> None:
    with pytest.raises(MalformedUpdate, match=detail):
        decode_key_leaf(data)


def test_decode_masked__when_a_member_made_it__then_all_comes_back_and_has_the_root(world: MaskedGroup) -> None:
    made = world.made[5]
    file = decode_masked(made.data, world.chunks)
    tree = masked_tree(file.masked_D, file.leaf)
    assert tree.root == made.root
    assert node_sum(tree.root) == 0
    assert len(tree.proof(0)) == 2  # four leaves: the chunks and the key leaf
    assert file.leaf.own == 5
    assert [peer for peer, _ in file.leaf.peers] == [0, 4, 9]
    assert len(made.data) == masked_file_bytes(world.chunks, 3) < most_masked_bytes(world.chunks)
    assert encode_masked(file.masked_D, file.leaf, file.sealed) == made.data
    assert not np.array_equal(file.masked_D.view(np.int32), world.plain[5])


def test_decode_masked__when_hostile__then_a_fault_with_a_reason(world: MaskedGroup) -> None:
    data = world.made[5].data
    length_at = HEADER.size + world.chunks * CHUNK * 4 + KEY_LEAF_BYTES
    hostile = {
        "less than": data[: length_at + 3],
        "FBU1 and codec 1": b"FBU2" + data[4:],
        "and codec 1, as": data[:4] + b"\0" + data[5:],
        "reserved byte": data[:5] + b"\1" + data[6:],
        "counts 4 chunks": data[:8] + b"\4" + data[9:],
        "bytes, not": data + b"\0",
        f"has {len(data)} bytes, not": data[:length_at] + b"\0\0\0\0" + data[length_at + 4 :],
    }
    for detail, one in hostile.items():
        with pytest.raises((MalformedUpdate, WrongLengthUpdate), match=detail):
            decode_masked(one, world.chunks)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_decode_masked__when_any_byte_is_changed__then_a_fault_or_another_update(at: int, value: int) -> None:
    made = MADE
    data = bytearray(made.made[0].data)
    at %= len(data)
    if data[at] == value:
        return
    data[at] = value
    try:
        file = decode_masked(bytes(data), 1)
    except UpdateFault:
        return
    changed = masked_tree(file.masked_D, file.leaf).root != made.made[0].root
    assert changed or at >= HEADER.size + CHUNK * 4 + KEY_LEAF_BYTES + 4


MADE = MaskedGroup(group_with([0, 1, 2]))


# tables


def test_table__when_two_members_dropped__then_all_that_is_needed_comes_back(world: MaskedGroup) -> None:
    lists, recovered = world.recovered([0, 5, 9], [0, 5, 9])
    rows = world.rows(lists, recovered)
    table = encode_table(list(rows.values()))
    assert decode_table(table, 3) == tuple(rows.values())
    assert len(table) == 3 * (2 + 2 * 34)
    leaves = [file.leaf for file, _ in world.files([0, 5, 9]).values()]
    assert table_faults(list(rows.values()), leaves) == []
    np.testing.assert_array_equal(world.unmasked(lists, rows), world.expected([0, 5, 9]))


def test_table_faults__when_a_row_lies__then_says_which(world: MaskedGroup) -> None:
    lists, recovered = world.recovered([0, 5, 9], [0, 5, 9])
    rows = world.rows(lists, recovered)
    leaves = [file.leaf for file, _ in world.files([0, 5, 9]).values()]
    pair, own = rows[5].entries
    lies = {
        "own and those with left out peers": (own,),
        "member 5's masks that with member 4 has the wrong sign": (replace(pair, is_added=True), own),
        "member 5's seeds that with member 4 is not": (replace(pair, seed=SEED), own),
        "member 5's seeds its own is not": (pair, replace(own, seed=SEED)),
        "masks its own has the wrong sign": (pair, replace(own, is_added=False)),
        "listed for member 5": (replace(pair, slot=0), pair, own),
        "the masks listed for member 5": (own, pair),
    }
    for detail, entries in lies.items():
        (fault,) = table_faults([rows[0], TableRow(0, entries), rows[9]], leaves)
        assert detail in fault
    assert "is not of member 0 and its" in table_faults([rows[0], rows[5], replace(rows[9], group=1)], leaves)[0]
    other = MaskedGroup(group_with([20, 21, 22]))
    theirs = other.rows(*other.recovered([20, 21, 22], [20, 21, 22]), number=1)
    both = [*rows.values(), *theirs.values()]
    both_leaves = [*leaves, *(file.leaf for file, _ in other.files([20, 21, 22]).values())]
    assert table_faults(both, both_leaves) == []
    one_number = [replace(row, group=0) for row in both]
    assert "group 0 is not of member 0 and its peers" in table_faults(one_number, both_leaves)
    assert "first appearance" in table_faults([replace(rows[one], group=1) for one in (0, 5, 9)], leaves)[0]


@pytest.mark.parametrize("cut", [1, 34, 35, 71])
def test_decode_table__when_it_is_cut__then_refused(world: MaskedGroup, cut: int) -> None:
    row = TableRow(0, (TableEntry(1, False, SEED), TableEntry(SELF, True, SEED)))
    table = encode_table([row, row])
    with pytest.raises(BadTable):
        decode_table(table[:-cut], 2)
    with pytest.raises(BadTable, match="bytes"):
        decode_table(table, 1)
    with pytest.raises(BadTable, match="neither 0 nor 1"):
        decode_table(table[:3] + b"\2" + table[4:], 2)


# sums


@given(
    RULES,
    st.lists(st.tuples(st.integers(3, 15), st.integers(0, 2**32)), max_size=12),
    st.integers(0, 5),
    st.sampled_from([0, 1, 45875, 65535]),
    st.sampled_from([1, 65536, 2**32 - 1]),
)
def test_merge_sums__when_any_groups_are_merged__then_equals_the_rule_coordinate_by_coordinate(
    rule: MergeRule, groups: list[tuple[int, int]], trim: int, beta: int, eta: int
) -> None:
    parameters = MergeParameters(rule, eta, beta, trim if rule == MergeRule.TRIMMED_MEAN else 0)
    rng = np.random.default_rng(7)
    planes_PD = rng.integers(-(2**31), 2**31, (parameters.planes, 40)).astype(np.int32)
    planes_PD[1:] //= 256
    sums = []
    for members, seed in groups:
        sum_D = np.random.default_rng(seed).integers(-LIMIT * members, LIMIT * members + 1, 40).astype(np.int32)
        sum_D[:4] = (LIMIT * members, -LIMIT * members, 2**31 - 1, -(2**31))
        sums.append(GroupSum(sum_D, members))
    merged_PD = merge_sums(parameters, planes_PD, sums)
    for at in range(40):
        before = planes_PD[:, at].tolist()
        values = [(int(one.sum_D[at]), one.members) for one in sums]
        expected = merge_sum_coordinate(parameters, before[0], before[-1] if len(before) == 2 else 0, values)
        assert merged_PD[:, at].tolist() == list(expected)[: parameters.planes]


def test_merge_sums__when_the_rule_needs_single_updates__then_refused() -> None:
    parameters = MergeParameters(MergeRule.CENTERED_CLIP, 65536, bucket=2, iterations=1, tau=5)
    with pytest.raises(ValueError, match="CENTERED_CLIP can't be used on sums"):
        merge_sums(parameters, np.zeros((2, 128), np.int32), [])


def test_fault__when_a_sum_can_not_be_of_its_members__then_says_why() -> None:
    sum_D = np.full(CHUNK, 3 * LIMIT, dtype=np.int32)
    bound = CHUNK * LIMIT**2
    assert GroupSum(sum_D, 3).fault(bound) == ""
    assert GroupSum(sum_D, 3).fault(bound - 1) == "its sum is longer than 3 updates can be together"
    sum_D[77] = -3 * LIMIT - 1
    assert GroupSum(sum_D, 3).fault(2**60) == "its sum leaves the range of 3 updates"


def test_context__when_one_word_of_it_differs__then_the_groups_are_drawn_anew() -> None:
    contexts = [CONTEXT, replace(CONTEXT, round=1), RoundContext(1, CONTEXT.market, BountyId(3), 2, CONTEXT.opened_in)]
    assert len({one.groups_seed for one in contexts}) == 3
