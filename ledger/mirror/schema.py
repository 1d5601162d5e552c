"""The mirror's file: its tables, their migrations, and whose file it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from ledger.durable_files import migrate
from ledger.errors import BadInput
from ledger.records import Address

BUSY_SECONDS = 30.0
"""How long to wait for another process that writes."""
MAPPED_BYTES = 1 << 30
"""As much of the file is read from memory that the operating system maps."""

INDEX_BITS = 20
"""A log's and a transaction's `id` is its block's number, shifted by so much, plus its index in the block."""

MIGRATIONS = (
    """
    CREATE TABLE chain (id INTEGER NOT NULL) STRICT;
    CREATE TABLE contracts (id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE blocks (
        number INTEGER PRIMARY KEY, hash BLOB NOT NULL, timestamp INTEGER NOT NULL, logs INTEGER NOT NULL) STRICT;
    CREATE INDEX checkpoints ON blocks (number) WHERE logs = 0;
    CREATE TABLE transactions (
        id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, sender BLOB NOT NULL, gas_used INTEGER NOT NULL,
        gas_price INTEGER NOT NULL) STRICT;
    CREATE TABLE logs (
        id INTEGER PRIMARY KEY, contract INTEGER NOT NULL REFERENCES contracts,
        tx INTEGER NOT NULL REFERENCES transactions, subject BLOB, topics BLOB NOT NULL, data BLOB NOT NULL) STRICT;
    CREATE INDEX logs_by_subject ON logs (contract, subject);
    CREATE INDEX logs_by_third_topic ON logs (substr(topics, 65, 32)) WHERE contract > 1;
    """,
)
"""One script a version, in order; `user_version` counts those that a file has seen. Never change one: add another.

blocks.logs:           how many mirrored logs the block has; 0 for those that are kept as checkpoints only.
logs.subject, .topics: the second topic, which is the bounty in the market's events; all topics in a row.
logs_by_third_topic:   that is the bounty where a chunk is demanded.
"""


def id_at(block: int, index: int = 0) -> int:
    """The `id` of a log or a transaction; with index 0, the first that can be in the block."""
    return block << INDEX_BITS | index


def block_of(place: int) -> int:
    """The block of an `id`."""
    return place >> INDEX_BITS


def index_of(place: int) -> int:
    """The index in its block of an `id`."""
    return place & (1 << INDEX_BITS) - 1


class WrongMirror(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(f"The mirror {path} is of {detail}. Name another file, or delete this one: it is only a copy.")


class DamagedMirror(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(f"The mirror {path} can't be read ({detail}). Delete it: `fedbounty mirror` writes it anew.")


class NoMirror(BadInput):
    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"There is no mirror {path} yet. Make it with `fedbounty mirror`.")


def open_database(path: Path, chain_id: int, contracts: Sequence[Address], read_only: bool) -> sqlite3.Connection:
    """Open the file, make or migrate it, and see that it is of this chain and this market.

    contracts: the market first. A file that lacks one of the others is emptied, to be followed anew.
    Raises: WrongMirror, DamagedMirror; NoMirror if it is only to be read and is not there.
    """
    if read_only and not path.is_file():
        raise NoMirror(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = _connect(path, read_only)
    except (OSError, sqlite3.Error) as error:
        raise DamagedMirror(path, str(error)) from error
    try:
        database.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
        if not read_only:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            _version(path, database)  # a newer one is refused
            migrate(database, MIGRATIONS)
        _check_owner(path, database, chain_id, contracts, read_only)
    except sqlite3.DatabaseError as error:
        database.close()
        raise DamagedMirror(path, str(error)) from error
    except BadInput:
        database.close()
        raise
    return database


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _version(path: Path, database: sqlite3.Connection) -> int:
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise WrongMirror(path, f"a newer fedbounty (version {version}, not {len(MIGRATIONS)})")
    return version


def _check_owner(
    path: Path, database: sqlite3.Connection, chain_id: int, contracts: Sequence[Address], read_only: bool
) -> None:
    if read_only and _version(path, database) < len(MIGRATIONS):
        raise WrongMirror(path, "an older fedbounty, and is only to be read")
    if not read_only:
        database.execute("BEGIN IMMEDIATE")
    try:
        known = [Address(row[0]) for row in database.execute("SELECT address FROM contracts ORDER BY id")]
        owner = database.execute("SELECT id FROM chain").fetchone()
        if owner is not None and owner[0] != chain_id:
            raise WrongMirror(path, f"chain {owner[0]}, not of chain {chain_id}")
        if known and known[0] != contracts[0]:
            raise WrongMirror(path, f"the market {known[0]}, not of {contracts[0]}")
        missing = [address for address in contracts if address not in known]
        if missing and read_only:
            raise WrongMirror(path, f"other contracts: {missing[0]} is not followed")
        if missing:
            _adopt(database, chain_id, [*known, *missing])
    finally:
        if database.in_transaction:
            database.execute("COMMIT")


def _adopt(database: sqlite3.Connection, chain_id: int, contracts: Sequence[Address]) -> None:
    for table in ("chain", "contracts", "logs", "transactions", "blocks"):
        database.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
    database.execute("INSERT INTO chain VALUES (?)", (chain_id,))
    database.executemany("INSERT INTO contracts (address) VALUES (?)", [(address,) for address in contracts])
