"""What a provider's masks were used for, and which shares it released: written down before either leaves, for ever.

Two updates under the same masks could be subtracted from each other, and shares for two different lists of revealed
and dropped members could together lay an update open; so a second of either is refused, whatever an endpoint says of
the chain, and whatever other file of the node was lost. docs/PROTOCOL.md, section 16.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

import orjson

from ledger.durable_files import open_durable
from ledger.errors import BadInput, ProtocolFault
from ledger.keccak import Hash32
from node.journal import Scope
from node.masking.errors import AlreadyDecided
from node.masking.unmasking import Lists

RELEASES = "releases.sqlite"
"""The journal's file in the node's home: one for all chains, since an endpoint can lie about which one it is on."""

_MIGRATIONS = (
    """
    CREATE TABLE masked (
        provider TEXT NOT NULL,
        groups_seed BLOB NOT NULL,
        update_root BLOB NOT NULL,
        PRIMARY KEY (provider, groups_seed)
    ) STRICT;
    CREATE TABLE release_decided (
        first_block BLOB NOT NULL,
        chain_id INTEGER NOT NULL,
        market TEXT NOT NULL,
        bounty INTEGER NOT NULL,
        round INTEGER NOT NULL,
        provider TEXT NOT NULL,
        groups_seed BLOB NOT NULL,
        lists TEXT NOT NULL,
        PRIMARY KEY (first_block, chain_id, market, bounty, round, provider),
        UNIQUE (provider, groups_seed)
    ) STRICT
    """,
)


class BrokenReleases(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(
            f"The journal of masks {path} can't be used ({detail}). Put back a copy: without it nobody knows which "
            f"shares were released. Only when no masked bounty is running, move it away to start a new one."
        )


class MasksUsed(ProtocolFault):
    def __init__(self, groups_seed: bytes) -> None:
        self.groups_seed = groups_seed
        super().__init__(
            f"Another update was masked in the groups 0x{groups_seed.hex()} before. This one is not sent: the two "
            f"together would tell how they differ."
        )


class ReleaseJournal:
    """The journal at `path`, opened or created by whichever thread asks.

    first_block: the hash of the chain's first block, as the endpoint gives it.
    Raises: BrokenReleases if the file is damaged or of a newer version.
    """

    def __init__(self, path: Path, first_block: Hash32) -> None:
        self._path, self._first_block = path, first_block
        self._open().close()

    def masked(self, provider: str, groups_seed: bytes) -> Hash32 | None:
        """The root of the update that was masked with the seeds of these groups; None if none was."""
        with closing(self._open()) as database:
            row = database.execute(
                "SELECT update_root FROM masked WHERE provider = ? AND groups_seed = ?", (provider, groups_seed)
            ).fetchone()
        return Hash32(row[0]) if row else None

    def mask(self, provider: str, groups_seed: bytes, root: Hash32) -> None:
        """Write down which update is masked with the seeds of these groups; on disk when this returns.

        Raises: MasksUsed if it was another.
        """
        with closing(self._open()) as database:
            database.execute("INSERT OR IGNORE INTO masked VALUES (?, ?, ?)", (provider, groups_seed, root))
        if self.masked(provider, groups_seed) != root:
            raise MasksUsed(groups_seed)

    def decide(self, scope: Scope, round_number: int, groups_seed: bytes, lists: Lists) -> None:
        """Write down for which lists shares of a round are released; on disk when this returns.

        Raises: AlreadyDecided if it was for others, or for other groups.
        """
        place = (self._first_block, scope.chain_id, scope.market, scope.bounty, round_number, scope.provider)
        text = orjson.dumps([lists.revealed, lists.dropped]).decode()
        with closing(self._open()) as database:
            database.execute(
                "INSERT OR IGNORE INTO release_decided VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*place, groups_seed, text)
            )
            kept = database.execute(
                "SELECT groups_seed, lists FROM release_decided WHERE (provider = ? AND groups_seed = ?) OR "
                "(first_block = ? AND chain_id = ? AND market = ? AND bounty = ? AND round = ? AND provider = ?)",
                (scope.provider, groups_seed, *place),
            ).fetchall()
        if kept != [(groups_seed, text)]:
            raise AlreadyDecided(scope.bounty, round_number)

    def _open(self) -> Connection:
        return open_durable(self._path, _MIGRATIONS, BrokenReleases)
