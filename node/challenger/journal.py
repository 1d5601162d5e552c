"""A challenger's journal: which merges it has looked at and what it found, so that a restart does not look again.

One SQLite file a node. What was sent is not in it: the chain knows that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ledger.durable_files import open_durable
from ledger.errors import BadInput
from ledger.records import Merged

_MIGRATIONS = (
    """
    CREATE TABLE IF NOT EXISTS merge_checked (
        market TEXT NOT NULL,
        bounty INTEGER NOT NULL,
        round INTEGER NOT NULL,
        record_hash BLOB NOT NULL,
        verdict TEXT NOT NULL,
        sentence TEXT NOT NULL,
        PRIMARY KEY (market, bounty, round, record_hash)
    ) STRICT
    """,
)

RIGHT = "right"
PROVEN = "proven"
UNPROVABLE = "unprovable"


class BrokenChallengeJournal(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(f"The journal {path} can't be used ({detail}). Move it away: all merges are checked again.")


@dataclass(frozen=True)
class MergeKey:
    """One merge, for good: a round that is merged again gets another record hash."""

    bounty: int
    round: int
    record_hash: bytes


@dataclass(frozen=True)
class Verdict:
    """verdict: `right`, `proven`, or `unprovable`; sentence: what was found, empty for a right merge."""

    verdict: str
    sentence: str = ""


def key_of(merged: Merged) -> MergeKey:
    return MergeKey(merged.bounty, merged.round, bytes(merged.record_hash))


class ChallengeJournal:
    """Opens or creates the journal at `path`. market: chain and address, so that no two are mixed up.

    Raises: BrokenChallengeJournal if the file is damaged or of a newer version.
    """

    def __init__(self, path: Path, market: str) -> None:
        self._market = market
        self._database = open_durable(path, _MIGRATIONS, BrokenChallengeJournal)

    def close(self) -> None:
        self._database.close()

    def record(self, key: MergeKey, verdict: Verdict) -> None:
        """Write down a verdict; the latest stands."""
        row = (self._market, key.bounty, key.round, key.record_hash, verdict.verdict, verdict.sentence)
        self._database.execute("INSERT OR REPLACE INTO merge_checked VALUES (?, ?, ?, ?, ?, ?)", row)

    def verdicts(self) -> dict[MergeKey, Verdict]:
        """All that was found so far in this market."""
        rows = self._database.execute(
            "SELECT bounty, round, record_hash, verdict, sentence FROM merge_checked WHERE market = ?", (self._market,)
        )
        return {MergeKey(bounty, number, bytes(hashed)): Verdict(*rest) for bounty, number, hashed, *rest in rows}
