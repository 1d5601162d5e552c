"""One account's transactions: simulated, signed, journalled, sent, waited for, replaced where they are stuck.

A `Transactor` owns its account's nonces, and a lock on a file keeps every other process on this machine away.
A transaction is written down before it is sent, and the next one is sent only when it is settled. So at most one is
ever open, and after a crash at any line the next start finds it, sends the same bytes again, and waits for it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from eth_abi.abi import encode
from eth_utils.address import to_checksum_address
from web3.contract.contract import ContractFunction
from web3.exceptions import ContractLogicError, TransactionNotFound

from ledger.accounts import Key
from ledger.chain import Chain, ContractLog, NodeRefused, contract_log, reverted
from ledger.decoding import Abi
from ledger.errors import ChainError, NonceTaken, Reverted, StuckTransaction, TooLittleFunds
from ledger.fees import FeePolicy
from ledger.journal import Attempt, Call, Fees, Journal, Open, account_lock, sign
from ledger.notices import TransactionFound, TransactionSent, TransactionSettled
from ledger.records import Address

BUMPS = 40
"""Raises of a fee before a transaction that stays underpriced is given up: a factor of 111."""


@dataclass(frozen=True)
class Patience:
    """How long a transactor waits before it does something."""

    poll_seconds: float = 0.1
    replace_after_seconds: float = 30.0
    """Without a receipt for so long, the same transaction is sent at a higher fee."""
    give_up_after_seconds: float = 300.0
    receipt_grace_seconds: float = 5.0
    """How long a node may know that a nonce is used and not yet have the receipt."""
    max_fee_per_gas: int | None = None
    """Wei a unit of gas that is never exceeded; None for no limit."""


@dataclass(frozen=True)
class Receipt:
    """A transaction that was mined and succeeded."""

    transaction: str
    block: int
    gas_used: int
    fee: int
    """Wei paid for the gas."""
    logs: tuple[ContractLog, ...]
    contract: str
    """The new contract's address after a deployment; else empty."""
    seconds: float = field(default=0.0, compare=False)
    """From sending it to having this receipt."""


