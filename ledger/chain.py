"""The door to an Ethereum node: reads with time limits, repeated where the connection failed, pinned to a block.

Nothing of web3.py's errors gets past this module and `ledger.transactions`: they become `ledger.errors`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import requests
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_typing import HexAddress, HexStr
from eth_utils.address import is_address, to_checksum_address
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.exceptions import BadFunctionCallOutput, BadResponseFormat, ContractLogicError, Web3Exception, Web3RPCError
from web3.types import Nonce
from web3.utils.address import get_create_address

from ledger.bounded_answers import AnswerTooLong, BoundedAdapter
from ledger.decoding import Abi, Log, abi_type
from ledger.errors import BadInput, ChainError, ChainUnreachable, Reverted, StrangeAnswer, WrongChain
from ledger.keccak import Hash32, keccak
from ledger.notices import CallMade, CallRepeated, Observer, ignore
from ledger.records import Address, Position, Timestamp

T = TypeVar("T")

CALL_SECONDS = 20.0
ATTEMPTS = 4
FIRST_RANGE = 50_000
"""Blocks asked for at once when reading logs; halved where the node finds it too much."""

Tag = Literal["latest", "pending"]

_CONNECTION = (requests.ConnectionError, requests.Timeout)
_TOO_MUCH = (requests.Timeout, AnswerTooLong)
_REVERT_TEXT = bytes.fromhex("08c379a0")
_REVERT_PANIC = bytes.fromhex("4e487b71")


@dataclass(frozen=True)
class Block:
    """A block to which reads can be pinned."""

    number: int
    hash: Hash32
    timestamp: Timestamp


@dataclass(frozen=True)
class ContractLog(Log):
    """A log entry with the contract that wrote it."""

    address: Address


class Chain:
    """One Ethereum node. Safe to use from several threads."""

    def __init__(self, rpc_url: str, web3: Web3, session: requests.Session, tell: Observer = ignore) -> None:
        """Use `connect`, which checks the endpoint."""
        self.rpc_url = rpc_url
        self.web3 = web3
        self.tell = tell
        self._session = session
        self.chain_id: int = self.ask(lambda: web3.eth.chain_id)

    def contract(self, address: Address | str, abi: Abi) -> Contract:
        """The contract at `address`.

        Raises: BadInput if that is no address, WrongChain if there is no code at it.
        """
        if not is_address(address):
            raise BadInput(f"{address[:64]!r} is not an Ethereum address.")
        checked = to_checksum_address(address)
        if not self.ask(lambda: self.web3.eth.get_code(checked)):
            raise WrongChain(f"There is no contract at {checked} on chain {self.chain_id} ({self.rpc_url}).")
        return self.web3.eth.contract(address=checked, abi=list(abi))

    def call(self, function: ContractFunction, at: Block | None = None) -> Any:
        """Call a view function, at block `at` or the newest.

        Raises: Reverted with the contract's error; WrongChain if the answer does not fit the ABI.
        """
        pinned: Any = at.number if at else "latest"
        try:
            return self.ask(lambda: function.call(block_identifier=pinned))
        except ContractLogicError as error:
            raise reverted(f"answer {function.fn_name}", error, function.contract_abi) from error
        except BadFunctionCallOutput as error:
            raise WrongChain(f"The contract at {function.address} is another one than expected: {error}.") from error

    def estimate_gas(self, function: ContractFunction, sender: Address) -> int:
        """What a call would take as a transaction that `sender` sends now.

        Raises: Reverted with the contract's error.
        """
        try:
            return int(self.ask(lambda: function.estimate_gas({"from": to_checksum_address(sender)})))
        except ContractLogicError as error:
            raise reverted(f"estimate {function.fn_name}", error, function.contract_abi) from error

    def block(self, block: int | Tag = "latest") -> Block:
        """A block's number, hash and time.

        Raises: ChainError if the node does not know it.
        """
        found = self.ask(lambda: self.web3.eth.get_block(block))
        try:
            return Block(int(found["number"]), Hash32(bytes(found["hash"])), Timestamp(int(found["timestamp"])))
        except (KeyError, TypeError, ValueError) as error:
            raise StrangeAnswer(self.rpc_url, "a broken block") from error

    def logs(
        self, address: Address, topics: Sequence[bytes | None] | None = None, first: int = 0, last: int | None = None
    ) -> list[ContractLog]:
        """A contract's log entries in the order of execution.

        topics: one value a position, None for any; None for all logs.
        first, last: block numbers, inclusive; `last` None for the newest block.
        """
        last = self.block().number if last is None else last
        wanted = [None if topic is None else "0x" + topic.hex() for topic in topics or ()]
        found: list[ContractLog] = []
        size = FIRST_RANGE
        while first <= last:
            until = min(first + size - 1, last)
            try:
                found += self._logs({"address": address, "topics": wanted, "fromBlock": first, "toBlock": until})
            except (ChainError, Web3RPCError) as error:
                if size == 1:
                    raise
                if isinstance(error, ChainUnreachable) and not isinstance(error.__cause__, _TOO_MUCH):
                    raise
                size = max(1, size // 8)
            else:
                first, size = until + 1, min(size * 2, FIRST_RANGE)
        return found

    def gas_used(self, transaction: str) -> int:
        """Gas that a mined transaction took."""
        return self.ask(lambda: int(self.web3.eth.get_transaction_receipt(HexStr(transaction))["gasUsed"]))

    def balance(self, account: Address) -> int:
        """An account's ether, in wei."""
        return self.ask(lambda: int(self.web3.eth.get_balance(to_checksum_address(account))))

    def transaction_count(self, account: Address) -> int:
        """How many of an account's transactions were mined: its next nonce."""
        return self.ask(lambda: int(self.web3.eth.get_transaction_count(to_checksum_address(account))))

    def post(self, body: bytes) -> bytes:
        """One exchange with the node as it goes over the wire; `ledger.batches` gives it meaning."""
        provider: Any = self.web3.provider

        def exchange() -> bytes:
            answer = self._session.post(self.rpc_url, data=body, **provider.get_request_kwargs())
            answer.raise_for_status()
            return answer.content

        return self.ask(exchange)

    def close(self) -> None:
        """Close the connections; later calls open new ones."""
        self._session.close()

    def ask(self, call: Callable[[], T]) -> T:
        """Make one call to the node, again where the connection failed; `tell` hears how it went.

        Raises: ChainUnreachable; ChainError if the node refuses; the contract's own errors as they are.
        """
        started = monotonic()
        outcome: Literal["answered", "reverted", "refused", "unreachable"] = "unreachable"
        try:
            found = self._ask(call)
            outcome = "answered"
            return found
        except (ContractLogicError, BadFunctionCallOutput):
            outcome = "reverted"
            raise
        except ChainError as error:
            outcome = "unreachable" if isinstance(error, ChainUnreachable) else "refused"
            raise
        finally:
            self.tell(CallMade(outcome, monotonic() - started))

    def _ask(self, call: Callable[[], T]) -> T:
        again = retry(
            retry=retry_if_exception_type(_CONNECTION),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=0.1, max=2.0),
            before_sleep=lambda _: self.tell(CallRepeated()),
            reraise=True,
        )
        try:
            return again(call)()
        except (ContractLogicError, BadFunctionCallOutput):
            raise
        except (requests.RequestException, BadResponseFormat, ValueError) as error:
            raise ChainUnreachable(self.rpc_url, _cause(error)) from error
        except Web3RPCError as error:
            raise NodeRefused(self.rpc_url, _message(error)) from error
        except (Web3Exception, AttributeError, KeyError, TypeError) as error:  # the latter: of another form altogether
            raise StrangeAnswer(self.rpc_url, _cause(error)) from error

    def _logs(self, query: Mapping[str, Any]) -> list[ContractLog]:
        found = self.ask(lambda: [contract_log(entry) for entry in self.web3.eth.get_logs(dict(query))])  # type: ignore[arg-type]
        asked, blocks = query["address"].lower(), range(query["fromBlock"], query["toBlock"] + 1)
        if any(log.address.lower() != asked or log.at.block not in blocks for log in found):
            raise StrangeAnswer(self.rpc_url, "logs that were not asked for")
        return found


