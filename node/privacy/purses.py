"""A data set's purse for one bounty or evaluation."""

from __future__ import annotations

from pathlib import Path

from ledger.records import Address
from node.data.fingerprint import fingerprint
from node.manifest import Manifest, coordinates, privacy
from node.privacy.accounting import Bare, Guarantees, Pure, Spend, round_guarantees
from node.privacy.budget import BudgetBook, DataSet, Purse

BOOK = "privacy.sqlite"
"""The book's file in the node's home: one for all chains."""


def open_book(home: Path) -> BudgetBook:
    """Raises: BrokenBudget."""
    return BudgetBook(home / BOOK)


def data_set(spec: str) -> DataSet:
    """The data set that `--data` names.

    Raises: BadData.
    """
    return DataSet(fingerprint(spec), spec)


def guarantees_of(manifest: Manifest) -> Guarantees:
    """What one round of a bounty's noise gives."""
    return round_guarantees(privacy(manifest), manifest.update.squared_norm_bound, coordinates(manifest))


def place_of(what: str, contract: Address, chain: str, account: Address) -> str:
    """Names a bounty or an evaluation, and whose releases to it are meant, among those of all chains.

    what:  as in `bounty 7`.
    chain: its id, and the first bytes of its first block: a devnet that is started anew has the same id.
    """
    return f"{what} of {contract} on chain {chain} by {account}"


def bounty_purse(book: BudgetBook, spec: str, place: str, manifest: Manifest, allow_bare: bool = False) -> Purse:
    """What a round's update spends: what it tells about one example.

    Raises: BadData.
    """
    return Purse(book, data_set(spec), place, guarantees_of(manifest).example, allow_bare)


def report_purse(book: BudgetBook, spec: str, place: str, epsilon: float | None, allow_bare: bool = False) -> Purse:
    """What an evaluation's report spends. epsilon: of its discrete Laplace noise; None without noise.

    Raises: BadData.
    """
    return Purse(book, data_set(spec), place, report_spend(epsilon), allow_bare)


def report_spend(epsilon: float | None) -> Spend:
    """What an evaluation's report spends; None without noise."""
    return Bare() if epsilon is None else Pure(epsilon)
