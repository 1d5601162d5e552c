"""Durable files: synced, migrated once whoever comes first, and left alone where they can't be understood."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.durable_files import open_durable, transaction
from ledger.errors import BadInput

pytestmark = pytest.mark.unit

FIRST = "CREATE TABLE one (a INTEGER) STRICT; CREATE TABLE two (b INTEGER) STRICT"
SECOND = "ALTER TABLE one ADD COLUMN c TEXT"


class Broken(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"{path}: {detail}")


def opened(path: Path, *migrations: str) -> sqlite3.Connection:
    return open_durable(path, migrations, Broken)


def test_open_durable__of_a_new_file__then_it_is_synced_and_has_its_tables(tmp_path: Path) -> None:
    database = opened(tmp_path / "deep" / "file", FIRST, SECOND)
    settings = ("synchronous", "journal_mode", "foreign_keys", "user_version")
    assert [database.execute(f"PRAGMA {name}").fetchone()[0] for name in settings] == [2, "wal", 1, 2]
    database.execute("INSERT INTO one VALUES (1, 'x')")
    database.execute("INSERT INTO two VALUES (1)")
    database.close()


def test_open_durable__of_an_older_version__then_only_what_is_new_is_run(tmp_path: Path) -> None:
    database = opened(tmp_path / "file", FIRST)
    database.execute("INSERT INTO one VALUES (7)")
    database.close()
    for _ in range(2):
        database = opened(tmp_path / "file", FIRST, SECOND)
        assert database.execute("SELECT * FROM one").fetchall() == [(7, None)]
        database.close()


def test_open_durable__when_a_migration_fails__then_nothing_of_it_is_left(tmp_path: Path) -> None:
    opened(tmp_path / "file", FIRST).close()
    with pytest.raises(Broken, match="no such table: three"):
        opened(tmp_path / "file", FIRST, SECOND, "DROP TABLE three")
    database = opened(tmp_path / "file", FIRST)
    assert [column[1] for column in database.execute("PRAGMA table_info(one)")] == ["a"]
    database.close()


@pytest.mark.parametrize("attempt", range(5))
def test_open_durable__by_many_at_once__then_each_migration_runs_once(attempt: int, tmp_path: Path) -> None:
    path = tmp_path / "file"

    def write(number: int) -> None:
        database = opened(path, FIRST, SECOND)
        database.execute("INSERT INTO one VALUES (?, '')", (number,))
        database.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(16)))
    database = opened(path, FIRST, SECOND)
    assert sorted(row[0] for row in database.execute("SELECT a FROM one")) == list(range(16))
    database.close()


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 2000, None])
def test_open_durable__of_something_else__then_it_is_refused_and_kept(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(Broken, match=str(path)):
        opened(path, FIRST)
    assert path.is_dir() if content is None else path.read_bytes() == content


def test_open_durable__of_a_newer_version__then_it_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 3")
    database.close()
    before = path.read_bytes()
    with pytest.raises(Broken, match=r"newer version \(schema 3\)"):
        opened(path, FIRST, SECOND)
    assert path.read_bytes() == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_transaction__when_it_is_left_by_an_error__then_nothing_is_written(
    error: type[BaseException], tmp_path: Path
) -> None:
    database = opened(tmp_path / "file", FIRST)

    def fail() -> None:
        with transaction(database):
            database.execute("INSERT INTO one VALUES (1)")
            raise error

    with pytest.raises(error):
        fail()
    with transaction(database):
        database.execute("INSERT INTO one VALUES (2)")
    assert database.execute("SELECT a FROM one").fetchall() == [(2,)]
    database.close()
