"""JSON of unknown origin: no duplicate keys, no missing or unknown keys, no surprises in depth or number."""

from __future__ import annotations

import json
import re
from typing import Any

from node.errors import BadPackage, shown

MAX_DEPTH = 100
"""Python's parser recurses on the machine's stack; far deeper than this it would end the process."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


def _depth(content: bytes) -> int:
    """How deep brackets nest, those in texts not counted."""
    depth = deepest = 0
    for token in _TOKEN.finditer(content):
        if token[0] in (b"[", b"{"):
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in (b"]", b"}"):
            depth -= 1
    return deepest


class StrictJson:
    """Reads one member of a program; every complaint names the program and the member."""

    def __init__(self, program: str, member: str) -> None:
        self.program, self.member = program, member

    def fault(self, detail: str) -> BadPackage:
        return BadPackage(self.program, self.member, detail)

    def load(self, content: bytes) -> Any:
        """Raises: BadPackage if it is not JSON of this kind."""
        if _depth(content) > MAX_DEPTH:
            raise self.fault(f"not JSON of this kind: nested deeper than {MAX_DEPTH}")
        try:
            return json.loads(content.decode("utf-8"), object_pairs_hook=self._object, parse_constant=self._constant)
        except ValueError as error:
            raise self.fault(f"not JSON ({error})") from error

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise self.fault("a key is there twice")
        return made

    def _constant(self, name: str) -> Any:
        raise self.fault(f"the number {name}")

    def fields(self, value: Any, required: str, optional: str = "") -> dict[str, Any]:
        """An object with exactly these keys (names separated by spaces)."""
        found: dict[str, Any] = self.typed(value, dict)
        must, may = set(required.split()), set(optional.split())
        if missing := must - found.keys():
            raise self.fault(f"the key {min(missing)} is missing")
        if unknown := found.keys() - must - may:
            raise self.fault(f"the key {shown(min(unknown))} is unknown")
        return found

    def choice(self, value: Any) -> tuple[str, Any]:
        """An object with exactly one key: its key and its value."""
        found: dict[str, Any] = self.typed(value, dict)
        if len(found) != 1:
            raise self.fault("a choice has not exactly one key")
        return next(iter(found.items()))

    def typed(self, value: Any, kind: type) -> Any:
        """The value, if it is exactly of this type (True is no integer)."""
        if type(value) is not kind:
            raise self.fault(f"{shown(repr(value), 60)} where there should be a {kind.__name__}")
        return value

    def listed(self, value: Any, kind: type) -> list[Any]:
        """A list whose items are all exactly of this type."""
        return [self.typed(item, kind) for item in self.typed(value, list)]

    def empty(self, value: Any, what: str) -> None:
        if value:
            raise self.fault(f"{what} must be empty")
