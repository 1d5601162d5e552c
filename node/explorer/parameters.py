"""What an address of a page says: numbers within limits, accounts, and where a search's hit is shown."""

from __future__ import annotations

from urllib.parse import quote

from eth_utils.address import is_address, to_checksum_address
from starlette.requests import Request

from ledger.mirror import SearchHit
from ledger.records import Address, BountyId
from node.explorer.record import NotFound


def number_of(request: Request, name: str, default: int, most: int) -> int:
    """A number from the query, within 0 .. most.

    Raises: NotFound.
    """
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= most):
        raise NotFound(f"There is no such {name}; here they go from 0 to {most}.")
    return int(text)


def account_of(text: str) -> Address:
    if not is_address(text):
        raise NotFound("That is not an Ethereum address: 0x and 40 hexadecimal digits.")
    return Address(to_checksum_address(text))


def place_of(hit: SearchHit) -> str:
    """The page that shows what was found."""
    match hit.kind:
        case "account":
            return f"/account/{quote(hit.value)}"
        case "transaction":
            return f"/tx/{quote(hit.value)}"
    if hit.evaluation is not None:
        return f"/evaluation/{hit.evaluation}"
    bounty = BountyId(hit.bounty or 0)
    return f"/bounty/{bounty}" if hit.round is None else f"/bounty/{bounty}/round/{hit.round}"
