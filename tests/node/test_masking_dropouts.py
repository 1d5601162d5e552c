"""Secure aggregation with dropouts: the exact sum, or a clean refusal, whoever is away and whenever it went."""

from __future__ import annotations

from functools import cache
from itertools import chain, combinations

import numpy as np
import pytest

from ledger.keccak import keccak
from node.masking.errors import NotUnmaskable
from node.masking.groups import Group, draw_groups
from node.masking.key_leaf import SELF, KeyLeaf
from node.masking.masks import Mask, pair_mask
from node.masking.recovery import Recovered, table_row
from node.masking.shares import combine_shares, split_seed
from node.masking.sums import unmask_sum
from node.masking.unmasking import lists_of
from node.masking.update import Seat, mask_values
from tests.masked_group import CONTEXT, MaskedGroup, group_with, member_of, member_secrets

pytestmark = pytest.mark.unit

EIGHT = tuple(range(3, 11))
THRESHOLD = 5


@cache
def eight() -> MaskedGroup:
    return MaskedGroup(group_with(EIGHT, THRESHOLD))


def survivor_sets() -> list[tuple[int, ...]]:
    return list(chain.from_iterable(combinations(EIGHT, size) for size in range(len(EIGHT) + 1)))


def outcome(world: MaskedGroup, revealed: tuple[int, ...], live: tuple[int, ...]) -> bool:
    """Whether the sum came out, and then exactly; False for a refusal."""
    try:
        lists, recovered = world.recovered(revealed, live)
    except NotUnmaskable:
        return False
    np.testing.assert_array_equal(world.unmasked(lists, world.rows(lists, recovered)), world.expected(revealed))
    return True


def test_unmask__when_any_set_drops_before_its_commit__then_exact_sum_or_refusal() -> None:
    # whoever never committed is away for good: nobody but the survivors releases anything
    for survivors in survivor_sets():
        assert outcome(eight(), survivors, survivors) == (len(survivors) >= THRESHOLD), survivors


def test_unmask__when_any_set_drops_between_commit_and_reveal__then_exact_sum_or_refusal() -> None:
    # they made their masked updates, and are live again when shares are released: what they hold must not hurt
    for survivors in survivor_sets():
        assert outcome(eight(), survivors, EIGHT) == (len(survivors) >= THRESHOLD), survivors


def test_unmask__when_any_set_drops_between_reveal_and_sharing__then_exact_sum_or_refusal() -> None:
    for survivors in survivor_sets():
        assert outcome(eight(), EIGHT, survivors) == (len(survivors) >= THRESHOLD), survivors


def test_unmask__when_some_drop_at_each_stage__then_exact_sum_or_refusal() -> None:
    # one never committed, one did not reveal; of the six that revealed any may be away afterwards
    revealed = EIGHT[2:]
    for size in range(len(revealed) + 1):
        for live in combinations(revealed, size):
            assert outcome(eight(), revealed, live) == (size >= THRESHOLD), live
    # the one that did not reveal helps: five live holders of each seed are enough
    assert outcome(eight(), revealed, (EIGHT[0], *revealed[2:]))


def test_unmask__when_a_hundred_in_groups_of_ten_lose_a_third__then_every_sum_is_exact() -> None:
    rng = np.random.default_rng(5)
    groups = draw_groups([member_of(index) for index in range(100)], 10, 6, CONTEXT.groups_seed)
    assert len(groups) == 10
    for group in groups:
        world = MaskedGroup(group)
        away = rng.choice(group.indices, 3, replace=False).tolist()
        revealed = tuple(index for index in group.indices if index not in away[:2])
        assert outcome(world, revealed, tuple(index for index in revealed if index not in away))


def test_table_row__when_one_group_of_a_hundred_loses_thirty__then_the_sum_is_exact() -> None:
    # a key leaf has room for 14 peers only: what lies below it has no such limit, though sharing takes its time
    group = group_with(range(100), 51)
    dropped = tuple(range(0, 60, 2))
    lists = lists_of(group, [index for index in range(100) if index not in dropped])
    masked, leaves, seeds = [], {}, {}
    for index in lists.revealed:
        own, *pairs = Seat(CONTEXT, group, index, member_secrets(index)).seeds()
        leaves[index] = _leaf(group, index, [own, *pairs])
        others = zip(leaves[index].peers, pairs, strict=True)
        masks = [Mask(own, True), *(pair_mask(seed, index, peer) for (peer, _), seed in others)]
        masked.append(mask_values(np.full(16, index - 50, dtype=np.int16), masks))
        seeds[index, SELF] = own
        for peer in dropped:
            slot = leaves[index].slot_of(peer)
            seeds[index, slot] = pairs[slot]
    shares = split_seed(seeds[99, SELF], group.threshold, 100)
    assert combine_shares({holder + 1: shares[holder] for holder in lists.revealed[:51]}) == seeds[99, SELF]
    rows = [table_row(0, leaves[index], lists, Recovered(seeds)) for index in lists.revealed]
    sum_D = unmask_sum(masked, [entry.removal for row in rows for entry in row.entries])
    np.testing.assert_array_equal(sum_D, np.full(16, sum(index - 50 for index in lists.revealed)))


def _leaf(group: Group, own: int, seeds: list[bytes]) -> KeyLeaf:
    peers = tuple((peer.index, keccak(seed)) for peer, seed in zip(group.peers_of(own), seeds[1:], strict=True))
    return KeyLeaf(own, keccak(seeds[0]), peers)