class Transactor:
    """Sends one key's transactions, one after the other. Safe to use from several threads."""

    def __init__(
        self,
        chain: Chain,
        key: Key,
        state: Path,
        patience: Patience = Patience(),
        clock: Callable[[], float] = monotonic,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        """Own the key's nonces; `state` is the folder for its lock and its journal.

        Raises: BadInput if another process owns them.
        """
        self.chain, self._key, self._patience, self._clock, self._pause = chain, key, patience, clock, pause
        self._eth: Any = chain.web3.eth
        self._fees = FeePolicy(chain, patience.max_fee_per_gas)
        self._turn = threading.Lock()
        genesis = chain.block(0).hash.hex()[:8]  # a devnet that is started anew has the same id and other nonces
        self._lock = account_lock(state / f"{chain.chain_id}-{key.address}.lock", key.address)
        try:
            self._journal = Journal(state / f"{chain.chain_id}-{genesis}-{key.address}.sqlite")
        except BaseException:
            self._lock.close()
            raise
        found = self._journal.open()
        if found is not None:
            for attempt in self._journal.attempts(found.nonce)[-1:]:
                chain.tell(TransactionFound(found.action, attempt.hash, found.nonce))

    @property
    def address(self) -> Address:
        return self._key.address

    def send(self, action: str, call: ContractFunction, value: int = 0) -> Receipt:
        """Send a call with `value` wei and return when it is mined and succeeded.

        A transaction that a crash left open is settled first; if it is this very call, its receipt is the answer.
        Raises: Reverted with the contract's error and nothing spent, if the call fails beforehand; Reverted with the
        gas spent if it fails when mined; TooLittleFunds; StuckTransaction and ChainUnreachable, after which the same
        call may be sent again; NonceTaken.
        """
        unpriced = {"gas": 0, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0, "nonce": 0, "chainId": self.chain.chain_id}
        built: Any = call.build_transaction(unpriced)  # type: ignore[arg-type]
        return self._send(action, Call(built["to"], bytes.fromhex(built["data"][2:]), value), call.contract_abi)

    def deploy(
        self, action: str, artifact: Mapping[str, Any], arguments: Sequence[Address] = ()
    ) -> tuple[Address, Receipt]:
        """Deploy a compiled contract whose constructor takes addresses or nothing; returns its address too.

        Raises: as `send`.
        """
        code = bytes.fromhex(str(artifact["bytecode"]).removeprefix("0x"))
        code += encode(["address"] * len(arguments), arguments)
        receipt = self._send(action, Call("", code, 0), artifact["abi"])
        return Address(receipt.contract), receipt

    def recover(self) -> Receipt | None:
        """Settle the transaction that a crash left open; None if there is none, or it failed.

        Raises: StuckTransaction, ChainUnreachable, NonceTaken.
        """
        with self._turn:
            return self._recover()[1]

    def close(self) -> None:
        """Give up the key's nonces."""
        self._journal.close()
        self._lock.close()

    def _send(self, action: str, call: Call, abi: Abi | None) -> Receipt:
        with self._turn:
            left_open, receipt = self._recover()
            if receipt is not None and left_open == call:
                return receipt
            gas = self._simulate(action, call, abi)
            fees = self._fees.suggested()
            self._check_funds(call.value + gas * fees.max_fee)
            transaction = Open(self._nonce(), action, call, gas)
            self._journal.begin(transaction)
            self._broadcast(transaction, fees)
            return self._settle(transaction, abi)

    def _simulate(self, action: str, call: Call, abi: Abi | None) -> int:
        """Try the call on the pending block; returns the gas to allow for it."""
        transaction = {"from": self.address, "data": "0x" + call.data.hex(), "value": call.value}
        if call.recipient:
            transaction["to"] = call.recipient
        try:
            self.chain.ask(lambda: self._eth.call(transaction, "pending"))
            estimate = int(self.chain.ask(lambda: self._eth.estimate_gas(transaction, "pending")))
        except ContractLogicError as error:
            raise reverted(action, error, abi) from error
        except NodeRefused as error:
            raise self._refusal(error, call.value) from error
        return estimate * 5 // 4 + 5_000

    def _check_funds(self, needed: int) -> None:
        available = self.chain.balance(self.address)
        if available < needed:
            raise TooLittleFunds(self.address, "ether for gas", needed, available)

    def _nonce(self) -> int:
        """The next nonce. Pending transactions that we know nothing of get their time, then are replaced."""
        started = self._clock()
        while True:
            mined, pending = self._count("latest"), self._count("pending")
            if mined >= pending or self._clock() - started > self._patience.replace_after_seconds:
                return mined
            self._pause(self._patience.poll_seconds)

    def _count(self, block: str) -> int:
        return int(self.chain.ask(lambda: self._eth.get_transaction_count(self.address, block)))

    def _broadcast(self, transaction: Open, fees: Fees) -> None:
        """Sign, write down, send; at a higher fee for as long as the node finds it too low."""
        for _ in range(BUMPS):
            attempt = sign(transaction, fees, self._key, self.chain.chain_id)
            self._journal.attempt(transaction.nonce, attempt)
            try:
                self._deliver(attempt.raw)
                return self._tell_sent(transaction, attempt)
            except NodeRefused as error:
                higher = self._fees.raised(fees)
                if "underpriced" not in error.message.lower() or higher == fees:
                    return self._withdraw(transaction, fees, error)
                fees = higher
        raise StuckTransaction(transaction.action, attempt.hash, 0.0)

    def _withdraw(self, transaction: Open, fees: Fees, error: NodeRefused) -> None:
        """Forget a transaction that the node refused, unless an earlier form of it may be on its way."""
        if len(self._journal.attempts(transaction.nonce)) > 1:
            return
        self._journal.withdraw(transaction.nonce)
        self.chain.tell(TransactionSettled(transaction.action, "withdrawn"))
        if "nonce" in error.message.lower():
            raise NonceTaken(transaction.action, transaction.nonce) from error
        raise self._refusal(error, transaction.call.value + transaction.gas * fees.max_fee) from error

    def _refusal(self, error: NodeRefused, needed: int) -> ChainError:
        if "insufficient funds" in error.message.lower():
            return TooLittleFunds(self.address, "ether", needed, self.chain.balance(self.address))
        return error

    def _deliver(self, raw: bytes) -> None:
        try:
            self.chain.ask(lambda: self._eth.send_raw_transaction(raw))
        except NodeRefused as error:
            if "already" not in error.message.lower() and "known" not in error.message.lower():
                raise

    def _recover(self) -> tuple[Call | None, Receipt | None]:
        transaction = self._journal.open()
        if transaction is None:
            return None, None
        if not self._journal.attempts(transaction.nonce):  # written down, but never signed
            self._journal.withdraw(transaction.nonce)
            return None, None
        for nonce in range(
            self._count("latest"), transaction.nonce + 1
        ):  # a reorganisation may have undone earlier ones
            for attempt in self._journal.attempts(nonce)[-1:]:
                with contextlib.suppress(NodeRefused):  # mined, replaced or underpriced by now: the wait finds out
                    self._deliver(attempt.raw)
        try:
            return transaction.call, self._settle(transaction, None)
        except Reverted:
            return transaction.call, None

    def _settle(self, transaction: Open, abi: Abi | None) -> Receipt:
        """Wait until a form of the transaction is mined, replacing it where it is stuck."""
        started = sent = self._clock()
        overtaken: float | None = None
        while True:
            taken = self._count("latest") > transaction.nonce
            attempts = self._journal.attempts(transaction.nonce)
            for attempt in reversed(attempts):
                mined = self._mined(attempt.hash)
                if mined is not None:
                    self._journal.settle(transaction.nonce, attempt.hash)
                    receipt = self._receipt(transaction, mined, self._clock() - started)
                    if mined["status"] == 1:
                        return receipt
                    raise self._failed(transaction, receipt, abi)
            now = self._clock()
            overtaken = (now if overtaken is None else overtaken) if taken else None
            if overtaken is not None and now - overtaken > self._patience.receipt_grace_seconds:
                self._journal.settle(transaction.nonce, "")
                self.chain.tell(TransactionSettled(transaction.action, "overtaken", seconds=now - started))
                raise NonceTaken(transaction.action, transaction.nonce)
            if not taken and now - started > self._patience.give_up_after_seconds:
                raise StuckTransaction(transaction.action, attempts[-1].hash, now - started)
            if now - sent > self._patience.replace_after_seconds and not taken:
                self._broadcast(transaction, self._fees.raised(attempts[-1].fees))
                sent = now
            self._pause(self._patience.poll_seconds)

    def _mined(self, transaction: str) -> Mapping[str, Any] | None:
        def receipt() -> Mapping[str, Any] | None:
            try:
                found: Mapping[str, Any] = self._eth.get_transaction_receipt(transaction)
            except TransactionNotFound:
                return None
            return found

        return self.chain.ask(receipt)

    def _tell_sent(self, transaction: Open, attempt: Attempt) -> None:
        forms = len(self._journal.attempts(transaction.nonce))
        self.chain.tell(TransactionSent(transaction.action, attempt.hash, transaction.nonce, forms))

    def _receipt(self, transaction: Open, mined: Mapping[str, Any], seconds: float) -> Receipt:
        """The receipt of what was mined, be it a success or not."""
        receipt = Receipt(
            transaction="0x" + bytes(mined["transactionHash"]).hex(),
            block=int(mined["blockNumber"]),
            gas_used=int(mined["gasUsed"]),
            fee=int(mined["gasUsed"]) * int(mined["effectiveGasPrice"]),
            logs=tuple(contract_log(entry) for entry in mined["logs"]),
            contract=to_checksum_address(mined["contractAddress"]) if mined.get("contractAddress") else "",
            seconds=seconds,
        )
        spent = (receipt.transaction, receipt.gas_used, receipt.fee, seconds)
        self.chain.tell(TransactionSettled(transaction.action, "mined" if mined["status"] == 1 else "reverted", *spent))
        return receipt

    def _failed(self, transaction: Open, receipt: Receipt, abi: Abi | None) -> Reverted:
        """Why a mined transaction failed: it is tried again on the block before."""
        call = transaction.call
        again = {"from": self.address, "to": call.recipient, "data": "0x" + call.data.hex(), "value": call.value}
        try:
            self.chain.ask(lambda: self._eth.call(again, receipt.block - 1))
        except ContractLogicError as error:
            return reverted(transaction.action, error, abi)
        return Reverted(transaction.action, "failed when mined", {"transaction": receipt.transaction})
