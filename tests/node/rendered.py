"""A page of the explorer as HTML, without a server."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.chain import Block
from node.explorer.reading import Reading
from node.explorer.rendering import Pages


@dataclass(frozen=True)
class Still:
    """A feed that stands still."""

    trouble: str = ""
    head: Block | None = None
    reading: Reading | None = None


def rendered(template: str, **content: object) -> str:
    shared = {"feed": Still(), "version": 1, "chain_id": 31337, "query": "", "clock": None}
    return bytes(Pages().render(template, **shared | content).body).decode()
