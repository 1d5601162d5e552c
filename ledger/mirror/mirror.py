"""The mirror itself: kept at the chain's head by `sync`, read by everything else without a node."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from ledger.abi_reading import checksummed
from ledger.artifacts import artifact
from ledger.batches import Batches
from ledger.chain import Block, Chain, ContractLog
from ledger.decoding import EventDecoder
from ledger.errors import BadInput
from ledger.history import BountyHistory, build_history
from ledger.keccak import Hash32
from ledger.mirror.following import FIRST_RANGE, Follower, read_head
from ledger.mirror.gas import gas_by_kind
from ledger.mirror.records import GasUse, MirroredTransaction, Progress, SearchHit, SyncResult
from ledger.mirror.schema import block_of, id_at, index_of, open_database
from ledger.mirror.searching import search
from ledger.records import Address, BountyId, Event, Position, Timestamp

_LOGS = "SELECT logs.id, t.hash, topics, data FROM logs JOIN transactions AS t ON t.id = logs.tx WHERE contract = ? "
_LAST = 2**40
"""No block has a number so large."""


class NotMirrored(BadInput):
    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} is not in the mirror. Bring it up to date with `fedbounty mirror`.")


class Mirror:
    """One mirror file, open. Safe to use from several threads; other processes may read and write it meanwhile."""

    def __init__(self, path: Path, database: sqlite3.Connection, contracts: Sequence[Address]) -> None:
        """Use `open`. contracts: in the order of their rows."""
        self.path, self.contracts = path, tuple(contracts)
        self._database, self._lock = database, RLock()
        self._rows = {address: number for number, address in enumerate(contracts, 1)}
        self._decoder = EventDecoder(artifact("TrainingMarket")["abi"])

    @classmethod
    def open(cls, path: Path, chain_id: int, contracts: Sequence[Address], *, read_only: bool = False) -> Mirror:
        """Open the mirror of a chain's contracts, of which the first is the market; make it if it is not there.

        read_only: nothing is made or written, so `sync` can't be called.
        Raises: WrongMirror if the file is another chain's or market's; DamagedMirror; NoMirror.
        """
        database = open_database(path, chain_id, contracts, read_only)
        known = [Address(row[0]) for row in database.execute("SELECT address FROM contracts ORDER BY id")]
        return cls(path, database, known)

    def sync(
        self,
        chain: Chain,
        *,
        confirmations: int = 0,
        progress: Progress = lambda block, target, logs: None,
        first_range: int = FIRST_RANGE,
    ) -> SyncResult:
        """Bring the mirror to the chain's newest block that has `confirmations` blocks above it.

        first_range: blocks to ask for at first; then as many as the node answers well.
        It may be interrupted at any moment, and called again. What the chain no longer has is removed.
        Raises: UnsettledChain, StrangeAnswer, ChainUnreachable, NodeRefused.
        """
        contracts = {address.lower(): row for address, row in self._rows.items()}
        return Follower(self._database, self._lock, contracts, Batches(chain), progress, first_range).run(confirmations)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read inside is of one moment, whoever writes meanwhile."""
        with self._lock:
            self._database.execute("BEGIN")
            try:
                yield
            finally:
                self._database.execute("ROLLBACK")

    def head(self) -> Block | None:
        """The last mirrored block; None before the first `sync`."""
        return read_head(self._database, self._lock)

    def logs(
        self, address: Address, first: int = 0, last: int | None = None, *, subject: int | None = None
    ) -> list[ContractLog]:
        """A followed contract's log entries in the order of execution.

        first, last: blocks, inclusive.
        subject:     what their second topic must be: the bounty in most contracts' events; None for any.
        Raises: NotMirrored for another contract.
        """
        if address not in self._rows:
            raise NotMirrored(f"The contract {address}")
        return [_contract_log(row, address) for row in self._between(self._rows[address], subject, first, last)]

    def events(self, bounty: BountyId | None = None, first: int = 0, last: int | None = None) -> list[Event]:
        """The market's events in the order of execution: the same values as `Market.events`.

        Raises: UndecodableLog.
        """
        rows, read = self._between(1, bounty, first, last), self._decoder.read
        events = (read(_position(place, transaction), topics, data) for place, transaction, topics, data in rows)
        return [event for event in events if event is not None]

    def history(self, bounty: BountyId) -> BountyHistory:
        """A bounty's story up to the mirror's head.

        Raises: NotMirrored if there is no such bounty yet; BrokenHistory, UndecodableLog.
        """
        events = self.events(bounty)
        if not events:
            raise NotMirrored(f"Bounty {bounty}")
        return build_history(events)

    def bounties(self) -> list[BountyId]:
        """All bounties of the market, in the order of their numbers."""
        rows = self._select("SELECT DISTINCT subject FROM logs WHERE contract = 1 AND subject > ? ORDER BY 1", (b"",))
        return [BountyId(int.from_bytes(subject, "big")) for (subject,) in rows]

    def transaction(self, tx_hash: str) -> MirroredTransaction | None:
        """A transaction that wrote mirrored logs; None for any other, and for what is no hash."""
        try:
            key = bytes.fromhex(tx_hash.removeprefix("0x"))
        except ValueError:
            return None
        rows = self._select(
            "SELECT id, sender, gas_used, gas_price FROM transactions WHERE hash = ?",
            (key,),
        )
        for place, sender, gas_used, gas_price in rows:
            block, account = block_of(place), Address(checksummed(sender))
            return MirroredTransaction("0x" + key.hex(), block, self.block_time(block), account, gas_used, gas_price)
        return None

    def gas_by_bounty(self, bounty: BountyId) -> list[GasUse]:
        """What a bounty's transactions took, by kind and sender, the most gas first."""
        with self._lock:
            return gas_by_kind(self._database, bounty)

    def block(self, number: int) -> Block:
        """A block that holds mirrored logs.

        Raises: NotMirrored for a block that is not kept.
        """
        for value, time in self._select("SELECT hash, timestamp FROM blocks WHERE number = ?", (number,)):
            return Block(number, Hash32(value), Timestamp(time))
        raise NotMirrored(f"Block {number}")

    def block_time(self, number: int) -> Timestamp:
        """When a block that holds mirrored logs was made.

        Raises: NotMirrored for a block that is not kept.
        """
        return self.block(number).timestamp

    def search(self, text: str) -> list[SearchHit]:
        """Bounties and evaluations by number; accounts, transactions, roots by 0x-hex; files by CID; else nothing."""
        with self._lock:
            return search(self._database, text)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _between(self, contract: int, subject: int | None, first: int, last: int | None) -> list[Any]:
        of_subject = "" if subject is None else "AND subject = ? "
        wanted = [] if subject is None else [subject.to_bytes(32, "big")]
        query = _LOGS + of_subject + "AND logs.id >= ? AND logs.id < ? ORDER BY logs.id"
        return self._select(query, (contract, *wanted, *_ids(first, last)))

    def _select(self, query: str, values: Sequence[Any]) -> list[Any]:
        with self._lock:
            return self._database.execute(query, values).fetchall()


def _ids(first: int, last: int | None) -> tuple[int, int]:
    """The range of ids in a range of blocks, half-open."""
    until = _LAST if last is None else min(last + 1, _LAST)
    return id_at(max(0, min(first, _LAST))), id_at(max(0, until))


def _position(place: int, transaction: bytes) -> Position:
    return Position(block_of(place), index_of(place), f"0x{transaction.hex()}")


def _contract_log(row: tuple[int, bytes, bytes, bytes], address: Address) -> ContractLog:
    place, transaction, topics, data = row
    parts = tuple(topics[at : at + 32] for at in range(0, len(topics), 32))
    return ContractLog(_position(place, transaction), parts, data, address)
