"""The mirror before endpoints that lie, stutter, refuse and are reorganised in the middle of an answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ledger.artifacts import artifact
from ledger.batches import Batches
from ledger.chain import Chain, NodeRefused, connect
from ledger.decoding import UndecodableLog, event_topic
from ledger.errors import ChainError, StrangeAnswer
from ledger.mirror import Mirror
from ledger.mirror.following import UnsettledChain, checkpoints
from ledger.records import Address, BountyId, Ended
from tests.ledger.endpoint import MARKET, Answer, ChainOfOurs, Endpoint, serving, word
from tests.ledger.mirrored import dump


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    with serving(made.server):
        yield made


@pytest.fixture
def chain(endpoint: Endpoint) -> Iterator[Chain]:
    connected = connect(endpoint.url)
    yield connected
    connected.close()


def opened(folder: Path, name: str = "mirror") -> Mirror:
    return Mirror.open(folder / f"{name}.sqlite", 31337, [MARKET])


def fresh_dump(chain: Chain, folder: Path, confirmations: int = 0) -> str:
    (folder / "fresh.sqlite").unlink(missing_ok=True)
    mirror = opened(folder, "fresh")
    mirror.sync(chain, confirmations=confirmations)
    text = dump(mirror)
    mirror.close()
    return text


# --- what is asked for, and how ---


@pytest.mark.unit
@pytest.mark.parametrize("head", [0, 1, 2, 3, 7, 8, 1000, 2**20, 2**20 + 1, 12_345_678])
def test_checkpoints__for_any_head__then_few_and_one_near_every_depth(head: int) -> None:
    kept = checkpoints(head)
    assert len(kept) <= 2 * head.bit_length() + 2
    assert kept <= set(range(head + 1)) if head < 2000 else max(kept) == head
    for depth in (1, 2, 3, 7, 12, 100, 1000, head // 2, head):
        nearest = max((one for one in kept if one <= head - depth), default=0)
        assert nearest >= head - 4 * max(depth, 1) or nearest == 0


@pytest.mark.integration
def test_sync__when_ranges_and_batches_are_refused__then_smaller_ones_and_no_gap(
    endpoint: Endpoint, chain: Chain, tmp_path: Path
) -> None:
    endpoint.chain.grow(80)
    expected = fresh_dump(chain, tmp_path)
    for max_range, max_batch, status in ((7, 3, 200), (1, 1, 413), (100, 10, 400)):
        endpoint.max_range, endpoint.max_batch, endpoint.status = max_range, max_batch, status
        endpoint.asked.clear()
        mirror = opened(tmp_path, f"mirror-{max_range}")
        mirror.sync(chain)
        assert dump(mirror) == expected
        assert endpoint.asked.count("eth_getLogs") <= 30 + 3 * 80 // max_range
        mirror.close()


@pytest.mark.integration
def test_ask__when_a_batch_was_refused__then_batches_grow_again(endpoint: Endpoint, chain: Chain) -> None:
    endpoint.chain.grow(3)
    batches = Batches(chain, 64)
    endpoint.max_batch = 8
    questions = [("eth_getBlockByNumber", [hex(number % 4), False]) for number in range(200)]
    answers = batches.ask(questions)
    assert [int(answer["number"], 16) for answer in answers] == [number % 4 for number in range(200)]
    assert max(endpoint.batch_sizes[-10:]) > 8 >= min(endpoint.batch_sizes)
    endpoint.max_batch = 64
    endpoint.batch_sizes.clear()
    batches.ask(questions)
    assert max(endpoint.batch_sizes) == 64


@pytest.mark.integration
def test_ask__when_one_request_is_refused__then_names_the_nodes_own_words(endpoint: Endpoint, chain: Chain) -> None:
    endpoint.max_range = 1
    with pytest.raises(NodeRefused, match="the range is too wide"):
        Batches(chain).ask([("eth_chainId", []), ("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "0x5"}])])


@pytest.mark.integration
@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"null", b"7", b'"x"', b"[1, 2]", b"\xff", b'[{"id": 0, "result": 1}]',
     b'[{"id": 0, "result": 1}, {"id": 0, "result": 1}]', b'[{"id": [], "result": 1}, {"id": 1, "result": 1}]'],
)  # fmt: skip
def test_ask__when_the_answer_is_no_batch__then_a_chain_error(raw: bytes, endpoint: Endpoint, chain: Chain) -> None:
    endpoint.raw = raw
    with pytest.raises(StrangeAnswer, match="strange answer"):
        Batches(chain).ask([("eth_chainId", []), ("eth_chainId", [])])


# --- lies ---


def spoil(change: Callable[[Answer], Answer | None], method: str = "eth_getLogs") -> Callable[..., Any]:
    """Change the first entry of an answer, or the answer itself where it is no list; None: by nothing."""

    def meddle(asked: str, params: list[Any], result: Any) -> Any:
        if asked != method or not result:
            return result
        if isinstance(result, list):
            return [change(dict(result[0])), *result[1:]]
        return change(dict(result))

    return meddle


LIES: dict[str, tuple[str, Callable[[Answer], Answer | None]]] = {
    "a log of a block that was not asked for": ("eth_getLogs", lambda log: log | {"blockNumber": "0xffff"}),
    "a log of another contract": ("eth_getLogs", lambda log: log | {"address": "0x" + "99" * 20}),
    "a log without an address": ("eth_getLogs", lambda log: {k: v for k, v in log.items() if k != "address"}),
    "five topics": ("eth_getLogs", lambda log: log | {"topics": [word(1)] * 5}),
    "a short topic": ("eth_getLogs", lambda log: log | {"topics": ["0x01"]}),
    "topics that are none": ("eth_getLogs", lambda log: log | {"topics": 7}),
    "data that are no hex": ("eth_getLogs", lambda log: log | {"data": "0xzz"}),
    "a huge log index": ("eth_getLogs", lambda log: log | {"logIndex": hex(2**70)}),
    "a negative index": ("eth_getLogs", lambda log: log | {"transactionIndex": "-0x1"}),
    "a huge block number": ("eth_getLogs", lambda log: log | {"blockNumber": hex(2**200)}),
    "a log that is null": ("eth_getLogs", lambda log: None),
    "a receipt of another transaction": ("eth_getTransactionReceipt", lambda one: one | {"transactionHash": word(5)}),
    "a sender that is no address": ("eth_getTransactionReceipt", lambda one: one | {"from": "0x1234"}),
    "a huge gas price": ("eth_getTransactionReceipt", lambda one: one | {"effectiveGasPrice": hex(2**64)}),
    "gas that is none": ("eth_getTransactionReceipt", lambda one: one | {"gasUsed": None}),
}


@pytest.mark.integration
@pytest.mark.parametrize("lie", sorted(LIES))
def test_sync__when_the_endpoint_lies__then_a_chain_error_and_nothing_is_written(
    lie: str, endpoint: Endpoint, chain: Chain, tmp_path: Path
) -> None:
    endpoint.chain.grow(30)
    mirror = opened(tmp_path)
    empty = dump(mirror)
    method, change = LIES[lie]
    endpoint.meddle = spoil(change, method)
    with pytest.raises(StrangeAnswer, match="logs or receipts"):
        mirror.sync(chain)
    assert dump(mirror) == empty
    endpoint.meddle = leave
    mirror.sync(chain)
    assert dump(mirror) == fresh_dump(chain, tmp_path)
    mirror.close()


@pytest.mark.integration
def test_sync__when_one_log_or_transaction_is_told_twice__then_a_chain_error(
    endpoint: Endpoint, chain: Chain, tmp_path: Path
) -> None:
    endpoint.chain.grow(30)
    mirror = opened(tmp_path)
    twice = next(logs for logs in endpoint.chain.logs if len(logs) == 3)
    for spoiled in (
        lambda logs: [*logs, logs[0]],
        lambda logs: [*logs[:-1], logs[-1] | {"transactionHash": logs[0]["transactionHash"]}],
        lambda logs: [one | ({"transactionHash": word(1)} if one is twice[1] else {}) for one in logs],
    ):
        endpoint.meddle = lambda asked, params, result, spoiled=spoiled: (  # type: ignore[misc]
            spoiled(result) if asked == "eth_getLogs" else result
        )
        with pytest.raises(StrangeAnswer, match=r"twice|two"):
            mirror.sync(chain)
    assert mirror.head() is None
    mirror.close()


@pytest.mark.integration
@pytest.mark.parametrize(
    "change",
    [
        lambda log: log | {"blockHash": word(9)},
        lambda log: log | {"removed": True},
    ],
)
def test_sync__when_logs_are_of_a_chain_that_is_no_more__then_gives_up_with_a_retryable_error(
    change: Callable[[Answer], Answer], endpoint: Endpoint, chain: Chain, tmp_path: Path
) -> None:
    endpoint.chain = ChainOfOurs()
    while not endpoint.chain.logs[-1]:
        endpoint.chain.grow(1)
    endpoint.meddle = lambda asked, params, result: list(map(change, result)) if asked == "eth_getLogs" else result
    mirror = opened(tmp_path)
    with pytest.raises(UnsettledChain) as caught:
        mirror.sync(chain)
    assert caught.value.retryable
    assert mirror.head() is None
    mirror.close()


@pytest.mark.integration
def test_sync__when_logs_come_in_any_order__then_they_are_kept_in_the_order_of_execution(
    endpoint: Endpoint, chain: Chain, tmp_path: Path
) -> None:
    endpoint.chain.grow(60)
    expected = fresh_dump(chain, tmp_path)
    endpoint.meddle = lambda asked, params, result: sorted(result, key=str) if asked == "eth_getLogs" else result
    mirror = opened(tmp_path)
    mirror.sync(chain)
    assert dump(mirror) == expected
    events = mirror.events()
    assert [event.at for event in events] == sorted(
        (event.at for event in events), key=lambda at: (at.block, at.log_index)
    )
    mirror.close()


@pytest.mark.integration
def test_events__when_a_log_is_garbage__then_undecodable_but_the_rest_can_be_read(
    endpoint: Endpoint, chain: Chain, tmp_path: Path
) -> None:
    endpoint.chain.grow(30)
    logs = [log for one in endpoint.chain.logs for log in one]
    logs[0]["data"] = "0x1234"
    logs[1]["topics"] = []
    logs[2]["topics"] = [word(3), word(4), word(5), word(6)]
    mirror = opened(tmp_path)
    mirror.sync(chain)
    assert len(mirror.logs(MARKET)) == len(logs)
    with pytest.raises(UndecodableLog):
        mirror.events()
    bad = int(logs[0]["topics"][1], 16)
    others = [number for number in (1, 2, 3) if number != bad]
    assert all(isinstance(event, Ended) for number in others for event in mirror.events(BountyId(number)))
    assert len(mirror.search("0x" + "22" * 20)) == 0
    mirror.close()


@pytest.mark.integration
def test_gas_by_bounty__when_judges_were_called__then_proofs_and_demands_of_the_bounty_count(
    endpoint: Endpoint, chain: Chain, tmp_path: Path
) -> None:
    def log(place: int, topics: list[str], address: str) -> Answer:
        return {
            "address": address, "blockNumber": "0x1", "blockHash": endpoint.chain.blocks[1]["hash"],
            "logIndex": hex(place), "transactionIndex": hex(place), "transactionHash": word(1000 + place),
            "topics": topics, "data": "0x",
        }  # fmt: skip

    def topic(contract: str, name: str) -> str:
        abi = artifact(contract)["abi"]
        item = next(item for item in abi if item["type"] == "event" and item["name"] == name)
        return "0x" + event_topic(item).hex()

    demanded, answered = topic("ChunkDemands", "ChunkDemanded"), topic("ChunkDemands", "ChunkAnswered")
    drawn = topic("FraudProofs", "SeedDrawn")
    proofs, demands, stranger = ("0x" + digit * 40 for digit in "345")
    endpoint.chain.grow(1)
    endpoint.chain.logs[0] = []
    endpoint.chain.logs[1] = [
        log(0, [drawn, word(7), word(1)], proofs),
        log(1, [drawn, word(8), word(1)], proofs),
        log(2, [demanded, word(1), word(7), word(1)], demands),
        log(3, [demanded, word(7), word(8), word(1)], demands),
        log(4, [answered, word(1), word(99)], demands),
        log(5, [answered, word(7), word(99)], demands),
        log(6, [word(5), word(7)], stranger),
    ]
    contracts = [MARKET, *(Address(one) for one in (proofs, demands, stranger))]
    mirror = Mirror.open(tmp_path / "mirror.sqlite", 31337, contracts)
    mirror.sync(chain)
    for bounty in (7, 8):
        uses = {use.kind: use.transactions for use in mirror.gas_by_bounty(BountyId(bounty))}
        assert uses == {"SeedDrawn": 1, "ChunkDemanded": 1, "ChunkAnswered": 1}
    assert mirror.gas_by_bounty(BountyId(1)) == []
    mirror.close()


# --- reorganisations in the middle ---


class Interference:
    """Mirrors a chain again and again, and lets something happen at each request in turn, after its answer is made."""

    def __init__(self, endpoint: Endpoint, chain: Chain, folder: Path, seed: int) -> None:
        self.endpoint, self.chain, self.folder, self.seed = endpoint, chain, folder, seed
        self.requests = self.at = 0
        self.states: list[str] = []

    def play(self, happen: Callable[[Mirror], None]) -> int:
        """After each sync the mirror is that of the chain before or after; returns at how many requests it happened."""
        for self.at in itertools.count(1):
            self.endpoint.meddle = leave
            self.endpoint.chain = ChainOfOurs(self.seed)
            self.endpoint.chain.grow(8)
            mirror = opened(self.folder, f"mirror-{self.at}")
            mirror.sync(self.chain)
            self.endpoint.chain.grow(2)
            before, self.requests = fresh_dump(self.chain, self.folder), 0
            self.endpoint.meddle = self._meddle(lambda mirror=mirror: happen(mirror))
            mirror.sync(self.chain)
            self.endpoint.meddle = leave
            if self.requests < self.at:
                return self.at - 1
            after = fresh_dump(self.chain, self.folder)
            assert dump(mirror) in (before, after), self.at
            mirror.sync(self.chain)
            assert dump(mirror) == after, self.at
            mirror.close()
        raise AssertionError

    def _meddle(self, happen: Callable[[], None]) -> Callable[[str, list[Any], Any], Any]:
        def meddle(asked: str, params: list[Any], result: Any) -> Any:
            self.requests += 1
            if self.requests == self.at:
                happen()
            return result

        return meddle

    def reorganise(self) -> None:
        self.endpoint.chain.cut(4)
        self.endpoint.chain.grow(4)


def leave(asked: str, params: list[Any], result: Any) -> Any:
    return result


@pytest.mark.integration
@pytest.mark.parametrize("seed", [1, 2])
def test_sync__when_the_chain_is_reorganised_between_any_two_requests__then_never_a_mixture(
    seed: int, endpoint: Endpoint, chain: Chain, tmp_path: Path
) -> None:
    interference = Interference(endpoint, chain, tmp_path, seed)
    assert interference.play(lambda mirror: interference.reorganise()) >= 8


@pytest.mark.integration
@pytest.mark.parametrize("seed", [1, 2])
def test_sync__when_another_process_follows_a_new_chain_meanwhile__then_never_a_mixture(
    seed: int, endpoint: Endpoint, chain: Chain, tmp_path: Path
) -> None:
    interference = Interference(endpoint, chain, tmp_path, seed)

    def overtake(mirror: Mirror) -> None:
        interference.reorganise()
        other = Mirror.open(mirror.path, 31337, [MARKET])
        other.sync(chain)
        other.close()

    assert interference.play(overtake) >= 8


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(8))
def test_sync__for_random_growth_cuts_and_failures__then_always_as_new(
    seed: int, endpoint: Endpoint, chain: Chain, tmp_path: Path
) -> None:
    random = Random(seed)  # noqa: S311 - not for secrets
    endpoint.chain = ChainOfOurs(seed)
    mirror = opened(tmp_path)
    for _ in range(25):
        match random.choice(["grow", "grow", "cut", "fork", "fail", "sync", "reopen"]):
            case "grow":
                endpoint.chain.grow(random.choice([1, 2, 10, 70]))
            case "cut":
                endpoint.chain.cut(random.choice([1, 2, 7, 12, 40]))
            case "fork":
                depth = random.choice([1, 2, 7, 12, 40])
                endpoint.chain.cut(depth)
                endpoint.chain.grow(random.choice([depth, 1, depth + 5]))
            case "fail":
                left = random.randrange(12)

                def fail(asked: str, params: list[Any], result: Any) -> Any:
                    nonlocal left
                    left -= 1
                    return result if left > 0 else {"broken": True}

                endpoint.meddle = fail
                endpoint.chain.grow(60)
                with pytest.raises(ChainError):
                    mirror.sync(chain, first_range=5)
                endpoint.meddle = leave
            case "sync":
                depth = random.choice([0, 0, 2, 5])
                mirror.sync(chain, confirmations=depth, first_range=random.choice([1, 3, 1000]))
                assert dump(mirror) == fresh_dump(chain, tmp_path, depth)
            case "reopen":
                mirror.close()
                mirror = opened(tmp_path)
    mirror.sync(chain)
    assert dump(mirror) == fresh_dump(chain, tmp_path)
    mirror.close()
