"""A provider's journal: what it produced for each round, written down before anything outside is told.

One SQLite file a node. An update is on disk and here before its commitment is sent, so a process that dies at any
line finds the same update again and never trains or submits twice for a round.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ledger.cid import Digest
from ledger.durable_files import open_durable
from ledger.errors import BadInput
from ledger.keccak import Hash32
from ledger.records import Address, BountyId

_MIGRATIONS = (
    "DROP TABLE IF EXISTS update_made",  # of markets that are gone
    """
    DROP TABLE IF EXISTS update_made;
    CREATE TABLE update_made (
        chain_id INTEGER NOT NULL,
        market TEXT NOT NULL,
        bounty INTEGER NOT NULL,
        round INTEGER NOT NULL,
        provider TEXT NOT NULL,
        cid BLOB NOT NULL,
        root BLOB NOT NULL,
        base_state BLOB NOT NULL,
        summary TEXT NOT NULL,
        PRIMARY KEY (chain_id, market, bounty, round, provider)
    ) STRICT
    """,
    "ALTER TABLE update_made ADD COLUMN momentum BLOB",
    """
    CREATE TABLE IF NOT EXISTS agreed (
        chain_id INTEGER NOT NULL,
        market TEXT NOT NULL,
        bounty INTEGER NOT NULL,
        provider TEXT NOT NULL,
        manifest BLOB NOT NULL,
        PRIMARY KEY (chain_id, market, bounty, provider)
    ) STRICT
    """,
)


class BrokenJournal(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(f"The journal {path} can't be used ({detail}). Move it away to start a new one.")


@dataclass(frozen=True)
class Scope:
    """Whose updates a journal entry is about: one provider in one bounty of one market."""

    chain_id: int
    market: Address
    bounty: BountyId
    provider: Address


@dataclass(frozen=True)
class MadeUpdate:
    """An update that was trained, encoded and pinned.

    root:       of its sum tree.
    base_state: root of the state that it was trained from.
    summary:    JSON of what the training reported.
    momentum:   digest of the momentum that it is; None where there is none.
    """

    round: int
    cid: Digest
    root: Hash32
    base_state: Hash32
    summary: str
    momentum: bytes | None = None


class Journal:
    """Opens or creates the journal at `path`.

    Raises: BrokenJournal if the file is damaged or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = open_durable(path, _MIGRATIONS, BrokenJournal)

    def close(self) -> None:
        self._database.close()

    def agree(self, scope: Scope, manifest: Digest) -> None:
        """Write down the manifest that a person has agreed to train by; a second one is ignored, the first stands."""
        self._database.execute(
            "INSERT OR IGNORE INTO agreed VALUES (?, ?, ?, ?, ?)", (*_key(scope), scope.provider, manifest)
        )

    def agreed(self, scope: Scope) -> Digest | None:
        """The manifest that a person has agreed to, if there is one."""
        row = self._database.execute(
            "SELECT manifest FROM agreed WHERE chain_id = ? AND market = ? AND bounty = ? AND provider = ?",
            (*_key(scope), scope.provider),
        ).fetchone()
        return Digest(row[0]) if row else None

    def record(self, scope: Scope, made: MadeUpdate) -> None:
        """Write down an update; a second one for the same round is ignored, the first stands."""
        row = (*_key(scope), made.round, scope.provider, made.cid, made.root)
        self._database.execute(
            "INSERT OR IGNORE INTO update_made (chain_id, market, bounty, round, provider, cid, root, "
            "base_state, summary, momentum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, made.base_state, made.summary, made.momentum),
        )

    def made(self, scope: Scope, round_number: int) -> MadeUpdate | None:
        """The update made for a round, if there is one."""
        row = self._database.execute(
            "SELECT round, cid, root, base_state, summary, momentum FROM update_made "
            "WHERE chain_id = ? AND market = ? AND bounty = ? AND round = ? AND provider = ?",
            (*_key(scope), round_number, scope.provider),
        ).fetchone()
        if row is None:
            return None
        number, cid, root, base, summary, momentum = row
        return MadeUpdate(number, Digest(cid), Hash32(root), Hash32(base), summary, momentum)


def _key(scope: Scope) -> tuple[int, str, int]:
    return scope.chain_id, scope.market, scope.bounty
