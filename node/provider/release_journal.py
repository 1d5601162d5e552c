"""Which shares a provider has decided to release: written down before they leave, once a round and for ever.

Shares for two different lists of revealed and dropped members could together lay an update open, so a second list,
after a reorganisation for example, is refused. docs/PROTOCOL.md, section 16.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

import orjson

from ledger.durable_files import open_durable
from node.journal import BrokenJournal, Scope
from node.masking.errors import AlreadyDecided
from node.masking.unmasking import Lists

_MIGRATIONS = (
    """
    CREATE TABLE IF NOT EXISTS release_decided (
        chain_id INTEGER NOT NULL,
        market TEXT NOT NULL,
        bounty INTEGER NOT NULL,
        round INTEGER NOT NULL,
        provider TEXT NOT NULL,
        groups_seed BLOB NOT NULL,
        lists TEXT NOT NULL,
        PRIMARY KEY (chain_id, market, bounty, round, provider)
    ) STRICT
    """,
)


class ReleaseJournal:
    """The journal at `path`, opened or created by whichever thread decides.

    Raises: BrokenJournal if the file is damaged or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open().close()

    def decide(self, scope: Scope, round_number: int, groups_seed: bytes, lists: Lists) -> None:
        """Write down for which lists shares of a round are released; on disk when this returns.

        Raises: AlreadyDecided if it was for others, or for other groups.
        """
        key = (scope.chain_id, scope.market, scope.bounty, round_number, scope.provider)
        text = orjson.dumps([lists.revealed, lists.dropped]).decode()
        with closing(self._open()) as database:
            database.execute(
                "INSERT OR IGNORE INTO release_decided VALUES (?, ?, ?, ?, ?, ?, ?)", (*key, groups_seed, text)
            )
            kept = database.execute(
                "SELECT groups_seed, lists FROM release_decided "
                "WHERE chain_id = ? AND market = ? AND bounty = ? AND round = ? AND provider = ?",
                key,
            ).fetchone()
        if kept != (groups_seed, text):
            raise AlreadyDecided(scope.bounty, round_number)

    def _open(self) -> Connection:
        return open_durable(self._path, _MIGRATIONS, BrokenJournal)
