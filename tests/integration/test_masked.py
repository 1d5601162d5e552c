"""Masked bounties on a real chain: dropouts at every stage, groups that fail, and an aggregator that lies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
import requests
from numpy.typing import NDArray

from ledger.history import rejections
from ledger.keccak import Hash32
from ledger.kubo import IpfsDaemon
from ledger.merge_records import Reason
from ledger.records import Phase
from node.auditor.report import Verdict
from node.connections import open_files, open_ledgers
from node.explorer.server import serving
from node.masking.update import Seat
from node.provider.daemon import ProviderDaemon
from node.provider.local_work import LocalWork
from node.settings import load_settings
from tests.integration import liars
from tests.integration.world import PURSE, WINDOW, Party, World, step, steps

pytestmark = pytest.mark.integration

MEMBERS = 6
SHOWN_SECONDS = 20.0


class Watched(LocalWork):
    """Keeps the plain updates, to look for them in what is published."""

    plain: NDArray[np.int16]

    def _encoded(self, number: int, update_D: NDArray[np.int16], seat: Seat | None) -> tuple[Hash32, bytes]:
        self.plain = update_D.copy()
        return super()._encoded(number, update_D, seat)


def masked(group: int, threshold: int) -> dict[str, Any]:
    return {"privacy": {"mode": "masked"}, "masking": {"group": group, "threshold": threshold}}


class Cast:
    """Six providers that have joined a masked bounty of one round, and committed."""

    def __init__(
        self,
        world: World,
        group: int,
        threshold: int,
        lie: liars.Lie | None = None,
        ipfs: IpfsDaemon | None = None,
    ) -> None:
        self.world = world
        self.owner, self.merger = world.party("owner", ipfs), world.party("merger", ipfs)
        self.earlier = set(self.owner.store.pinned())
        sizes = {"rounds": 1, "min_updates": MEMBERS - 1, "max_updates": MEMBERS}
        self.bounty = world.post(self.owner, self.merger, masked(group, threshold), **sizes)
        self.parties: list[Party] = [world.party(f"p{number}", ipfs) for number in range(MEMBERS)]
        self.daemons: list[ProviderDaemon] = []
        for number, party in enumerate(self.parties):
            daemon = world.provider(party, self.bounty, number)
            daemon._setup.work.__class__ = Watched
            self.daemons.append(daemon)
        for daemon in self.daemons:
            steps(daemon, "Join")
        work = world.merge_work(self.merger, self.bounty)
        self.aggregator = world.aggregator(self.merger, self.bounty, liars.lying(work, lie) if lie else work)
        steps(self.aggregator, "DepositBond")
        for daemon in self.daemons:
            steps(daemon, "Train", "Commit")

    def reveal(self, places: Sequence[int]) -> None:
        for place in places:
            steps(self.daemons[place], "Reveal")
        if len(places) < MEMBERS:
            self.world.travel(WINDOW)
        assert self.world.phase(self.bounty) == (Phase.MERGE, 1)

    def plain(self, place: int) -> NDArray[np.int16]:
        work = self.daemons[place]._setup.work
        assert isinstance(work, Watched)
        return work.plain

    def published(self) -> list[bytes]:
        """What was pinned since the bounty was posted; the node has other tests' files too."""
        store = self.owner.store
        return [store.fetch(digest, 10**7, 3.0) for digest in set(store.pinned()) - self.earlier]


