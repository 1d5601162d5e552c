"""The mirror against a real chain: reorganised at every phase and depth, interrupted, restarted, confirmed late."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.chain import connect
from ledger.cid import to_cid
from ledger.devnet import DevnetSettings, start_devnet
from ledger.mirror import Mirror, SearchHit, SyncResult, WrongMirror
from ledger.mirror.mirror import NotMirrored
from ledger.records import BountyId, Committed, Joined, Posted, Revealed
from tests import builders as make
from tests.ledger.mirrored import PHASES, Undoable, dump, struct

pytestmark = pytest.mark.chain

DEPTHS = [1, 2, 7, 12]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undoable]:
    """On a devnet of its own: other tests would not like to be undone."""
    folder = tmp_path_factory.mktemp("undoable")
    with start_devnet(folder, DevnetSettings(block_seconds=0, accounts=6)) as devnet:
        chain = connect(devnet.rpc_url)
        yield Undoable(chain, devnet, folder)
        chain.close()


@pytest.fixture(params=PHASES)
def staged(request: pytest.FixtureRequest, market: Undoable) -> Undoable:
    """A bounty in one phase."""
    market.begin(request.param)
    return market


@pytest.fixture
def world(market: Undoable) -> Undoable:
    """A bounty whose first round has a commitment."""
    market.begin("commit")
    return market


@pytest.fixture(scope="module")
def finished(market: Undoable) -> Iterator[Mirror]:
    """A mirror as it was when a bounty, the newest of its market, had ended."""
    market.begin("ended")
    mirror = market.mirror()
    mirror.sync(market.chain)
    yield mirror
    mirror.close()


def assert_same(mirror: Mirror, world: Undoable) -> None:
    """The mirror is what a new one would be, and tells what the chain tells."""
    assert dump(mirror) == world.fresh_dump()
    assert mirror.events() == world.market.events(None)
    assert mirror.head() == world.chain.block()


@pytest.mark.parametrize("depth", DEPTHS)
def test_sync__after_a_reorganisation__then_the_mirror_is_that_of_the_new_chain(depth: int, staged: Undoable) -> None:
    mirror = staged.mirror()
    mirror.sync(staged.chain)
    before = dump(mirror)
    post = (staged.owner, staged.data("post", struct(replace(staged.terms, patience=4))))
    staged.reorganise(depth, [post])
    result = mirror.sync(staged.chain)
    assert result.removed >= depth
    assert not result.restarted
    assert dump(mirror) != before
    assert_same(mirror, staged)
    assert staged.market.events(None)[-1].at.block == staged.chain.block().number - depth + 1
    mirror.close()


@pytest.mark.parametrize("confirmations", [0, 3])
@pytest.mark.parametrize("depth", DEPTHS)
def test_sync__when_reorganised_and_grown_and_shortened__then_as_new(
    depth: int, confirmations: int, world: Undoable
) -> None:
    mirror = world.mirror()
    mirror.sync(world.chain, confirmations=confirmations)
    world.reorganise(depth)
    world.mine(5)
    mirror.sync(world.chain, confirmations=confirmations)
    assert dump(mirror) == world.fresh_dump(confirmations)
    world.ask("anvil_rollback", depth)
    mirror.sync(world.chain, confirmations=confirmations)
    assert dump(mirror) == world.fresh_dump(confirmations)
    head = mirror.head()
    assert head is not None
    assert head.number == world.chain.block().number - confirmations
    mirror.close()


def test_sync__with_confirmations__then_what_is_shallower_is_not_mirrored(world: Undoable) -> None:
    mirror = world.mirror()
    newest = world.chain.block().number
    mirror.sync(world.chain, confirmations=2)
    told = world.market.events(None)
    assert mirror.events() == [event for event in told if event.at.block <= newest - 2]
    assert len(mirror.events()) < len(told)
    world.mine(2)
    mirror.sync(world.chain, confirmations=2)
    assert mirror.events() == told
    mirror.sync(world.chain, confirmations=newest + 100)
    assert (mirror.head(), mirror.events(), mirror.bounties()) == (None, [], [])
    mirror.close()


def test_sync__when_nothing_is_new__then_nothing_is_done(world: Undoable) -> None:
    mirror = world.mirror()
    mirror.sync(world.chain)
    head = world.chain.block().number
    assert mirror.sync(world.chain) == SyncResult(first=head + 1, last=head, logs=0)
    mirror.close()


def test_sync__when_interrupted_after_each_range__then_goes_on_from_there(world: Undoable) -> None:
    class Killed(Exception):
        pass

    def die(block: int, target: int, logs: int) -> None:
        if block < target:
            raise Killed

    mirror, kills = world.mirror(), 0
    while True:
        try:
            result = mirror.sync(world.chain, progress=die, first_range=1 + 2 * kills)
            break
        except Killed:
            kills += 1
            mirror.close()
            mirror = Mirror.open(mirror.path, world.chain.chain_id, world.contracts)
    assert kills >= 2
    assert result.first > 0
    assert_same(mirror, world)
    mirror.close()


def test_sync__when_the_chain_began_anew__then_the_mirror_does_too(world: Undoable, tmp_path: Path) -> None:
    mirror = world.mirror()
    mirror.sync(world.chain)
    with start_devnet(tmp_path / "other", DevnetSettings(block_seconds=0)) as devnet:
        chain = connect(devnet.rpc_url)
        result = mirror.sync(chain)
        assert (result.restarted, result.first, result.last) == (True, 0, 0)
        assert (mirror.events(), mirror.head()) == ([], chain.block())
        chain.close()
    mirror.close()


def test_sync__by_two_at_once__then_both_end_at_the_head(world: Undoable) -> None:
    one = world.mirror()
    other = Mirror.open(one.path, world.chain.chain_id, world.contracts)

    def interfere(block: int, target: int, logs: int) -> None:
        other.sync(world.chain)

    one.sync(world.chain, progress=interfere, first_range=1)
    assert_same(one, world)
    assert_same(other, world)
    one.close()
    other.close()


def test_open__when_the_file_is_another_markets_or_chains__then_refuses(world: Undoable) -> None:
    mirror = world.mirror()
    mirror.close()
    with pytest.raises(WrongMirror, match="of chain 31337, not of chain 1"):
        Mirror.open(mirror.path, 1, world.contracts)
    with pytest.raises(WrongMirror, match="of the market"):
        Mirror.open(mirror.path, world.chain.chain_id, [world.deployed.token])


def test_open__with_one_more_contract__then_the_file_is_followed_anew(world: Undoable) -> None:
    mirror = world.mirror()
    mirror.sync(world.chain)
    mirror.close()
    with pytest.raises(WrongMirror, match="is not followed"):
        Mirror.open(mirror.path, 31337, [*world.contracts, world.deployed.token], read_only=True)
    mirror = Mirror.open(mirror.path, 31337, [*world.contracts, world.deployed.token])
    assert mirror.head() is None
    mirror.sync(world.chain)
    assert mirror.logs(world.deployed.token) == world.chain.logs(world.deployed.token)
    assert mirror.events() == world.market.events(None)
    mirror.close()
    fewer = Mirror.open(mirror.path, 31337, world.contracts)
    assert fewer.events() == world.market.events(None)
    fewer.close()


def test_open__only_to_read__then_sees_what_another_writes(world: Undoable) -> None:
    mirror = world.mirror()
    reader = Mirror.open(mirror.path, 31337, world.contracts, read_only=True)
    assert reader.events() == []
    mirror.sync(world.chain)
    assert reader.events() == world.market.events(None)
    with reader.snapshot():
        before = reader.events()
        world.reorganise(5)
        mirror.sync(world.chain)
        assert reader.events() == before
    assert reader.events() == world.market.events(None)
    mirror.close()
    reader.close()


# --- what it tells ---


def test_events__in_any_range__then_as_the_market_tells_them(world: Undoable) -> None:
    mirror = world.mirror()
    mirror.sync(world.chain)
    told = world.market.events(None)
    first, last = told[1].at.block, told[-2].at.block
    assert mirror.events(None, first, last) == world.market.events(None, first, last)
    assert mirror.events(world.bounty, first) == world.market.events(world.bounty, first)
    assert mirror.events(BountyId(world.bounty + 1)) == []
    assert mirror.logs(world.market.address) == world.chain.logs(world.market.address)
    assert mirror.logs(world.market.address, last, first) == []
    assert [type(event) for event in mirror.history(world.bounty).events[:2]] == [Posted, Joined]
    assert mirror.bounties() == [BountyId(number) for number in range(1, world.bounty + 1)]
    with pytest.raises(NotMirrored, match=f"Bounty {world.bounty + 1} is not"):
        mirror.history(BountyId(world.bounty + 1))
    with pytest.raises(NotMirrored, match="The contract"):
        mirror.logs(make.ALICE)
    mirror.close()


def test_transaction__then_it_is_what_the_receipt_says(world: Undoable) -> None:
    mirror = world.mirror()
    mirror.sync(world.chain)
    event = mirror.events()[-1]
    assert isinstance(event, Committed)
    found = mirror.transaction(event.at.transaction)
    receipt = world.chain.web3.eth.get_transaction_receipt(event.at.transaction)  # type: ignore[arg-type]
    assert found is not None
    assert (found.block, found.sender) == (receipt["blockNumber"], event.provider)
    assert (found.gas_used, found.gas_price) == (receipt["gasUsed"], receipt["effectiveGasPrice"])
    assert found.fee == found.gas_used * found.gas_price > 0
    assert found.time == world.chain.block(found.block).timestamp == mirror.block_time(found.block)
    assert mirror.transaction("0x" + "ab" * 32) is None
    assert mirror.transaction("no hash") is None
    mirror.close()


def test_gas_by_bounty__then_each_transaction_counts_once_for_what_it_did(finished: Mirror, market: Undoable) -> None:
    uses = finished.gas_by_bounty(finished.bounties()[-1])
    found = {event.at.transaction for event in finished.events(finished.bounties()[-1])}
    transactions = [finished.transaction(one) for one in found]
    assert None not in transactions
    assert sum(use.transactions for use in uses) == len(found)
    assert sum(use.gas for use in uses) == sum(one.gas_used for one in transactions if one)
    assert sum(use.fee for use in uses) == sum(one.fee for one in transactions if one)
    assert {(use.kind, use.sender) for use in uses} == {
        ("Posted", market.owner),
        ("BondDeposited", market.aggregator),
        ("Merged", market.aggregator),
        *((kind, who) for who in market.members for kind in ("Joined", "Committed", "Revealed")),
    }
    assert finished.gas_by_bounty(BountyId(10**6)) == []


def test_search__for_all_that_a_person_may_have__then_finds_its_bounty(finished: Mirror, market: Undoable) -> None:
    number = finished.bounties()[-1]
    events = finished.events(number)
    terms = finished.history(number).posted.terms
    [bounty] = finished.search(f" {number} ")
    assert (bounty.kind, bounty.bounty) == ("bounty", number)
    assert f"provider of bounty {number}" in labels(finished.search(market.members[0].lower()))
    assert f"aggregator of bounty {number}" in labels(finished.search(market.aggregator))
    [hit] = finished.search(events[0].at.transaction)
    assert (hit.kind, hit.value, hit.bounty) == ("transaction", events[0].at.transaction, number)
    manifest = to_cid(terms.manifest)
    hits = [hit for hit in finished.search(manifest) if hit.label == f"manifest in bounty {number}"]
    assert [(hit.kind, hit.value, hit.round) for hit in hits] == [("cid", manifest, None)]
    revealed = [event for event in events if isinstance(event, Revealed)]
    assert len(revealed) == len(market.members)
    for event in revealed:
        found = finished.search("0x" + event.update_root.hex())
        assert {(hit.kind, hit.round) for hit in found} == {("root", 1)}
        assert f"update root in round 1 of bounty {number} by {event.provider}" in labels(found)


def labels(hits: list[SearchHit]) -> set[str]:
    return {hit.label for hit in hits}


@pytest.mark.parametrize(
    "text",
    ["", " ", "0", "999999", "-1", "9" * 100, "0x", "zz", "0x" + "00" * 20, "Qm" + "1" * 44, "' OR 1=1 --", "\0", "٣"],
)
def test_search__for_what_is_not_there__then_nothing(text: str, finished: Mirror) -> None:
    assert finished.search(text) == []
