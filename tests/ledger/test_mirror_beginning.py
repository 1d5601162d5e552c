"""Where a new mirror begins to read: at the first contract's block, if the endpoint can be believed about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.batches import Batches
from ledger.chain import Block, connect
from ledger.devnet import DevnetSettings, start_devnet
from ledger.mirror import Mirror
from ledger.mirror.beginning import block_before
from tests.door import rpc
from tests.ledger.endpoint import MARKET, Answer, ChainOfOurs, Endpoint, serving
from tests.ledger.mirrored import Undoable, dump

BORN = 40


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undoable]:
    """A market that came to be after 300 blocks."""
    folder = tmp_path_factory.mktemp("late")
    with start_devnet(folder, DevnetSettings(block_seconds=0, accounts=6)) as devnet:
        chain = connect(devnet.rpc_url)
        rpc(chain, "anvil_mine", hex(300))
        made = Undoable(chain, devnet, folder)
        made.begin("joining")
        yield made
        chain.close()


def creation(world: Undoable) -> int:
    """The block of the first contract that is followed."""

    def is_there(number: int) -> bool:
        codes = (world.chain.web3.eth.get_code(address, number) for address in world.contracts)  # type: ignore[arg-type]
        return any(codes)

    return next(number for number in range(300, 310) if is_there(number))


@pytest.mark.chain
def test_sync__of_a_young_market_on_an_old_chain__then_blocks_before_it_are_not_read(world: Undoable) -> None:
    mirror = world.mirror()
    result = mirror.sync(world.chain, first_range=10)
    assert result.first == creation(world) > 300
    assert dump(mirror) == world.fresh_dump()
    assert mirror.events() == world.market.events(None)
    mirror.close()


@pytest.mark.chain
def test_sync__when_the_market_is_not_confirmed_yet__then_nothing_before_it_is_read(world: Undoable) -> None:
    mirror, depth = world.mirror(), world.chain.block().number - 200
    result = mirror.sync(world.chain, confirmations=depth, first_range=10)
    assert (result.first, result.last, result.logs) == (201, 200, 0)
    assert dump(mirror) == world.fresh_dump(depth)
    mirror.sync(world.chain)
    assert dump(mirror) == world.fresh_dump()
    mirror.close()


class Old(ChainOfOurs):
    """A chain whose node says of every block whether the market is there; none of its blocks shows who made it."""

    def result(self, method: str, params: list[Any]) -> Any:
        if method != "eth_getCode":
            return super().result(method, params)
        return "0x60" if isinstance(params[1], str) and int(params[1], 16) >= BORN else "0x"


class Forgetful(Endpoint):
    """An endpoint that may refuse to speak of old states."""

    refuses = False

    def _one(self, request: Answer) -> Answer:
        if self.refuses and request["method"] == "eth_getCode":
            return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32000, "message": "missing trie node"}}
        return super()._one(request)


@pytest.fixture
def endpoint() -> Iterator[Forgetful]:
    made = Forgetful()
    made.chain = Old()
    made.chain.grow(100)
    with serving(made.server):
        yield made


def answer(value: Any) -> Callable[[str, list[Any], Any], Any]:
    return lambda method, params, result: value if method == "eth_getCode" else result


@pytest.mark.integration
@pytest.mark.parametrize(
    "meddle",
    [
        None,
        answer(None),
        answer(7),
        answer("0xzz"),
        answer([]),
        answer("0x"),
        lambda method, params, result: result,
        lambda method, params, result: None if params[-1:] == [True] else result,
        lambda method, params, result: {"transactions": [{}]} if params[-1:] == [True] else result,
    ],
)  # fmt: skip
def test_block_before__when_the_node_forgot_or_lies__then_it_is_not_believed(
    meddle: Callable[[str, list[Any], Any], Any] | None, endpoint: Forgetful, tmp_path: Path
) -> None:
    chain = connect(endpoint.url)
    endpoint.refuses = meddle is None
    endpoint.meddle = meddle or endpoint.meddle
    assert block_before(Batches(chain), [MARKET.lower()], 100, 100) is None
    mirror = Mirror.open(tmp_path / "mirror.sqlite", 31337, [MARKET])
    assert mirror.sync(chain, first_range=10).first == 0
    assert len(mirror.logs(MARKET)) == sum(map(len, endpoint.chain.logs))
    mirror.close()
    chain.close()


@pytest.mark.chain
def test_block_before__then_it_is_the_last_without_a_contract(world: Undoable) -> None:
    contracts = [address.lower() for address in world.contracts]
    newest, first = world.chain.block().number, creation(world)
    assert block_before(Batches(world.chain), contracts, newest, newest) == world.chain.block(first - 1)
    assert isinstance(block_before(Batches(world.chain), contracts[-1:], newest, newest), Block)
