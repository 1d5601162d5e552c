"""From raw logs and return values to the ledger's records, by the contract's ABI. Pure.

Texts in events are hostile: bytes that are no UTF-8 become replacement characters, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from ledger.abi_reading import WORD, Layout, Read, layout_of, value_reader
from ledger.errors import ProtocolFault
from ledger.evaluation_records import EvaluationEvent, EvaluationTerms, Metric
from ledger.keccak import keccak
from ledger.records import Event, MergeClaim, MergeRule, Position, PrivacyMode, RewardRule, Terms
from ledger.score_records import Panel, ScoreEvent

Abi = Sequence[Mapping[str, Any]]

_ENUMS: dict[Any, dict[str, Any]] = {
    Terms: {"mergeRule": MergeRule, "rewardRule": RewardRule, "privacy": PrivacyMode},
    EvaluationTerms: {"metric": Metric},
}
"""The enumerations among a record's fields, by Solidity name."""

_STRUCTS: dict[str, Any] = {
    "struct Terms": Terms,
    "struct MergeClaim": MergeClaim,
    "struct EvaluationTerms": EvaluationTerms,
    "struct Panel": Panel,
}

E = TypeVar("E", Event, EvaluationEvent, ScoreEvent)


class UndecodableLog(ProtocolFault):
    def __init__(self, at: Position, detail: str) -> None:
        self.at, self.detail = at, detail
        super().__init__(
            f"The log {at.log_index} of block {at.block} can't be decoded ({detail}). Is this the right contract?"
        )


@dataclass(frozen=True)
class Log:
    """One log entry as the node returned it. `topics[0]` is the event's signature hash."""

    at: Position
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True)
class _EventShape(Generic[E]):
    """How an event is read.

    topics: how many it has.
    layout: of topics and data in a row, where all are fixed words in the record's order.
    fields: else, in the record's order: whether it is among the topics or in the data, how it is read, and where.
    """

    record: Callable[..., E]
    name: str
    topics: int
    layout: Layout | None
    fields: tuple[tuple[bool, Read, int], ...]


class LogDecoder(Generic[E]):
    """Decodes a contract's logs into records of the family `E`, by the ABI's names."""

    def __init__(self, abi: Abi, family: type[E]) -> None:
        """family: the records' common class; each direct subclass is one event."""
        records = {one.__name__: one for one in family.__subclasses__()}
        shapes = [_shape(item, records[item["name"]]) for item in abi if _is_event(item, records)]
        self._shapes: dict[bytes, _EventShape[E]] = dict(shapes)

    def name(self, topic: bytes | None) -> str | None:
        """The event that a signature hash stands for; None if the contract does not define it."""
        shape = self._shapes.get(topic) if topic else None
        return shape.name if shape else None

    def decode(self, log: Log) -> E | None:
        """The event in `log`; None for an event that the contract does not define.

        Raises: UndecodableLog if the bytes do not fit the ABI.
        """
        return self.read(log.at, b"".join(log.topics), log.data)

    def read(self, at: Position, topics: bytes, data: bytes) -> E | None:
        """As `decode`, from a log's parts. topics: in a row."""
        shape = self._shapes.get(topics[:WORD])
        if shape is None:
            return None
        if len(topics) != shape.topics * WORD:
            raise UndecodableLog(at, f"{len(topics) // WORD} topics instead of {shape.topics}")
        try:
            if shape.layout is not None:
                return shape.record(at, *shape.layout.read(topics[WORD:] + data))
            return shape.record(
                at, *[read(topics if indexed else data, place, 0) for indexed, read, place in shape.fields]
            )
        except ValueError as error:
            raise UndecodableLog(at, str(error)) from error


class EventDecoder(LogDecoder[Event]):
    """Decodes a market's logs into `ledger.records` events."""

    def __init__(self, abi: Abi) -> None:
        super().__init__(abi, Event)


def _is_event(item: Mapping[str, Any], records: Mapping[str, Any]) -> bool:
    return item["type"] == "event" and item["name"] in records


def _shape(item: Mapping[str, Any], record: type[E]) -> tuple[bytes, _EventShape[E]]:
    places: dict[str, tuple[bool, Read, int]] = {}
    topics, words = 1, 0
    for given in item["inputs"]:
        reader = value_reader(given, _struct_builder)
        if given["indexed"]:
            places[snake(given["name"])] = (True, reader.read, topics * WORD)
            topics += 1
        else:
            places[snake(given["name"])] = (False, reader.read, words * WORD)
            words += reader.words
    first, *names = (field.name for field in fields(record))
    assert first == "at"
    assert set(names) == set(places)
    in_a_row = sorted(item["inputs"], key=lambda given: not given["indexed"])
    layout = layout_of(in_a_row) if [snake(given["name"]) for given in in_a_row] == names else None
    shape = _EventShape(record, item["name"], topics, layout, tuple(places[name] for name in names))
    return event_topic(item), shape


def _struct_builder(solidity: str, parts: Sequence[Mapping[str, Any]]) -> tuple[Callable[..., Any], Sequence[int]]:
    """The record of a struct, and the places of its fields in the struct."""
    record = _STRUCTS[solidity]
    names = [snake(part["name"]) for part in parts]
    order = [names.index(field.name) for field in fields(record)]
    enums = [_ENUMS.get(record, {}).get(parts[place]["name"]) for place in order]

    def make(*values: Any) -> Any:
        return record(*[kind(value) if kind else value for kind, value in zip(enums, values, strict=True)])

    return (make if any(enums) else record), order


def event_topic(item: Mapping[str, Any]) -> bytes:
    """The hash that opens every log of an event."""
    return keccak(f"{item['name']}({','.join(abi_type(i) for i in item['inputs'])})".encode())


def abi_type(item: Mapping[str, Any]) -> str:
    """The canonical ABI type of an input, tuples written out."""
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(abi_type(c) for c in item['components'])}){kind[len('tuple') :]}"


def terms_from(named: Mapping[str, Any]) -> Terms:
    """The terms from their values by Solidity name."""
    return _struct(Terms, named)


def evaluation_terms_from(named: Mapping[str, Any]) -> EvaluationTerms:
    """An evaluation's terms from their values by Solidity name."""
    return _struct(EvaluationTerms, named)


_Struct = TypeVar("_Struct", Terms, MergeClaim, EvaluationTerms)


def _struct(record: type[_Struct], named: Mapping[str, Any]) -> _Struct:
    enums = _ENUMS.get(record, {})
    return record(**{snake(name): enums[name](value) if name in enums else value for name, value in named.items()})


def snake(name: str) -> str:
    """`squaredNormBound` -> `squared_norm_bound`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def camel(name: str) -> str:
    """`squared_norm_bound` -> `squaredNormBound`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
