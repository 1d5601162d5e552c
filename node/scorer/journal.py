"""A panel evaluator's journal: the reports that it makes, written down before anything outside is told.

One SQLite file a node. Gradients differ a little from run to run: a process that dies at any line finds the same
report again, so that what it committed to can be opened.
"""

from __future__ import annotations

import json
from pathlib import Path

from ledger.durable_files import open_durable
from ledger.errors import BadInput
from ledger.score_records import ScoreScope

_MIGRATIONS = (
    """
    CREATE TABLE IF NOT EXISTS scores_made (
        chain_id INTEGER NOT NULL,
        contract TEXT NOT NULL,
        bounty INTEGER NOT NULL,
        round INTEGER NOT NULL,
        evaluator TEXT NOT NULL,
        words TEXT NOT NULL,
        PRIMARY KEY (chain_id, contract, bounty, round, evaluator)
    ) STRICT
    """,
)
_WHERE = "chain_id = ? AND contract = ? AND bounty = ? AND round = ? AND evaluator = ?"


class BrokenScoreJournal(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(
            f"The journal {path} can't be used ({detail}). Move it away to start a new one: reports that were "
            f"committed to are measured again then, and opened where they come out the same."
        )


class ScoreJournal:
    """Opens or creates the journal at `path`.

    Raises: BrokenScoreJournal if the file is damaged or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = open_durable(path, _MIGRATIONS, BrokenScoreJournal)

    def close(self) -> None:
        self._database.close()

    def record(self, scope: ScoreScope, words: tuple[int, ...]) -> None:
        """Write down a report; a second one on the same round is ignored, the first stands."""
        self._database.execute(
            "INSERT OR IGNORE INTO scores_made (chain_id, contract, bounty, round, evaluator, words) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (*_key(scope), json.dumps([str(word) for word in words])),
        )

    def made(self, scope: ScoreScope) -> tuple[int, ...] | None:
        """The report made on a round, if there is one."""
        row = self._database.execute(f"SELECT words FROM scores_made WHERE {_WHERE}", _key(scope)).fetchone()  # noqa: S608 - constants
        return None if row is None else tuple(int(word) for word in json.loads(row[0]))


def _key(scope: ScoreScope) -> tuple[int, str, int, int, str]:
    return scope.chain_id, scope.contract, scope.bounty, scope.round, scope.evaluator
