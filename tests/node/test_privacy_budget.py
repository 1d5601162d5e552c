"""Budgets: what is charged and when, what is refused, and what a crash leaves."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from node.privacy.accounting import Bare, Concentrated, Pure, SampledGaussian, Spend, epsilon
from node.privacy.budget import BrokenBudget, BudgetBook, BudgetExhausted, DataSet, Limit, NoNoise, Purse, Release

pytestmark = pytest.mark.unit

DATA = DataSet("ab" * 32, "data.csv")
OTHER = DataSet("cd" * 32, "other.csv")
ROUND = Concentrated(0.1)
LIMIT = Limit(epsilon=4.0, delta=1e-5)
ROOT = "00" * 32


@pytest.fixture
def book(tmp_path: Path) -> Iterator[BudgetBook]:
    opened = BudgetBook(tmp_path / "privacy.sqlite")
    yield opened
    opened.close()


def release(number: int, content: str = ROOT, place: str = "bounty 1") -> Release:
    return Release(place, number, content)


@pytest.mark.parametrize("spend", [ROUND, SampledGaussian(1.5, 0.04, 225), Pure(0.5), Bare()])
def test_charge__of_any_kind__then_is_found_again(spend: Spend, book: BudgetBook, tmp_path: Path) -> None:
    book.charge(DATA, release(3), spend)
    book.close()
    again = BudgetBook(tmp_path / "privacy.sqlite")
    (charge,) = again.charges(DATA)
    assert (charge.release, charge.spend) == (release(3), spend)
    assert again.data_sets() == [DATA]
    assert again.spent(DATA, 1e-5) == epsilon([spend], 1e-5)
    again.close()


def test_charge__of_the_same_release_twice__then_costs_once(book: BudgetBook) -> None:
    for _ in range(3):
        book.charge(DATA, release(1), ROUND)
    assert len(book.charges(DATA)) == 1
    assert book.is_charged(DATA, release(1))
    assert not book.is_charged(DATA, release(2))
    assert not book.is_charged(OTHER, release(1))


def test_charge__of_another_content_for_the_same_round__then_costs_again(book: BudgetBook) -> None:
    book.charge(DATA, release(1), ROUND)
    book.charge(DATA, release(1, "11" * 32), ROUND)
    assert book.spent(DATA, 1e-5) == pytest.approx(epsilon([ROUND] * 2, 1e-5))


def test_charge__over_all_bounties_and_evaluations__then_adds_up(book: BudgetBook) -> None:
    book.set_limit(DATA, LIMIT)
    book.charge(DATA, release(1), ROUND)
    book.charge(DATA, release(1, place="bounty 2"), ROUND)
    book.charge(DATA, release(0, "77", "evaluation 1"), Pure(0.25))
    book.charge(OTHER, release(1), ROUND)
    assert book.spent(DATA, 1e-5) == pytest.approx(epsilon([ROUND, ROUND, Pure(0.25)], 1e-5))
    assert book.spent(OTHER, 1e-5) == pytest.approx(epsilon([ROUND], 1e-5))


def test_charge__when_the_limit_is_reached__then_stops_and_charges_nothing(book: BudgetBook) -> None:
    book.set_limit(DATA, LIMIT)
    done = 0
    with pytest.raises(BudgetExhausted, match=r"Nothing was released.*fedbounty privacy") as caught:  # noqa: PT012
        for number in range(1, 100):
            book.charge(DATA, release(number), ROUND)
            done = number
    assert epsilon([ROUND] * done, LIMIT.delta) <= LIMIT.epsilon < epsilon([ROUND] * (done + 1), LIMIT.delta)
    assert len(book.charges(DATA)) == done > 1
    assert caught.value.after > LIMIT.epsilon >= caught.value.spent
    book.charge(DATA, release(done), ROUND)  # was paid for
    book.charge(OTHER, release(1), ROUND)  # has no limit


def test_charge__after_the_limit_was_raised_or_taken_away__then_goes_on(book: BudgetBook) -> None:
    book.set_limit(DATA, Limit(0.5, 1e-5))
    with pytest.raises(BudgetExhausted):
        book.charge(DATA, release(1), ROUND)
    book.set_limit(DATA, LIMIT)
    book.charge(DATA, release(1), ROUND)
    book.set_limit(DATA, None)
    assert book.limit(DATA) is None
    for number in range(2, 30):
        book.charge(DATA, release(number), ROUND)
    assert len(book.charges(DATA)) == 29


def test_set_limit__below_what_was_spent_before__then_nothing_more_leaves(book: BudgetBook) -> None:
    for number in range(1, 9):
        book.charge(DATA, release(number), ROUND)
    book.set_limit(DATA, Limit(1.0, 1e-5))
    with pytest.raises(BudgetExhausted):
        book.check(DATA, Pure(1e-9))


def test_check__of_a_release_without_noise__then_needs_consent(book: BudgetBook) -> None:
    book.check(DATA, Bare())  # no budget, nothing to protect
    book.set_limit(DATA, LIMIT)
    with pytest.raises(NoNoise, match="--without-noise"):
        book.charge(DATA, release(1), Bare())
    assert book.charges(DATA) == []
    book.charge(DATA, release(1), Bare(), allow_bare=True)
    assert book.spent(DATA, 1e-5) == math.inf
    with pytest.raises(BudgetExhausted, match="inf"):
        book.charge(DATA, release(2), ROUND)


def test_charge__by_many_at_once__then_the_limit_holds(tmp_path: Path) -> None:
    path = tmp_path / "privacy.sqlite"
    BudgetBook(path).set_limit(DATA, LIMIT)

    def work(worker: int) -> int:
        own, paid = BudgetBook(path), 0
        for number in range(10):
            try:
                own.charge(DATA, release(number, place=f"bounty {worker}"), ROUND)
            except BudgetExhausted:
                continue
            paid += 1
        own.close()
        return paid

    with ThreadPoolExecutor(4) as pool:
        paid = sum(pool.map(work, range(4)))
    book = BudgetBook(path)
    assert paid == len(book.charges(DATA))
    assert book.spent(DATA, LIMIT.delta) <= LIMIT.epsilon
    assert epsilon([ROUND] * (paid + 1), LIMIT.delta) > LIMIT.epsilon
    book.close()


@pytest.mark.parametrize("instant", ["before", "inserted", "after"])
def test_charge__when_the_process_dies__then_it_is_whole_or_not_there(instant: str, tmp_path: Path) -> None:
    """A child ends itself without any clean-up at the instant; what it said it charged is on disk."""
    path = tmp_path / "privacy.sqlite"
    script = f"""
