"""A view function at many past blocks: many calls in one request, as far back as the node keeps its states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from ledger.batches import Batches
from ledger.chain import NodeRefused
from ledger.decoding import abi_type


class View(Protocol):
    """A view function and its arguments, as a contract's `functions` makes them."""

    address: Any
    abi: Any

    def _encode_transaction_data(self) -> Any: ...


def call_at(batches: Batches, function: View, blocks: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    """Call the function at `blocks`, which rise; without those blocks whose state the node no longer has.

    Holds:  a node that refuses at one block and answers at a later one has pruned what is older, so the values are
            those of the last blocks. A contract may be hostile: where it fails or answers nonsense there is no value.
    Raises: ChainUnreachable.
    """
    try:
        answers = batches.ask([_question(function, block) for block in blocks])
    except NodeRefused:
        blocks = blocks[_first_answered(batches, function, blocks) :]
        answers = batches.ask([_question(function, block) for block in blocks])
    kinds = [abi_type(output) for output in function.abi["outputs"]]
    values = ((block, _decoded(kinds, answer)) for block, answer in zip(blocks, answers, strict=True))
    return {block: value for block, value in values if value is not None}


def _first_answered(batches: Batches, function: View, blocks: Sequence[int]) -> int:
    """The place of the first block that is answered; the number of blocks if none is."""
    low, high = 0, len(blocks)
    while low < high:
        middle = (low + high) // 2
        try:
            batches.ask([_question(function, blocks[middle])])
        except NodeRefused:
            low = middle + 1
        else:
            high = middle
    return low


def _question(function: View, block: int) -> tuple[str, list[Any]]:
    return "eth_call", [{"to": function.address, "data": function._encode_transaction_data()}, hex(block)]


def _decoded(kinds: Sequence[str], answer: object) -> tuple[Any, ...] | None:
    try:
        return decode(kinds, bytes.fromhex(str(answer).removeprefix("0x")))
    except (DecodingError, ValueError, OverflowError):
        return None