class NodeRefused(ChainError):
    """The node answered a request with an error; `message` is its own text."""

    def __init__(self, rpc_url: str, message: str) -> None:
        self.rpc_url, self.message = rpc_url, message
        super().__init__(f"The Ethereum endpoint {rpc_url} refused a request: {message}.")


def connect(
    rpc_url: str, chain_id: int | None = None, *, timeout_s: float = CALL_SECONDS, tell: Observer = ignore
) -> Chain:
    """Connect to a node, and check that it is on the chain that is meant.

    Raises: BadInput if `rpc_url` is no http(s) address, ChainUnreachable, WrongChain if its id is not `chain_id`.
    """
    parts = urlsplit(rpc_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{rpc_url[:100]!r} is not the address of an Ethereum endpoint, such as http://127.0.0.1:8545.")
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", BoundedAdapter())
    session.mount("https://", BoundedAdapter())
    provider = HTTPProvider(rpc_url, {"timeout": timeout_s}, session=session, exception_retry_configuration=None)
    chain = Chain(rpc_url, Web3(provider), session, tell)
    if chain_id is not None and chain.chain_id != chain_id:
        raise WrongChain(f"{rpc_url} is on chain {chain.chain_id}, not on chain {chain_id}.")
    return chain


def created_address(account: str, transaction: int) -> Address:
    """The address of the contract that a transaction of the account makes. transaction: its nonce."""
    return Address(get_create_address(HexAddress(HexStr(account)), Nonce(transaction)))


def contract_log(entry: Mapping[str, Any]) -> ContractLog:
    """A log entry from the node's own form."""
    transaction = "0x" + bytes(entry["transactionHash"]).hex()
    return ContractLog(
        at=Position(int(entry["blockNumber"]), int(entry["logIndex"]), transaction),
        topics=tuple(bytes(topic) for topic in entry["topics"]),
        data=bytes(entry["data"]),
        address=Address(to_checksum_address(entry["address"])),
    )


def reverted(action: str, error: ContractLogicError, abi: Abi | None) -> Reverted:
    """Name the contract's refusal by its ABI."""
    data = error.data if isinstance(error.data, str) else ""
    try:
        raw = bytes.fromhex(data.removeprefix("0x"))
    except ValueError:
        raw = b""
    name, arguments = decode_error(raw, abi or ())
    return Reverted(action, name, arguments or ({"message": error.message} if not raw and error.message else {}))


def decode_error(data: bytes, abi: Abi) -> tuple[str, dict[str, object]]:
    """The name and arguments of a revert's data: a custom error of `abi`, a text, a panic, or unknown."""
    selector, body = data[:4], data[4:]
    try:
        if selector == _REVERT_TEXT:
            return "Error", {"message": decode(["bytes"], body)[0].decode("utf-8", "replace")}
        if selector == _REVERT_PANIC:
            return "Panic", {"code": decode(["uint256"], body)[0]}
        for item in abi:
            if item.get("type") == "error" and _selector(item) == selector:
                values = decode([abi_type(given) for given in item["inputs"]], body)
                return item["name"], {i["name"]: _shown(i, v) for i, v in zip(item["inputs"], values, strict=True)}
    except (DecodingError, ValueError, OverflowError):
        pass
    return ("unknown error", {"data": "0x" + data[:100].hex()}) if data else ("without a reason", {})


def _selector(item: Mapping[str, Any]) -> bytes:
    signature = f"{item['name']}({','.join(abi_type(given) for given in item['inputs'])})"
    return bytes(keccak(signature.encode())[:4])


def _shown(item: Mapping[str, Any], value: object) -> object:
    if item["type"] == "address":
        return to_checksum_address(str(value))
    return "0x" + value.hex() if isinstance(value, bytes) else value


def _message(error: Web3RPCError) -> str:
    response = error.rpc_response or {}
    detail = response.get("error") if isinstance(response, Mapping) else None
    text = detail.get("message") if isinstance(detail, Mapping) else None
    return str(text or error)[:300].rstrip(".")


def _cause(error: BaseException) -> str:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    text = re.sub(r"^\w+\(host=[^)]*\): |^<[^>]*>: ", "", str(reason or error))
    return text[:200].rstrip(".") or type(error).__name__
