"""The chain client against a real devnet, and against endpoints that are down, wrong or strange."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from ledger.accounts import Key, new_key
from ledger.artifacts import artifact
from ledger.chain import FIRST_RANGE, Chain, connect, decode_error
from ledger.devnet import Devnet, mint_tokens
from ledger.errors import BadInput, ChainError, ChainUnreachable, Reverted, StrangeAnswer, WrongChain
from ledger.records import Address
from ledger.transactions import Transactor
from tests import door
from tests.ledger.endpoint import json_server, serving


@pytest.fixture
def at_door(chain: Chain, funded_key: Key, state: Path) -> Iterator[tuple[Transactor, Address]]:
    """A transactor and a door that it deployed."""
    transactor = Transactor(chain, funded_key, state)
    address, _ = transactor.deploy("deploy the door", door.ARTIFACT)
    yield transactor, address
    transactor.close()


class StrangeNode:
    """A real HTTP server that answers JSON-RPC methods as a test wants."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {"eth_chainId": "0x1"}
        self.raw: bytes | None = None
        self.ranges: list[tuple[int, int]] = []
        self.max_range = 1
        self.server, self.url = json_server(self.answer)

    def answer(self, request: dict[str, Any]) -> tuple[int, bytes]:
        return 200, self.raw if self.raw is not None else json.dumps(self._one(request)).encode()

    def _one(self, request: dict[str, Any]) -> dict[str, Any]:
        head = {"jsonrpc": "2.0", "id": request["id"]}
        if request["method"] == "eth_getLogs" and "eth_getLogs" not in self.results:
            query = request["params"][0]
            first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
            if last - first + 1 > self.max_range:
                return head | {"error": {"code": -32005, "message": "query returned more than 10000 results"}}
            self.ranges.append((first, last))
            return head | {"result": []}
        if request["method"] in self.results:
            return head | {"result": self.results[request["method"]]}
        return head | {"error": {"code": -32601, "message": "the method is not available"}}


@pytest.fixture
def strange() -> Iterator[StrangeNode]:
    node = StrangeNode()
    with serving(node.server):
        yield node


@pytest.mark.chain
def test_connect__when_the_chain_id_is_another__then_refuses(devnet: Devnet) -> None:
    with pytest.raises(WrongChain, match="is on chain 31337, not on chain 1"):
        connect(devnet.rpc_url, 1)


@pytest.mark.integration
def test_connect__when_nobody_listens__then_unreachable_with_the_address() -> None:
    with pytest.raises(ChainUnreachable, match=r"http://127.0.0.1:1 \(Failed to establish.*refused\)") as caught:
        connect("http://127.0.0.1:1")
    assert caught.value.retryable


@pytest.mark.unit
@pytest.mark.parametrize("url", ["", "127.0.0.1:8545", "ws://x", "file:///etc/passwd", "http://", "/run/geth.ipc"])
def test_connect__when_the_address_is_none__then_refuses(url: str) -> None:
    with pytest.raises(BadInput, match="not the address of an Ethereum endpoint"):
        connect(url)


@pytest.mark.integration
@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b"{}", b'{"jsonrpc": "2.0", "id": 1}', b"null", b"\xff"])
def test_connect__when_the_endpoint_is_no_ethereum_node__then_a_chain_error(strange: StrangeNode, raw: bytes) -> None:
    strange.raw = raw
    with pytest.raises(ChainError):
        connect(strange.url)


LOG: dict[str, Any] = {
    "address": "0x" + "11" * 20, "blockNumber": "0x1", "blockHash": "0x" + "00" * 32, "logIndex": "0x0", "data": "0x",
    "transactionHash": "0x" + "00" * 32, "transactionIndex": "0x0", "topics": [], "removed": False,
}  # fmt: skip
FORMS: list[Any] = [None, "x", 5, {}, [1], [None], [{}], {"a": 1}, "0x" + "f" * 200]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("method", "ask"),
    [
        ("eth_getLogs", lambda chain: chain.logs(LOG["address"], None, 1, 1)),
        ("eth_getBlockByNumber", lambda chain: chain.block()),
        ("eth_getCode", lambda chain: chain.contract(LOG["address"], [])),
        ("eth_getBalance", lambda chain: chain.balance(LOG["address"])),
        ("eth_getTransactionCount", lambda chain: chain.transaction_count(LOG["address"])),
        ("eth_getTransactionReceipt", lambda chain: chain.gas_used("0x" + "00" * 32)),
    ],
)
def test_calls__when_an_answer_has_another_form__then_a_chain_error_and_nothing_else(
    strange: StrangeNode, method: str, ask: Callable[[Chain], object]
) -> None:
    chain = connect(strange.url)
    broken = [[{**LOG, key: value}] for key in LOG for value in (None, 5, "zz", [], {}, "0x", "0x" + "f" * 100)]
    for answer in [*FORMS, *(broken if method == "eth_getLogs" else [])]:
        strange.results[method] = answer
        with suppress(ChainError):
            ask(chain)
    strange.results[method] = {"a": 1}
    with pytest.raises(ChainError) as caught:
        ask(chain)
    assert caught.value.retryable, "one broken answer must not end an aggregator that has bonded"


