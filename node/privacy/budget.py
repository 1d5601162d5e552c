"""The privacy budget of each data set: what every release spent, in all bounties and evaluations, and the limit.

One SQLite file a node. A release is charged, and the charge is on disk, before any byte of it leaves.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from ledger.durable_files import open_durable, transaction
from ledger.errors import BadInput
from node.privacy.accounting import Bare, Concentrated, Pure, SampledGaussian, Spend, epsilon

_MIGRATIONS = (
    """
    CREATE TABLE IF NOT EXISTS data_set (
        fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, epsilon REAL, delta REAL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS charge (
        fingerprint TEXT NOT NULL REFERENCES data_set, place TEXT NOT NULL, round INTEGER NOT NULL,
        content TEXT NOT NULL, spend TEXT NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (fingerprint, place, round, content)
    ) STRICT
    """,
)
_KINDS: dict[str, type[Spend]] = {kind.__name__: kind for kind in (SampledGaussian, Concentrated, Pure, Bare)}


class BrokenBudget(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(
            f"The privacy budgets in {path} can't be read ({detail}). Put back a copy: without it nobody knows what "
            f"was spent."
        )


class BudgetExhausted(BadInput):
    def __init__(self, name: str, limit: Limit, spent: float, after: float) -> None:
        self.name, self.limit, self.spent, self.after = name, limit, spent, after
        super().__init__(
            f"The privacy budget of {name} does not suffice: epsilon {spent:.4g} of {limit.epsilon:g} is spent (delta "
            f"{limit.delta:g}), and one release more would make it {after:.4g}. Nothing was released. `fedbounty "
            f"privacy list` shows what it was spent on, `fedbounty privacy budget` changes the limit."
        )


class NoNoise(BadInput):
    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name} has a privacy budget, and this would release something about it without noise: no budget bounds "
            f"that. Nothing was released. --without-noise does it all the same; after it, the budget is spent."
        )


@dataclass(frozen=True)
class DataSet:
    """fingerprint: of its content; name: what its owner called it last."""

    fingerprint: str
    name: str


@dataclass(frozen=True)
class Limit:
    """What a data set's releases may cost together."""

    epsilon: float
    delta: float


@dataclass(frozen=True)
class Release:
    """What leaves. place: the bounty or evaluation, with chain and account; round: 0 for reports; content: its root.

    Another content for the same round is another release, and costs again.
    """

    place: str
    round: int
    content: str


@dataclass(frozen=True)
class Charge:
    """A release that was charged. at: seconds since 1970."""

    release: Release
    spend: Spend
    at: int


class BudgetBook:
    """Opens or creates the book at `path`.

    Raises: BrokenBudget if the file is damaged or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = open_durable(path, _MIGRATIONS, BrokenBudget)

    def close(self) -> None:
        self._database.close()

    def data_sets(self) -> list[DataSet]:
        rows = self._database.execute("SELECT fingerprint, name FROM data_set ORDER BY name, fingerprint")
        return [DataSet(fingerprint, name) for fingerprint, name in rows]

    def limit(self, data: DataSet) -> Limit | None:
        row = self._database.execute(
            "SELECT epsilon, delta FROM data_set WHERE fingerprint = ?", (data.fingerprint,)
        ).fetchone()
        return None if row is None or row[0] is None else Limit(*row)

    def set_limit(self, data: DataSet, limit: Limit | None) -> None:
        """Give a data set a limit, or none. What was spent stays."""
        values = (limit.epsilon, limit.delta) if limit else (None, None)
        with transaction(self._database):
            self._know(data)
            self._database.execute(
                "UPDATE data_set SET name = ?, epsilon = ?, delta = ? WHERE fingerprint = ?",
                (data.name, *values, data.fingerprint),
            )

    def charges(self, data: DataSet) -> list[Charge]:
        """Everything that was released of a data set, oldest first."""
        rows = self._database.execute(
            "SELECT place, round, content, spend, at FROM charge WHERE fingerprint = ? ORDER BY at, place, round",
            (data.fingerprint,),
        )
        try:
            return [Charge(Release(*row[:3]), _spend(row[3]), row[4]) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenBudget(self.path, f"a charge is damaged: {error}") from error

    def spent(self, data: DataSet, delta: float) -> float:
        """The epsilon of everything that was released of a data set; infinite once something had no noise."""
        return epsilon([charge.spend for charge in self.charges(data)], delta)

    def is_charged(self, data: DataSet, release: Release) -> bool:
        row = self._database.execute(
            "SELECT 1 FROM charge WHERE fingerprint = ? AND place = ? AND round = ? AND content = ?",
            (data.fingerprint, release.place, release.round, release.content),
        ).fetchone()
        return row is not None

    def check(self, data: DataSet, spend: Spend, allow_bare: bool = False) -> None:
        """Refuse a release that the data set's limit does not allow.

        Raises: BudgetExhausted; NoNoise for one without noise, unless `allow_bare`.
        """
        limit = self.limit(data)
        if limit is None:
            return
        if isinstance(spend, Bare):
            if not allow_bare:
                raise NoNoise(data.name)
            return
        spends = [charge.spend for charge in self.charges(data)]
        after = epsilon([*spends, spend], limit.delta)
        if after > limit.epsilon:
            raise BudgetExhausted(data.name, limit, epsilon(spends, limit.delta), after)

    def charge(self, data: DataSet, release: Release, spend: Spend, allow_bare: bool = False) -> None:
        """Write down what a release spends; it is on disk when this returns. A release is charged once.

        Raises: as `check`; then nothing was charged and nothing may be released.
        """
        with transaction(self._database):
            if self.is_charged(data, release):
                return
            self.check(data, spend, allow_bare)
            self._know(data)
            self._database.execute(
                "INSERT INTO charge (fingerprint, place, round, content, spend, at) VALUES (?, ?, ?, ?, ?, ?)",
                (data.fingerprint, release.place, release.round, release.content, _text(spend), int(time.time())),
            )

    def _know(self, data: DataSet) -> None:
        self._database.execute(
            "INSERT OR IGNORE INTO data_set (fingerprint, name) VALUES (?, ?)", (data.fingerprint, data.name)
        )


@dataclass(frozen=True)
class Purse:
    """One data set's budget, as one bounty or evaluation draws on it.

    place: as in `Release`; spend: what each release costs; allow_bare: whether the provider agreed to no noise.
    """

    book: BudgetBook
    data: DataSet
    place: str
    spend: Spend
    allow_bare: bool = False

    def of(self, fingerprint: str) -> Purse:
        """The same for another data set: that which an update was made from, whichever is at hand now.

        fingerprint: empty where it was not written down: this one's.
        """
        if fingerprint in ("", self.data.fingerprint):
            return self
        return replace(self, data=DataSet(fingerprint, f"the data set {fingerprint[:12]}"))

    def refusal(self) -> str:
        """Why nothing more can be released; empty if something can."""
        try:
            self.book.check(self.data, self.spend, self.allow_bare)
        except (BudgetExhausted, NoNoise) as error:
            return str(error)
        return ""

    def check(self) -> None:
        """Raises: BudgetExhausted or NoNoise if not even one release is possible."""
        self.book.check(self.data, self.spend, self.allow_bare)

    def is_charged(self, round_number: int, content: str) -> bool:
        return self.book.is_charged(self.data, Release(self.place, round_number, content))

    def charge(self, round_number: int, content: str) -> None:
        """Charge a release before it leaves; see `BudgetBook.charge`."""
        self.book.charge(self.data, Release(self.place, round_number, content), self.spend, self.allow_bare)

    def affordable(self, most: int) -> int:
        """How many releases more the limit allows, up to `most`."""
        limit = self.book.limit(self.data)
        if limit is None or isinstance(self.spend, Bare):
            return most
        spends = [charge.spend for charge in self.book.charges(self.data)]
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            fits = epsilon([*spends, *[self.spend] * middle], limit.delta) <= limit.epsilon
            low, high = (middle, high) if fits else (low, middle - 1)
        return low


def _text(spend: Spend) -> str:
    return orjson.dumps({"kind": type(spend).__name__, **asdict(spend)}).decode()


def _spend(text: str) -> Spend:
    fields = orjson.loads(text)
    made = _KINDS[fields.pop("kind")](**fields)
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in fields.values()):
        raise ValueError(text)
    return made
