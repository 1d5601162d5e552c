"""The compiled contracts that the project ships: ABI and bytecode, rebuilt byte for byte by a test."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_PLACES = (
    Path(__file__).parents[1] / "contracts" / "artifacts",  # a checkout
    Path(__file__).parent / "artifacts",  # an installed wheel
)


@cache
def artifact(name: str) -> dict[str, Any]:
    """The artifact of contract `name`, with keys `abi` and `bytecode` at least."""
    for place in _PLACES:
        path = place / f"{name}.json"
        if path.is_file():
            loaded: dict[str, Any] = json.loads(path.read_text())
            return loaded
    raise FileNotFoundError(
        f"{name}.json is in none of {[str(place) for place in _PLACES]}; run `python -m ledger.build`"
    )
