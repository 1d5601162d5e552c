"""A contract of a few hand-assembled bytes, for tests of the chain client that need no market.

Whatever is called, it writes one empty log entry and accepts all ether; shut, it refuses with `Shut(uint256 until)`.
"""

from __future__ import annotations

from typing import Any

from eth_abi.abi import encode
from web3.types import RPCEndpoint

from ledger.chain import Chain
from ledger.keccak import keccak

RUNTIME = bytes.fromhex("60006000a000")
"""PUSH1 0, PUSH1 0, LOG0, STOP."""

CONSTRUCTOR = bytes.fromhex("6006600c60003960066000f3")
"""CODECOPY(0, 12, 6), RETURN(0, 6)."""

ABI: list[dict[str, Any]] = [
    {"type": "function", "name": "knock", "inputs": [{"name": "times", "type": "uint256"}], "outputs": [],
     "stateMutability": "payable"},
    {"type": "function", "name": "ask", "inputs": [], "outputs": [{"name": "", "type": "uint256"}],
     "stateMutability": "view"},
    {"type": "error", "name": "Shut", "inputs": [{"name": "until", "type": "uint256"}]},
]  # fmt: skip

ARTIFACT: dict[str, Any] = {"abi": ABI, "bytecode": "0x" + (CONSTRUCTOR + RUNTIME).hex()}


def shut_data(until: int) -> bytes:
    """The revert data of `Shut(until)`."""
    return bytes(keccak(b"Shut(uint256)")[:4]) + encode(["uint256"], [until])


def shut(chain: Chain, address: str, until: int) -> None:
    """Make the door refuse from now on, as only a devnet can."""
    data = shut_data(until)
    head = bytes.fromhex("6024600c60003960246000fd")  # CODECOPY(0, 12, 36), REVERT(0, 36)
    set_code(chain, address, head + data)


def set_code(chain: Chain, address: str, code: bytes) -> None:
    rpc(chain, "anvil_setCode", address, "0x" + code.hex())


def rpc(chain: Chain, method: str, *arguments: Any) -> Any:
    """Call a method of the devnet's own."""
    return chain.ask(lambda: chain.web3.manager.request_blocking(RPCEndpoint(method), list(arguments)))
