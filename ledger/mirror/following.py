"""Bringing the mirror to the chain's newest blocks: the last common block, then ranges, one transaction each.

After each range the file is what a new mirror of the same chain up to the same block would be, byte for byte. Besides
the blocks with logs it keeps `checkpoints`: some block is then known near every depth, so that a reorganisation of
whatever depth is found by bisection, and few blocks are read again.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from threading import RLock

from ledger.batches import Batches, may_be_too_much
from ledger.chain import Block
from ledger.durable_files import transaction
from ledger.errors import ChainError
from ledger.keccak import Hash32
from ledger.mirror.beginning import block_before
from ledger.mirror.fetching import ChainMoved, Piece, Wanted, fetch, headers
from ledger.mirror.records import Progress, SyncResult
from ledger.mirror.schema import block_of, id_at
from ledger.records import Timestamp

FIRST_RANGE, MOST_BLOCKS = 1_000, 50_000
"""Blocks asked for at first, and at most."""
MOST_LOGS = 20_000
"""About as many logs as a range may hold: it bounds memory, and how long other writers wait."""
ATTEMPTS = 20
"""How often to begin again where the chain is reorganised while it is read."""


class UnsettledChain(ChainError):
    retryable = True

    def __init__(self, rpc_url: str) -> None:
        self.rpc_url = rpc_url
        super().__init__(
            f"The Ethereum endpoint {rpc_url} answers from chains that contradict each other. "
            f"Try again later, or use another endpoint."
        )


def checkpoints(head: int) -> set[int]:
    """The blocks that are kept besides those with logs: the head, and two multiples of each power of two before it.

    Holds: for every depth d >= 1 one of them is among the blocks head - 4 d .. head - d, or it is the first block.
    """
    found = {0, head}
    for power in range(head.bit_length()):
        last = head >> power << power
        found |= {last, max(0, last - (1 << power))}
    return found


@dataclass
class Follower:
    """One call of `Mirror.sync`. The lock is held while the file is used, not while the node is waited for.

    contracts: their row numbers by lower-case address.
    size:      blocks asked for at once.
    """

    database: sqlite3.Connection
    lock: RLock
    contracts: Mapping[str, int]
    batches: Batches
    progress: Progress
    size: int = FIRST_RANGE
    logs: int = 0

    def run(self, confirmations: int) -> SyncResult:
        """Get to the newest block that has `confirmations` blocks above it.

        Raises: UnsettledChain, StrangeAnswer, ChainUnreachable, NodeRefused.
        """
        chain = self.batches.chain
        failures, removed, restarted = 0, 0, False
        first: int | None = None
        while failures < ATTEMPTS:
            head = read_head(self.database, self.lock)
            newest = chain.block().number
            target = newest - confirmations
            common = self._common(head, target)
            below = common or self._beginning(newest, target)
            start = below.number + 1 if below else 0
            first = start if first is None else min(first, start)
            if head is not None and head != common:
                removed += head.number - (common.number if common else -1)
                restarted = restarted or (common is None and target >= 0)
            try:
                self._advance(head, common, below, target)
            except ChainMoved:
                failures = failures + 1 if read_head(self.database, self.lock) == head else 0
                continue
            return SyncResult(first, max(target, -1), self.logs, removed, restarted)
        raise UnsettledChain(chain.rpc_url)

    def _common(self, head: Block | None, target: int) -> Block | None:
        """The newest mirrored block up to `target` that the chain still has: what is above it has to go."""
        if head is None or (head.number <= target and self._stands(head)):
            return head
        with self.lock:
            rows = self.database.execute(
                "SELECT number, hash, timestamp FROM blocks WHERE number <= ? ORDER BY number", (target,)
            ).fetchall()
        mirrored = [Block(number, Hash32(value), Timestamp(time)) for number, value, time in rows]
        gone = bisect_left(mirrored, True, key=lambda block: not self._stands(block))
        return mirrored[gone - 1] if gone else None

    def _stands(self, block: Block) -> bool:
        return headers(self.batches, [block.number]) == [block]

    def _beginning(self, newest: int, target: int) -> Block | None:
        """The block after which an empty file begins; None for the first block, and where one range holds all."""
        if target < self.size:
            return None
        return block_before(self.batches, list(self.contracts), newest, target)

    def _advance(self, head: Block | None, common: Block | None, below: Block | None, target: int) -> None:
        """Write range after range from the common block to `target`; the first write removes what is above `common`.

        below: the block after which there is something to read: `common`, or one before which nothing can be.
        Raises: ChainMoved where the chain, or the file by another process, changed meanwhile.
        """
        if target < 0:
            return self._write(head, None, None)
        while common is None or common.number < target or common != head:
            first = below.number + 1 if below else 0
            last = max(min(first + self.size - 1, target), first - 1)
            try:
                wanted = Wanted(self.contracts, first, last, below, self._missing_checkpoints(common, last))
                piece = fetch(self.batches, wanted)
            except ChainError as error:
                if first >= last or not may_be_too_much(error):
                    raise
                self.size = max(1, (last - first + 1) // 8)
                continue
            self._write(head, common, piece)
            head = common = below = piece.end
            self.logs += len(piece.logs)
            self.progress(last, target, self.logs)
            is_much = len(piece.logs) > MOST_LOGS // 2
            self.size = max(1, self.size // 2) if is_much else min(self.size * 2, MOST_BLOCKS)
        return None

    def _missing_checkpoints(self, common: Block | None, last: int) -> list[int]:
        """Checkpoints of a mirror that ends at `last` that the file does not have."""
        with self.lock:
            kept = self.database.execute(
                "SELECT number FROM blocks WHERE logs = 0 AND number <= ?", (common.number if common else -1,)
            ).fetchall()
        have = {number for (number,) in kept}
        return sorted(checkpoints(last) - have)

    def _write(self, head: Block | None, common: Block | None, piece: Piece | None) -> None:
        """Replace what is above `common` by `piece`, in one transaction.

        Raises: ChainMoved if the file does not end at `head` any more.
        """
        database = self.database
        with self.lock, transaction(database):
            if read_head(database, self.lock) != head:
                raise ChainMoved
            kept = common.number if common else -1
            database.execute("DELETE FROM logs WHERE id >= ?", (id_at(kept + 1),))
            database.execute("DELETE FROM transactions WHERE id >= ?", (id_at(kept + 1),))
            database.execute("DELETE FROM blocks WHERE number > ?", (kept,))
            if piece is None:
                return
            counts = Counter(block_of(row[0]) for row in piece.logs)
            blocks = [
                (one.number, one.hash, one.timestamp, counts[one.number]) for _, one in sorted(piece.headers.items())
            ]
            database.executemany("INSERT INTO blocks VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", blocks)
            database.executemany("INSERT INTO transactions VALUES (?, ?, ?, ?, ?)", piece.transactions)
            database.executemany("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?)", piece.logs)
            needed = ",".join(map(str, sorted(checkpoints(piece.end.number))))
            database.execute(f"DELETE FROM blocks WHERE logs = 0 AND number NOT IN ({needed})")  # noqa: S608 - numbers


def read_head(database: sqlite3.Connection, lock: RLock) -> Block | None:
    """The last mirrored block."""
    with lock:
        row = database.execute("SELECT number, hash, timestamp FROM blocks ORDER BY number DESC LIMIT 1").fetchone()
    return None if row is None else Block(row[0], Hash32(row[1]), Timestamp(row[2]))
