"""Reading ABI values fast: the same values as a general decoder gives, and a refusal where it finds nonsense."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from random import Random
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address

from ledger.abi_reading import layout_of, value_reader
from ledger.artifacts import artifact
from ledger.decoding import EventDecoder, UndecodableLog, abi_type, event_topic, snake
from ledger.records import Address, Event, Joined, Merged, Position, Posted, Terms
from tests import builders as make

pytestmark = pytest.mark.unit

ABI = artifact("TrainingMarket")["abi"]
EVENTS = {item["name"]: item for item in ABI if item["type"] == "event"}
AT = Position(5, 6, "0x" + "77" * 32)


def values_of(items: list[dict[str, Any]], random: Random) -> list[Any]:
    """Random values of ABI inputs, with those that lie at the edge of their type."""
    return [value_of(item, random) for item in items]


def value_of(item: dict[str, Any], random: Random) -> Any:
    kind, name = item["type"], item["name"]
    if kind == "tuple":
        return tuple(values_of(item["components"], random))
    if name in ("mergeRule", "rewardRule", "privacy"):
        return 0
    if kind == "address":
        return to_checksum_address(random.randbytes(20))
    if kind == "string":
        return random.choice(["", "a", "/ip4/127.0.0.1/tcp/4001", "é" * 40])
    if kind == "bytes":
        return random.randbytes(random.choice([0, 1, 31, 32, 33, 100]))
    if kind.startswith("bytes"):
        return random.randbytes(int(kind[5:]))
    bits = int(kind.removeprefix("uint"))
    return random.choice([0, 1, 2**bits - 1, random.getrandbits(bits)])


def encoded(name: str, values: list[Any]) -> tuple[bytes, bytes]:
    """The topics in a row, and the data, of an event."""
    pairs = list(zip(EVENTS[name]["inputs"], values, strict=True))
    topics = [event_topic(EVENTS[name]), *(encode([one["type"]], [value]) for one, value in pairs if one["indexed"])]
    plain = [(abi_type(one), value) for one, value in pairs if not one["indexed"]]
    return b"".join(topics), encode([kind for kind, _ in plain], [value for _, value in plain])


def by_general_decoder(name: str, topics: bytes, data: bytes) -> dict[str, Any]:
    """The event's values by Solidity name, structs as dictionaries, read by eth_abi."""
    items = EVENTS[name]["inputs"]
    indexed = iter(topics[at : at + 32] for at in range(32, len(topics), 32))
    plain = iter(decode([abi_type(one) for one in items if not one["indexed"]], data))
    return {
        one["name"]: named(one, decode([one["type"]], next(indexed))[0] if one["indexed"] else next(plain))
        for one in items
    }


def named(item: dict[str, Any], value: Any) -> Any:
    if item["type"] != "tuple":
        return to_checksum_address(value) if item["type"] == "address" else value
    return {one["name"]: named(one, part) for one, part in zip(item["components"], value, strict=True)}


def as_dictionary(record: Any) -> dict[str, Any]:
    held = {field.name: getattr(record, field.name) for field in fields(record) if field.name != "at"}
    return {name: as_dictionary(value) if is_dataclass(value) else value for name, value in held.items()}


def snaked(values: dict[str, Any]) -> dict[str, Any]:
    return {snake(name): snaked(value) if isinstance(value, dict) else value for name, value in values.items()}


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_read__for_any_values__then_they_are_those_of_a_general_decoder(name: str) -> None:
    random, decoder = Random(name), EventDecoder(ABI)  # noqa: S311 - not for secrets
    for _ in range(25):
        topics, data = encoded(name, values_of(EVENTS[name]["inputs"], random))
        event = decoder.read(AT, topics, data)
        assert event is not None
        assert (type(event).__name__, event.at) == (name, AT)
        assert as_dictionary(event) == snaked(by_general_decoder(name, topics, data))


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_read__for_garbage__then_undecodable_and_never_another_exception(name: str) -> None:
    random, decoder = Random(name), EventDecoder(ABI)  # noqa: S311 - not for secrets
    topics, data = encoded(name, values_of(EVENTS[name]["inputs"], random))
    with pytest.raises(UndecodableLog):
        decoder.read(AT, topics[:-32], data)
    with pytest.raises(UndecodableLog):
        decoder.read(AT, topics, data[:-40])
    for _ in range(200):
        broken = bytearray(data)
        for _ in range(random.randint(1, 3)):
            broken[random.randrange(len(broken))] ^= 1 << random.randrange(8)
        outcome: Event | None = None
        try:
            outcome = decoder.read(AT, topics, bytes(broken))
        except UndecodableLog:
            continue
        assert outcome is not None