def mean_of(updates: Sequence[NDArray[np.int16]]) -> NDArray[np.int32]:
    return (256 * sum(one.astype(np.int64) for one in updates) // len(updates)).astype(np.int32)


def state_of(world: World, cast: Cast) -> NDArray[np.int32]:
    return world.files(cast.merger).state(world.merged(cast.bounty, 1), world.terms(cast.bounty))[0]


def groups_shown(world: World, cast: Cast) -> dict[str, int]:
    """Each provider's group, as the explorer's page of the round has it."""
    reader = world.party("reader")
    ledgers = open_ledgers(load_settings(reader.config))
    files = open_files(ledgers.settings, reader.store)
    row = re.compile(r'title="(0x\w{40})">[^<]*</a></th>\s*<td class="num">(\d+)</td>')
    deadline = monotonic() + SHOWN_SECONDS
    with closing(ledgers.chain), serving(ledgers, files, 0) as address:
        while True:  # until the manifest came from IPFS
            page = requests.get(f"{address}bounty/{cast.bounty}/round/1", timeout=SHOWN_SECONDS).text
            found = {who: int(number) for who, number in row.findall(page)}
            if found or monotonic() > deadline:
                return found
            sleep(0.1)


def test_round__when_one_drops_after_its_commit_and_one_after_its_reveal__then_the_sum_is_merged(world: World) -> None:
    cast = Cast(world, group=6, threshold=4)
    cast.reveal(range(5))
    assert step(cast.aggregator) == ["Gather"]
    for place in range(4):
        steps(cast.daemons[place], "Release")
        assert step(cast.daemons[place]) == []
    assert step(cast.aggregator) == ["Gather"]
    steps(cast.aggregator, "Merge")

    np.testing.assert_array_equal(state_of(world, cast), mean_of([cast.plain(place) for place in range(5)]))
    report = world.audit(world.party("auditor"), cast.bounty)
    assert report.verdict == Verdict.OK, report.all_differences
    assert [(one.accepted, one.rejected) for one in report.rounds] == [(5, 0)]
    for data in cast.published():
        for place in range(MEMBERS):
            plain = cast.plain(place)
            assert plain.any()
            for written in (plain, plain.astype(np.int32)):
                assert written.tobytes()[:60] not in data
    world.play(cast.bounty, [cast.aggregator, *cast.daemons])
    pot, forfeit = world.terms(cast.bounty).pot, world.terms(cast.bounty).forfeit
    assert [world.balance(party) for party in cast.parties] == [*[PURSE + pot // 5] * 5, PURSE - forfeit]
    assert world.balance(world.market.address) == 0


def test_round__when_a_group_loses_too_many__then_it_is_left_out_whole_and_the_other_is_merged(world: World) -> None:
    cast = Cast(world, group=3, threshold=2)
    groups = {
        tuple(cast.daemons[place].observe().masked.seat.group.indices)  # type: ignore[union-attr]
        for place in range(MEMBERS)
    }
    assert sorted(index for group in groups for index in group) == list(range(MEMBERS))
    (lost, kept) = sorted(groups)
    cast.reveal(range(MEMBERS))
    for place in (*kept, lost[0]):
        steps(cast.daemons[place], "Release")
    assert step(cast.aggregator) == ["Gather"]
    assert step(cast.aggregator) == ["Gather"], "the shares of the others may still come"
    world.travel(WINDOW // 2)
    steps(cast.aggregator, "Merge")

    np.testing.assert_array_equal(state_of(world, cast), mean_of([cast.plain(place) for place in kept]))
    one = world.history(cast.bounty).rounds[1]
    assert one.merged is not None
    left_out = {shown.provider: given for shown, given in rejections(one.merged, one.reveals)}
    assert set(left_out) == {cast.parties[place].address for place in lost}
    assert {given.code for given in left_out.values()} == {Reason.UNMASKABLE}
    shown = groups_shown(world, cast)
    assert len({shown[cast.parties[place].address] for place in lost}) == 1
    assert len({shown[cast.parties[place].address] for place in kept}) == 1
    assert set(shown.values()) == {1, 2}
    report = world.audit(world.party("auditor"), cast.bounty)
    assert report.verdict == Verdict.OK, report.all_differences
    world.play(cast.bounty, [cast.aggregator, *cast.daemons])
    paid = one.merged.claim.paid // 3
    earned = [paid if place in kept else 0 for place in range(MEMBERS)]
    assert [world.balance(party) for party in cast.parties] == [PURSE + pay for pay in earned]
    assert paid > 0


def test_audit__when_the_aggregator_of_a_masked_round_lies__then_it_is_found(world: World) -> None:
    cast = Cast(world, group=6, threshold=4, lie=liars.one_unit)
    cast.reveal(range(MEMBERS))
    for daemon in cast.daemons:
        steps(daemon, "Release")
    assert step(cast.aggregator) == ["Gather"]
    steps(cast.aggregator, "Merge")
    report = world.audit(world.party("auditor"), cast.bounty)
    assert report.verdict == Verdict.WRONG
    (wrong,) = report.all_differences
    assert (wrong.what, wrong.coordinate) == ("state", 6)


def test_bounty__when_a_round_lapses__then_the_next_one_is_opened_so_that_its_groups_are_drawn(world: World) -> None:
    owner, merger = world.party("owner"), world.party("merger")
    sizes = {"rounds": 2, "min_updates": 3, "max_updates": 3}
    bounty = world.post(owner, merger, masked(group=3, threshold=2), **sizes)
    parties = [world.party(f"p{number}") for number in range(3)]
    daemons = [world.provider(party, bounty, number) for number, party in enumerate(parties)]
    for daemon in daemons:
        steps(daemon, "Join")
    aggregator = world.aggregator(merger, bounty)
    steps(aggregator, "DepositBond")
    for daemon in daemons:
        steps(daemon, "Train", "Commit")
    steps(daemons[0], "Reveal")
    world.travel(WINDOW)
    assert world.phase(bounty) == (Phase.COMMIT, 2)
    assert 2 not in world.history(bounty).rounds
    steps(daemons[0], "OpenRound", "Train", "Commit")
    world.play(bounty, [*daemons, aggregator])
    report = world.audit(world.party("auditor"), bounty)
    assert report.verdict == Verdict.OK, report.all_differences
    assert [(one.state, one.accepted) for one in report.rounds] == [("lapsed", 0), ("merged", 3)]
    assert world.balance(world.market.address) == 0
