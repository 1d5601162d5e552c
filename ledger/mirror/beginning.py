"""Where following begins: after the last block in which none of the followed contracts was there.

It is found by bisection where the endpoint keeps old states. One that has forgotten them may refuse, or say that there
was no code: what it says counts only if the next block holds the transaction that made one of the contracts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.batches import Batches, may_be_too_much
from ledger.chain import Block, created_address
from ledger.errors import ChainError, ChainUnreachable
from ledger.mirror.fetching import headers


def block_before(batches: Batches, contracts: Sequence[str], newest: int, target: int) -> Block | None:
    """The last block up to `target` without any of the contracts; None where that can't be told.

    contracts: lower-case addresses; one of them has code in block `newest`.
    Raises:    ChainUnreachable.
    """
    try:
        first = _first_with_code(batches, contracts, newest)
        if first == 0 or not _makes_one(batches, contracts, first):
            return None
        [before] = headers(batches, [min(first - 1, target)])
        if before is None or _have_code(batches, contracts, {"blockHash": "0x" + before.hash.hex()}):
            return None
    except ChainUnreachable as error:
        if not may_be_too_much(error):
            raise
        return None
    except (ChainError, AttributeError, KeyError, TypeError, ValueError):
        return None
    return before


def _first_with_code(batches: Batches, contracts: Sequence[str], newest: int) -> int:
    """The first block with code at one of the addresses, if there is any from then on."""
    low, high = 0, newest
    while low < high:
        middle = (low + high) // 2
        if _have_code(batches, contracts, hex(middle)):
            high = middle
        else:
            low = middle + 1
    return low


def _have_code(batches: Batches, contracts: Sequence[str], at: str | dict[str, str]) -> bool:
    """Whether one of the addresses has code at a block."""
    found = batches.ask([("eth_getCode", [address, at]) for address in contracts])
    return any(bytes.fromhex(code[2:]) for code in found)


def _makes_one(batches: Batches, contracts: Sequence[str], number: int) -> bool:
    """Whether a transaction of the block made one of the contracts."""
    [block] = batches.ask([("eth_getBlockByNumber", [hex(number), True])])
    made: list[dict[str, Any]] = [one for one in block["transactions"] if one.get("to") is None]
    return any(created_address(one["from"], int(one["nonce"], 16)).lower() in contracts for one in made)
