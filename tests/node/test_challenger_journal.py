"""A challenger's journal: what was found is found again, for the same market alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.challenger.journal import BrokenChallengeJournal, ChallengeJournal, MergeKey, Verdict

pytestmark = pytest.mark.unit

KEY = MergeKey(7, 2, b"\1" * 28)


def test_journal__when_opened_again__then_verdicts_are_still_there(tmp_path: Path) -> None:
    journal = ChallengeJournal(tmp_path / "j.sqlite", "1:0xA")
    journal.record(KEY, Verdict("right"))
    journal.record(KEY, Verdict("proven", "Round 2 …"))
    journal.close()
    again = ChallengeJournal(tmp_path / "j.sqlite", "1:0xA")
    other = ChallengeJournal(tmp_path / "j.sqlite", "1:0xB")
    assert again.verdicts() == {KEY: Verdict("proven", "Round 2 …")}
    assert other.verdicts() == {}
    again.close()
    other.close()


def test_journal__when_the_file_is_something_else__then_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "j.sqlite").write_bytes(b"not a database, but long enough to be mistaken for one" * 20)
    with pytest.raises(BrokenChallengeJournal, match="Move it away"):
        ChallengeJournal(tmp_path / "j.sqlite", "1:0xA")
