"""An operator's arguments as a program's graph writes them: plain values, names of earlier results, a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from node.package.strict_json import StrictJson

DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}
"""torch.export's numbers for element types."""

_MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
_STRIDED = 7
_FLOATS = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}
_REFUSED = {
    "as_graph": "a subgraph (higher-order operators are not allowed)",
    "as_custom_obj": "a custom object",
    "as_operator": "an operator as an argument",
    "as_string_to_argument": "a dictionary as an argument",
}


@dataclass(frozen=True)
class Ref:
    """The result of an earlier step, or an input, by name."""

    name: str


@dataclass(frozen=True)
class HereDevice:
    """Whatever device the program runs on; a device that the graph names is not looked at."""


HERE = HereDevice()


def parse_argument(reader: StrictJson, value: Any) -> Any:
    """The value of one argument, with `Ref` and `HERE` in the places that only a run can fill.

    Raises: BadPackage for kinds that are not allowed.
    """
    kind, content = reader.choice(value)
    if kind in _REFUSED:
        raise reader.fault(_REFUSED[kind])
    if kind == "as_none":
        return None
    if kind in _SINGLE:
        return _SINGLE[kind](reader, content)
    single = _LISTS.get(kind)
    if single is None:
        raise reader.fault(f"an argument of the unknown kind {kind}")
    return [_SINGLE[single](reader, item) for item in reader.typed(content, list)]


def _tensor(reader: StrictJson, value: Any) -> Ref:
    return Ref(reader.typed(reader.fields(value, "name")["name"], str))


def _optional_tensor(reader: StrictJson, value: Any) -> Ref | None:
    kind, content = reader.choice(value)
    if kind == "as_none":
        return None
    if kind != "as_tensor":
        raise reader.fault(f"{kind} where there should be a tensor")
    return _tensor(reader, content)


def _integer(reader: StrictJson, value: Any) -> int:
    number: int = reader.typed(value, int)
    if abs(number) >= 2**63:
        raise reader.fault("an integer that does not fit 64 bits")
    return number


def _float(reader: StrictJson, value: Any) -> float:
    if type(value) is str and value in _FLOATS:
        return _FLOATS[value]
    return float(_integer(reader, value)) if type(value) is int else float(reader.typed(value, float))


def _boolean(reader: StrictJson, value: Any) -> bool:
    return bool(reader.typed(value, bool))


def _string(reader: StrictJson, value: Any) -> str:
    text: str = reader.typed(value, str)
    if len(text) > 200 or not text.isascii() or not text.isprintable():
        raise reader.fault("a text argument that is long or not plain ASCII")
    return text


def _symbolic(reader: StrictJson, value: Any) -> Any:
    kind, content = reader.choice(value)
    if kind == "as_name":
        return Ref(reader.typed(content, str))
    plain = {"as_int": _integer, "as_float": _float, "as_bool": _boolean}.get(kind)
    if plain is None:
        raise reader.fault(f"a size of the unknown kind {kind}")
    return plain(reader, content)


def _from_table(table: dict[int, Any], what: str) -> Any:
    def read(reader: StrictJson, value: Any) -> Any:
        if (number := _integer(reader, value)) not in table:
            raise reader.fault(f"the {what} number {number}")
        return table[number]

    return read


def _device(reader: StrictJson, value: Any) -> HereDevice:
    reader.fields(value, "type index")
    return HERE


_SINGLE = {
    "as_tensor": _tensor,
    "as_optional_tensor": _optional_tensor,
    "as_int": _integer,
    "as_float": _float,
    "as_bool": _boolean,
    "as_string": _string,
    "as_sym_int": _symbolic,
    "as_sym_float": _symbolic,
    "as_sym_bool": _symbolic,
    "as_scalar_type": _from_table(DTYPES, "element type"),
    "as_memory_format": _from_table(_MEMORY_FORMATS, "memory format"),
    "as_layout": _from_table({_STRIDED: torch.strided}, "layout"),
    "as_device": _device,
}
_LISTS = {
    "as_tensors": "as_tensor",
    "as_optional_tensors": "as_optional_tensor",
    "as_ints": "as_int",
    "as_floats": "as_float",
    "as_bools": "as_bool",
    "as_sym_ints": "as_sym_int",
    "as_sym_floats": "as_sym_float",
    "as_sym_bools": "as_sym_bool",
}
