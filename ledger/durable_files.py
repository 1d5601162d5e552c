"""SQLite files in which every line is on disk when its writing returns: journals, and the book of privacy budgets.

A file's `user_version` counts the migrations that it has seen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

WAIT_SECONDS = 60.0
"""How long to wait for another process that writes."""


def open_durable(
    path: Path,
    migrations: Sequence[str],
    broken: Callable[[Path, str], Exception],
    *,
    one_thread: bool = True,
) -> sqlite3.Connection:
    """Open a file and bring its tables up to date, or create it.

    migrations: one script a version, in order, its statements parted by `;`. Never change one: add another.
    broken:     from the path and what is wrong with it to the error of whoever the file belongs to.
    one_thread: whether only this thread may use it; otherwise the caller sees to it that one at a time does.
    Raises: what `broken` makes, if the file is damaged or of a newer version; it is left as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ExitStack() as opened:
        try:
            connection = sqlite3.connect(path, WAIT_SECONDS, isolation_level=None, check_same_thread=one_thread)
            database = opened.enter_context(closing(connection))
            if (version := _version(database)) > len(migrations):
                raise broken(path, f"it was written by a newer version (schema {version})")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA foreign_keys = ON")
            migrate(database, migrations)
        except sqlite3.DatabaseError as error:
            raise broken(path, str(error)) from error
        opened.pop_all()
    return database


def migrate(database: sqlite3.Connection, migrations: Sequence[str]) -> None:
    """Run the migrations that the file has not seen, all or none; another process may have done it meanwhile."""
    if _version(database) < len(migrations):
        with transaction(database):
            for statement in ";".join(migrations[_version(database) :]).split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {len(migrations)}")


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of what is written inside, or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if database.in_transaction:  # a full disk has ended it already
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
