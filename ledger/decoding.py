"""From raw logs and return values to the ledger's records, by the contract's ABI. Pure.

Texts in events are hostile: bytes that are no UTF-8 become replacement characters, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address

from ledger.errors import ProtocolFault
from ledger.evaluation_records import EvaluationEvent, EvaluationTerms, Metric
from ledger.keccak import keccak
from ledger.records import Event, MergeClaim, MergeRule, Position, PrivacyMode, RewardRule, Terms

Abi = Sequence[Mapping[str, Any]]

_ENUMS = {"mergeRule": MergeRule, "rewardRule": RewardRule, "privacy": PrivacyMode, "metric": Metric}
_STRUCTS: dict[str, Any] = {
    "struct Terms": Terms,
    "struct MergeClaim": MergeClaim,
    "struct EvaluationTerms": EvaluationTerms,
}

E = TypeVar("E", Event, EvaluationEvent)


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
    record: type[E]
    indexed: tuple[Mapping[str, Any], ...]
    plain: tuple[Mapping[str, Any], ...]
    plain_types: tuple[str, ...]


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
        return shape.record.__name__ if shape else None

    def decode(self, log: Log) -> E | None:
        """The event in `log`; None for an event that the contract does not define.

        Raises: UndecodableLog if the bytes do not fit the ABI.
        """
        shape = self._shapes.get(log.topics[0]) if log.topics else None
        if shape is None:
            return None
        try:
            values = dict(_indexed_values(shape, log.topics[1:]))
            decoded = decode(shape.plain_types, log.data, strict=False)
            values.update((i["name"], python_value(i, value)) for i, value in zip(shape.plain, decoded, strict=True))
            return shape.record(at=log.at, **{snake(name): value for name, value in values.items()})
        except (DecodingError, ValueError, TypeError, OverflowError) as error:
            raise UndecodableLog(log.at, str(error)) from error


class EventDecoder(LogDecoder[Event]):
    """Decodes a market's logs into `ledger.records` events."""

    def __init__(self, abi: Abi) -> None:
        super().__init__(abi, Event)


def _is_event(item: Mapping[str, Any], records: Mapping[str, Any]) -> bool:
    return item["type"] == "event" and item["name"] in records


def _shape(item: Mapping[str, Any], record: type[E]) -> tuple[bytes, _EventShape[E]]:
    plain = tuple(i for i in item["inputs"] if not i["indexed"])
    indexed = tuple(i for i in item["inputs"] if i["indexed"])
    return event_topic(item), _EventShape(record, indexed, plain, tuple(_decode_type(i) for i in plain))


def _indexed_values(shape: _EventShape[E], topics: Sequence[bytes]) -> list[tuple[str, Any]]:
    return [
        (i["name"], python_value(i, decode([abi_type(i)], topic)[0]))
        for i, topic in zip(shape.indexed, topics, strict=True)
    ]


def event_topic(item: Mapping[str, Any]) -> bytes:
    """The hash that opens every log of an event."""
    return keccak(f"{item['name']}({','.join(abi_type(i) for i in item['inputs'])})".encode())


def abi_type(item: Mapping[str, Any]) -> str:
    """The canonical ABI type of an input, tuples written out."""
    kind: str = item["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(abi_type(c) for c in item['components'])}){kind[len('tuple') :]}"


def _decode_type(item: Mapping[str, Any]) -> str:
    """Like `abi_type`, but strings are read as bytes: same encoding, no exception on bad UTF-8."""
    return abi_type(item).replace("string", "bytes")


def python_value(item: Mapping[str, Any], value: Any) -> Any:
    """A decoded ABI value as the records hold it: checksummed addresses, text, enums, structs."""
    kind = item["type"]
    if kind == "address":
        return to_checksum_address(value)
    if kind == "string" and isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if kind == "tuple":
        fields = item["components"]
        named = {c["name"]: python_value(c, v) for c, v in zip(fields, value, strict=True)}
        return _struct(_STRUCTS[item["internalType"]], named)
    return value


def terms_from(named: Mapping[str, Any]) -> Terms:
    """The terms from their values by Solidity name."""
    return _struct(Terms, named)


def evaluation_terms_from(named: Mapping[str, Any]) -> EvaluationTerms:
    """An evaluation's terms from their values by Solidity name."""
    return _struct(EvaluationTerms, named)


_Struct = TypeVar("_Struct", Terms, MergeClaim, EvaluationTerms)


def _struct(record: type[_Struct], named: Mapping[str, Any]) -> _Struct:
    return record(**{snake(name): _enum(name, value) for name, value in named.items()})


def _enum(name: str, value: Any) -> Any:
    return _ENUMS[name](value) if name in _ENUMS else value


def snake(name: str) -> str:
    """`squaredNormBound` -> `squared_norm_bound`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def camel(name: str) -> str:
    """`squared_norm_bound` -> `squaredNormBound`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