import os
from pathlib import Path
from node.privacy import budget
from node.privacy.accounting import Concentrated
book = budget.BudgetBook(Path({str(path)!r}))
data, release = budget.DataSet({DATA.fingerprint!r}, "d"), budget.Release("bounty 1", 1, {ROOT!r})
if {instant!r} == "before":
    budget.BudgetBook.check = lambda *_: os._exit(9)
if {instant!r} == "inserted":
    class Dying:
        def __init__(self, database): database.execute("BEGIN IMMEDIATE")
        def __enter__(self): pass
        def __exit__(self, *_): os._exit(9)
    budget.transaction = Dying
book.charge(data, release, Concentrated(0.1))
print("charged", flush=True)
os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    book = BudgetBook(path)
    assert len(book.charges(DATA)) == (1 if instant == "after" else 0)
    assert ("charged" in done.stdout) == (instant == "after")
    book.charge(DATA, release(1), ROUND)
    assert len(book.charges(DATA)) == 1
    book.close()


def test_budget_book__when_a_charge_is_written__then_it_is_synced_to_disk(book: BudgetBook) -> None:
    assert book._database.execute("PRAGMA synchronous").fetchone() == (2,)


def test_budget_book__of_a_damaged_file__then_says_so(tmp_path: Path) -> None:
    path = tmp_path / "privacy.sqlite"
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 2000)
    with pytest.raises(BrokenBudget, match="nobody knows what was spent"):
        BudgetBook(path)


def test_budget_book__of_a_newer_version__then_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "privacy.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(BrokenBudget, match="newer"):
        BudgetBook(path)


@pytest.mark.parametrize("spend", ['{"kind":"Free"}', '{"kind":"Pure","epsilon":"a"}', '{"kind":"Pure"}', "[]", "{"])
def test_charges__when_one_is_damaged__then_nothing_is_guessed(spend: str, book: BudgetBook) -> None:
    book.charge(DATA, release(1), ROUND)
    book._database.execute("UPDATE charge SET spend = ?", (spend,))
    with pytest.raises(BrokenBudget, match="damaged"):
        book.spent(DATA, 1e-5)


def test_purse__then_it_draws_on_the_budget_of_its_data(book: BudgetBook) -> None:
    book.set_limit(DATA, LIMIT)
    purse = Purse(book, DATA, "bounty 7", ROUND)
    fits = purse.affordable(100)
    assert epsilon([ROUND] * fits, LIMIT.delta) <= LIMIT.epsilon < epsilon([ROUND] * (fits + 1), LIMIT.delta)
    assert purse.affordable(2) == 2
    for number in range(1, fits + 1):
        assert purse.refusal() == ""
        purse.charge(number, ROOT)
        assert purse.is_charged(number, ROOT)
    assert purse.affordable(100) == 0
    assert "does not suffice" in purse.refusal()
    with pytest.raises(BudgetExhausted):
        purse.check()


def test_purse__without_noise__then_refuses_until_it_is_allowed(book: BudgetBook) -> None:
    bare = Purse(book, DATA, "bounty 7", Bare())
    assert bare.refusal() == ""
    book.set_limit(DATA, LIMIT)
    assert "without noise" in bare.refusal()
    assert replace(bare, allow_bare=True).refusal() == ""


def test_purse__of_other_data__then_its_limit_holds_and_its_budget_is_charged(book: BudgetBook) -> None:
    purse, other = Purse(book, DATA, "a bounty", Concentrated(0.01)), DataSet("b" * 64, "other.csv")
    assert purse.of("") == purse.of(DATA.fingerprint) == purse
    book.set_limit(other, Limit(1e-3, 1e-5))
    with pytest.raises(BudgetExhausted, match="data set bbbb"):
        purse.of(other.fingerprint).charge(1, "content")
    book.set_limit(other, None)
    purse.of(other.fingerprint).charge(1, "content")
    assert [len(book.charges(data)) for data in (DATA, other)] == [0, 1]
    assert book.data_sets() == [other]


def test_affordable__without_a_limit__then_is_all(book: BudgetBook) -> None:
    assert Purse(book, DATA, "bounty 7", ROUND).affordable(1000) == 1000
