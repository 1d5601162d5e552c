"""A round's share and a lapsed round's share, to the unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incentives.shares import lapsed_share, round_share
from ledger.records import Wei
from tests import builders as make

pytestmark = pytest.mark.unit

POTS = st.integers(1, 2**96 - 1)
ROUNDS = st.integers(1, 65_535)


@given(POTS, st.integers(1, 400))
def test_round_share__when_all_rounds_are_added__then_they_are_the_pot(pot: int, rounds: int) -> None:
    terms = make.terms(pot=Wei(pot), rounds=rounds)
    shares = [round_share(terms, number) for number in range(1, rounds + 1)]
    assert sum(shares) == pot
    assert max(shares) - min(shares) <= 1


@given(POTS, ROUNDS, st.data())
def test_round_share__when_the_pot_grows__then_no_round_gets_much_more_or_less(
    pot: int, rounds: int, data: st.DataObject
) -> None:
    number = data.draw(st.integers(1, rounds))
    share = round_share(make.terms(pot=Wei(pot), rounds=rounds), number)
    assert pot // rounds <= share <= pot // rounds + 1


@pytest.mark.parametrize("number", [0, -1, 4])
def test_round_share__when_the_round_does_not_exist__then_it_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match=r"outside 1 \.\. 3"):
        round_share(make.terms(rounds=3), number)


@given(POTS, st.integers(1, 256), st.integers(0, 256), st.integers(0, 2**95))
def test_lapsed_share__when_all_take_theirs__then_the_pool_is_not_exceeded(
    pot: int, quorum: int, reveals: int, bond: int
) -> None:
    terms = make.terms(pot=Wei(pot), rounds=1, min_updates=quorum, max_updates=256)
    share = lapsed_share(terms, 1, reveals, Wei(bond))
    assert 0 <= share * reveals <= pot + bond
    assert share <= (pot + bond) // quorum


@pytest.mark.parametrize(
    ("reveals", "bond", "share"),
    [(0, 0, 75), (1, 0, 75), (3, 0, 75), (4, 0, 75), (5, 0, 60), (4, 50, 87), (7, 50, 50)],
)
def test_lapsed_share__when_reveals_differ__then_the_divisor_is_at_least_the_quorum(
    reveals: int, bond: int, share: int
) -> None:
    assert lapsed_share(make.terms(pot=Wei(900), rounds=3, min_updates=4), 2, reveals, Wei(bond)) == share
