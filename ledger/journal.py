"""The book of one account's transactions, and the lock that makes it one process's.

SQLite, because a line must be whole on disk before the transaction it tells of leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eth_utils.address import to_checksum_address

from ledger.accounts import Key
from ledger.durable_files import open_durable
from ledger.errors import BadInput
from ledger.locks import Lock
from ledger.records import Address

_MIGRATIONS = (
    """
    CREATE TABLE IF NOT EXISTS transactions (
        nonce INTEGER PRIMARY KEY, action TEXT NOT NULL, recipient TEXT NOT NULL, data BLOB NOT NULL,
        value TEXT NOT NULL, gas INTEGER NOT NULL, settled TEXT);
    CREATE TABLE IF NOT EXISTS attempts (
        id INTEGER PRIMARY KEY, nonce INTEGER NOT NULL REFERENCES transactions ON DELETE CASCADE,
        hash TEXT NOT NULL UNIQUE, raw BLOB NOT NULL, max_fee TEXT NOT NULL, tip TEXT NOT NULL)
    """,
)


class BrokenBook(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(f"The transaction journal {path} can't be used ({detail}). Move it away to start anew.")


@dataclass(frozen=True)
class Call:
    """What a transaction does, whatever its nonce and fees are."""

    recipient: str
    """Empty for a deployment."""
    data: bytes
    value: int
    """Wei."""


@dataclass(frozen=True)
class Fees:
    """Wei a unit of gas."""

    max_fee: int
    tip: int


@dataclass(frozen=True)
class Attempt:
    """One signed form of a transaction; a replacement is another."""

    hash: str
    raw: bytes
    fees: Fees


@dataclass(frozen=True)
class Open:
    """A transaction that is not settled yet."""

    nonce: int
    action: str
    call: Call
    gas: int


def sign(transaction: Open, fees: Fees, key: Key, chain_id: int) -> Attempt:
    """Sign a form of a transaction."""
    fields = {
        "type": 2,
        "chainId": chain_id,
        "nonce": transaction.nonce,
        "gas": transaction.gas,
        "maxFeePerGas": fees.max_fee,
        "maxPriorityFeePerGas": fees.tip,
        "value": transaction.call.value,
        "data": transaction.call.data,
    }
    if transaction.call.recipient:
        fields["to"] = to_checksum_address(transaction.call.recipient)
    signed = key.sign_transaction(fields)
    return Attempt(signed.hash, signed.raw, fees)


def account_lock(path: Path, account: Address) -> Lock:
    """An account's lock: held by one process at a time.

    Raises: BadInput if another one sends with this account.
    """
    return Lock(
        path, f"Another process sends transactions from {account} already ({path}). Stop it, or use another key."
    )


class Journal:
    """The account's transactions on one chain; the caller sees to it that one thread at a time is here."""

    def __init__(self, path: Path) -> None:
        self._database = open_durable(path, _MIGRATIONS, BrokenBook, one_thread=False)

    def open(self) -> Open | None:
        """The transaction that is not settled yet."""
        row = self._database.execute(
            "SELECT nonce, action, recipient, data, value, gas FROM transactions WHERE settled IS NULL"
        ).fetchone()
        return None if row is None else Open(row[0], row[1], Call(row[2], row[3], int(row[4])), row[5])

    def attempts(self, nonce: int) -> list[Attempt]:
        """What was signed for this nonce, oldest first."""
        rows = self._database.execute(
            "SELECT hash, raw, max_fee, tip FROM attempts WHERE nonce = ? ORDER BY id", (nonce,)
        )
        return [Attempt(row[0], row[1], Fees(int(row[2]), int(row[3]))) for row in rows]

    def begin(self, transaction: Open) -> None:
        call = transaction.call
        values = (transaction.nonce, transaction.action, call.recipient, call.data, str(call.value), transaction.gas)
        self._database.execute("DELETE FROM transactions WHERE nonce = ?", (transaction.nonce,))
        self._database.execute("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, NULL)", values)

    def attempt(self, nonce: int, attempt: Attempt) -> None:
        values = (nonce, attempt.hash, attempt.raw, str(attempt.fees.max_fee), str(attempt.fees.tip))
        self._database.execute("INSERT OR IGNORE INTO attempts VALUES (NULL, ?, ?, ?, ?, ?)", values)

    def settle(self, nonce: int, transaction: str) -> None:
        """Mark a nonce as used: by the transaction with this hash, or by another's where it is empty."""
        self._database.execute("UPDATE transactions SET settled = ? WHERE nonce = ?", (transaction, nonce))

    def withdraw(self, nonce: int) -> None:
        """Forget a transaction that never left."""
        self._database.execute("DELETE FROM transactions WHERE nonce = ?", (nonce,))

    def close(self) -> None:
        self._database.close()