@pytest.mark.integration
@pytest.mark.parametrize("change", [{"address": "0x" + "22" * 20}, {"blockNumber": "0x0"}, {"blockNumber": "0x3"}])
def test_logs__when_an_endpoint_adds_some_of_another_contract_or_block__then_refused(
    strange: StrangeNode, change: dict[str, str]
) -> None:
    chain = connect(strange.url)
    strange.results["eth_getLogs"] = [LOG]
    assert [log.at.block for log in chain.logs(Address(LOG["address"]), None, 1, 2)] == [1]
    strange.results["eth_getLogs"] = [LOG, LOG | change]
    with pytest.raises(StrangeAnswer, match="not asked for"):
        chain.logs(Address(LOG["address"]), None, 1, 2)


@pytest.mark.chain
def test_contract__when_there_is_no_code__then_refuses(chain: Chain) -> None:
    with pytest.raises(WrongChain, match="There is no contract at"):
        chain.contract(new_key().address, door.ABI)


@pytest.mark.chain
@pytest.mark.parametrize("address", ["", "0x", "alice.eth", "0x" + "00" * 19, "0x" + "zz" * 20])
def test_contract__when_no_address__then_refuses(address: str, chain: Chain) -> None:
    with pytest.raises(BadInput, match="is not an Ethereum address"):
        chain.contract(address, door.ABI)


@pytest.mark.chain
def test_call__when_pinned_to_a_block__then_answers_as_of_then(chain: Chain, funded_key: Key, state: Path) -> None:
    transactor = Transactor(chain, funded_key, state)
    token, receipt = transactor.deploy("deploy the token", artifact("DevToken"))
    before = chain.block()
    mint_tokens(transactor, token, funded_key.address, 5)
    balance = chain.contract(token, artifact("DevToken")["abi"]).functions.balanceOf(funded_key.address)
    assert (chain.call(balance, before), chain.call(balance)) == (0, 5)
    assert chain.block(before.number) == before
    assert before.number == receipt.block
    assert chain.block().number == before.number + 1
    assert chain.block().timestamp >= before.timestamp
    transactor.close()


@pytest.mark.chain
def test_call__when_the_contract_refuses__then_names_its_error(at_door: tuple[Transactor, Address]) -> None:
    transactor, address = at_door
    door.shut(transactor.chain, address, until=77)
    with pytest.raises(Reverted, match=r"refused to answer ask: Shut\(until=77\)") as caught:
        transactor.chain.call(transactor.chain.contract(address, door.ABI).functions.ask())
    assert (caught.value.name, caught.value.arguments) == ("Shut", {"until": 77})


@pytest.mark.chain
def test_call__when_the_contract_is_another__then_wrong_chain(at_door: tuple[Transactor, Address]) -> None:
    transactor, address = at_door
    with pytest.raises(WrongChain, match="another one than expected"):
        transactor.chain.call(transactor.chain.contract(address, door.ABI).functions.ask())


@pytest.mark.chain
def test_block__when_there_is_none_of_that_number__then_a_chain_error(chain: Chain) -> None:
    with pytest.raises(ChainError, match="refused a request"):
        chain.block(10**9)


@pytest.mark.chain
def test_logs__in_any_range__then_in_the_order_of_execution(at_door: tuple[Transactor, Address]) -> None:
    transactor, address = at_door
    knock = transactor.chain.contract(address, door.ABI).functions.knock(1)
    receipts = [transactor.send("knock", knock) for _ in range(3)]
    logs = transactor.chain.logs(address)
    assert [(log.at.block, log.at.transaction) for log in logs] == [(r.block, r.transaction) for r in receipts]
    assert {(log.address, log.topics, log.data) for log in logs} == {(address, (), b"")}
    assert transactor.chain.logs(address, None, receipts[1].block, receipts[1].block) == logs[1:2]
    assert transactor.chain.logs(address, [bytes(32)]) == []


@pytest.mark.integration
def test_logs__when_the_node_refuses_large_ranges__then_asks_for_smaller_ones_without_a_gap(
    strange: StrangeNode,
) -> None:
    strange.max_range = 700
    last = FIRST_RANGE // 10
    assert connect(strange.url).logs(new_key().address, None, 5, last) == []
    assert strange.ranges[0][0] == 5
    assert strange.ranges[-1][1] == last
    assert all(before[1] + 1 == after[0] for before, after in zip(strange.ranges, strange.ranges[1:], strict=False))


@pytest.mark.integration
def test_logs__when_the_node_refuses_a_single_block__then_a_chain_error(strange: StrangeNode) -> None:
    strange.max_range = 0
    with pytest.raises(ChainError, match="more than 10000 results"):
        connect(strange.url).logs(new_key().address, None, 0, 10)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ("without a reason", {})),
        (door.shut_data(9), ("Shut", {"until": 9})),
        (bytes.fromhex("08c379a0") + encode(["string"], ["no entry"]), ("Error", {"message": "no entry"})),
        (bytes.fromhex("08c379a0") + encode(["bytes"], [b"\xff"]), ("Error", {"message": "�"})),
        (bytes.fromhex("4e487b71") + encode(["uint256"], [17]), ("Panic", {"code": 17})),
        (b"\x01\x02\x03\x04", ("unknown error", {"data": "0x01020304"})),
        (b"\x01", ("unknown error", {"data": "0x01"})),
        (door.shut_data(9)[:20], ("unknown error", {"data": "0x" + door.shut_data(9)[:20].hex()})),
        (bytes.fromhex("08c379a0") + b"\xff" * 64, ("unknown error", {"data": "0x08c379a0" + "ff" * 64})),
    ],
)  # fmt: skip
def test_decode_error__for_all_kinds_of_revert_data__then_names_them(data: bytes, expected: tuple[str, Any]) -> None:
    assert decode_error(data, door.ABI) == expected