def test_read__when_a_text_is_no_utf_8__then_with_replacement_characters() -> None:
    topics, data = encoded("Joined", [1, make.ALICE.lower(), 0, 1, bytes(32), "ab"])
    joined = EventDecoder(ABI).read(AT, topics, data.replace(b"ab" + bytes(30), b"\xff\xfe" + bytes(30)))
    assert isinstance(joined, Joined)
    assert joined.multiaddr == "��"


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("uint16", (1 << 16).to_bytes(32, "big")),
        ("uint96", b"\1" + bytes(31)),
        ("bool", (2).to_bytes(32, "big")),
        ("address", b"\1" * 21 + bytes(11)),
        ("bytes28", bytes(31) + b"\1"),
        ("int24", (1 << 23).to_bytes(32, "big")),
        ("int24", (-(1 << 23) - 1).to_bytes(32, "big", signed=True)),
        ("uint256", bytes(31)),
        ("bytes", (64).to_bytes(32, "big")),
        ("bytes", (32).to_bytes(32, "big") + (1).to_bytes(32, "big")),
        ("string", (1 << 255).to_bytes(32, "big") + bytes(32)),
    ],
)
def test_value_reader__when_the_words_do_not_fit__then_refuses(kind: str, word: bytes) -> None:
    reader = value_reader({"type": kind, "name": "x"}, no_structs)
    with pytest.raises(ValueError, match=r"byte|offset"):
        reader.read(word, 0, 0)


def test_value_reader__at_the_edges_of_signed_numbers__then_reads_them() -> None:
    reader = value_reader({"type": "int24", "name": "x"}, no_structs)
    for value in (-(1 << 23), -1, 0, (1 << 23) - 1):
        assert reader.read(encode(["int24"], [value]), 0, 0) == value


@pytest.mark.parametrize("values", [[], [7], list(range(9))])
def test_value_reader__for_an_array__then_reads_it_and_refuses_what_is_cut_off(values: list[int]) -> None:
    reader = value_reader({"type": "uint256[]", "name": "x"}, no_structs)
    data = encode(["uint256[]"], [values])
    assert reader.read(data, 0, 0) == tuple(values)
    with pytest.raises(ValueError, match=r"no word|no number|values in"):
        reader.read(data[:-32], 0, 0)
    with pytest.raises(ValueError, match="values in"):
        reader.read(encode(["uint256", "uint256"], [32, 2**60]), 0, 0)


@pytest.mark.parametrize("kind", ["uint8[3]", "function", "fixed128x18[]"])
def test_value_reader__for_a_type_of_no_contract__then_says_so(kind: str) -> None:
    with pytest.raises(NotImplementedError, match="reading"):
        value_reader({"type": kind, "name": "x"}, no_structs)


def test_layout_of__when_a_value_is_no_single_word__then_there_is_none() -> None:
    assert layout_of([{"type": "uint8"}, {"type": "string"}]) is None
    assert layout_of([{"type": "tuple", "components": []}]) is None


def test_read__for_the_records_of_a_bounty__then_enums_and_structs_are_ours() -> None:
    decoder = EventDecoder(ABI)
    values = values_of(EVENTS["Posted"]["inputs"], Random(1))  # noqa: S311 - not for secrets
    posted = decoder.read(AT, *encoded("Posted", values))
    merged = decoder.read(AT, *encoded("Merged", values_of(EVENTS["Merged"]["inputs"], Random(2))))  # noqa: S311
    assert isinstance(posted, Posted)
    assert isinstance(posted.terms, Terms)
    assert isinstance(posted.owner, str)
    assert posted.owner == Address(values[1])
    assert isinstance(merged, Merged)


def no_structs(solidity: str, parts: Any) -> Any:
    raise AssertionError("no structs here")
