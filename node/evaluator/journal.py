"""An evaluator's journal: the number that it reports, written down before anything outside is told.

One SQLite file a node. Noise is drawn once for each evaluation: a process that dies at any line finds the same number
again. The number without its noise is nowhere kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ledger.durable_files import open_durable
from ledger.errors import BadInput
from ledger.evaluation_records import ReportScope, Units

_MIGRATIONS = (
    """
    CREATE TABLE IF NOT EXISTS report_made (
        chain_id INTEGER NOT NULL,
        market TEXT NOT NULL,
        evaluation INTEGER NOT NULL,
        account TEXT NOT NULL,
        value INTEGER NOT NULL,
        examples INTEGER NOT NULL,
        noise INTEGER NOT NULL,
        PRIMARY KEY (chain_id, market, evaluation, account)
    ) STRICT
    """,
    "ALTER TABLE report_made ADD COLUMN data TEXT NOT NULL DEFAULT ''",
)


class BrokenReportJournal(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(
            f"The journal {path} can't be used ({detail}). Move it away to start a new one: a number that was "
            f"committed to is searched for then."
        )


@dataclass(frozen=True)
class MadeReport:
    """A number to report. examples: how many it was measured on, 0 where unknown; noise: the scale that it has.

    data: the mark of what it was measured on among privacy budgets; empty where that was not written down.
    """

    value: Units
    examples: int
    noise: int
    data: str = ""


class ReportJournal:
    """Opens or creates the journal at `path`.

    Raises: BrokenReportJournal if the file is damaged or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = open_durable(path, _MIGRATIONS, BrokenReportJournal)

    def close(self) -> None:
        self._database.close()

    def record(self, scope: ReportScope, made: MadeReport) -> None:
        """Write down a report; a second one to the same evaluation is ignored, the first stands."""
        self._write("INSERT OR IGNORE", scope, made)

    def correct(self, scope: ReportScope, made: MadeReport) -> None:
        """Write down what the chain's commitment opens to, whatever stood here."""
        self._write("INSERT OR REPLACE", scope, made)

    def made(self, scope: ReportScope) -> MadeReport | None:
        """The report made to an evaluation, if there is one."""
        row = self._database.execute(
            "SELECT value, examples, noise, data FROM report_made "
            "WHERE chain_id = ? AND market = ? AND evaluation = ? AND account = ?",
            _key(scope),
        ).fetchone()
        return None if row is None else MadeReport(Units(row[0]), *row[1:])

    def _write(self, how: str, scope: ReportScope, made: MadeReport) -> None:
        self._database.execute(
            f"{how} INTO report_made (chain_id, market, evaluation, account, value, examples, noise, data) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*_key(scope), made.value, made.examples, made.noise, made.data),
        )


def _key(scope: ReportScope) -> tuple[int, str, int, str]:
    return scope.chain_id, scope.market, scope.evaluation, scope.account
