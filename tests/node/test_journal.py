"""The journal survives being killed and never lets a second update of a round replace the first."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.cid import Digest
from ledger.records import BountyId
from node.cli.provide import ChangedManifest, has_agreed
from node.journal import BrokenJournal, Journal, MadeUpdate, Scope
from tests import builders as make

pytestmark = pytest.mark.unit

SCOPE = Scope(31337, make.AGGREGATOR, make.BOUNTY, make.ALICE)
MADE = MadeUpdate(1, Digest(make.word("cid")), make.word("root"), make.word("base"), '{"loss": 1}', bytes(range(32)))


def test_made__when_written_and_opened_again__then_it_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.sqlite"
    journal = Journal(path)
    journal.record(SCOPE, MADE)
    journal.close()
    assert Journal(path).made(SCOPE, 1) == MADE


def test_has_agreed__when_an_endpoint_names_another_manifest__then_nothing_is_made_by_it(tmp_path: Path) -> None:
    journal, first, other = Journal(tmp_path / "j"), Digest(make.word("first")), Digest(make.word("other"))
    assert not has_agreed(journal, SCOPE, first)
    journal.agree(SCOPE, first)
    journal.agree(SCOPE, other)
    assert has_agreed(journal, SCOPE, first)
    with pytest.raises(ChangedManifest, match="don't trust this endpoint"):
        has_agreed(journal, SCOPE, other)
    assert not has_agreed(journal, replace(SCOPE, provider=make.BOB), other)


def test_record__when_the_round_has_an_update__then_the_first_stands(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.record(SCOPE, MADE)
    journal.record(SCOPE, replace(MADE, root=make.word("another")))
    assert journal.made(SCOPE, 1) == MADE


def test_made__when_any_part_of_the_scope_differs__then_there_is_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    journal.record(SCOPE, MADE)
    others = [
        replace(SCOPE, chain_id=1),
        replace(SCOPE, market=make.OWNER),
        replace(SCOPE, bounty=BountyId(8)),
        replace(SCOPE, provider=make.BOB),
    ]
    assert [journal.made(scope, 1) for scope in others] == [None] * 4
    assert journal.made(SCOPE, 2) is None


def test_open__when_the_file_is_damaged__then_it_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(BrokenJournal):
        Journal(path)
    assert path.read_bytes().startswith(b"not a database")


def test_open__when_a_newer_version_wrote_it__then_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j"
    Journal(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(BrokenJournal, match="newer version"):
        Journal(path)


def test_open__when_the_version_before_wrote_it__then_its_updates_are_still_there(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    journal.record(SCOPE, MADE)
    journal.close()
    database = sqlite3.connect(path)
    database.execute("ALTER TABLE update_made DROP COLUMN momentum")
    database.execute("PRAGMA user_version = 2")
    database.close()
    assert Journal(path).made(SCOPE, 1) == replace(MADE, momentum=None)
    assert Journal(path).made(SCOPE, 1) == replace(MADE, momentum=None)
