"""An evaluation's story from its events, and what its reports say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.evaluation_history import BrokenEvaluation, build_evaluation, distribution, histogram, opens
from ledger.evaluation_records import (
    EvaluationCancelled,
    EvaluationEvent,
    ReportPaid,
)
from ledger.records import Wei
from tests import evaluation_builders as make

pytestmark = pytest.mark.unit

VALUES = st.lists(st.integers(0, 10_000), min_size=1, max_size=40)


def test_build_evaluation__when_it_went_well__then_tells_who_reported_what() -> None:
    history = build_evaluation(make.life([93, 91], paid=1))
    assert history.values == [93, 91]
    assert history.has_quorum
    assert len(history.payments) == 1
    assert history.refunded is None


def test_build_evaluation__without_its_posting__then_is_refused() -> None:
    with pytest.raises(ValueError, match="first event"):
        build_evaluation(make.life([1])[1:])


def _broken() -> list[tuple[str, list[EvaluationEvent]]]:
    posted, committed, revealed = make.life([5])
    stranger = make.account(9)
    return [
        ("has not committed", [posted, revealed]),
        ("has committed", [posted, committed, committed]),
        ("has revealed", [posted, committed, revealed, revealed]),
        ("reveals have begun", [posted, committed, revealed, make.committed(1)]),
        ("all places", [posted, *(make.committed(k) for k in range(5))]),
        ("has not revealed", [posted, committed, ReportPaid(make.at(9), make.EVALUATION, stranger, Wei(1))]),
        ("was paid", [*make.life([5], paid=1), make.payment(0)]),
        ("there are commitments", [posted, committed, EvaluationCancelled(make.at(9), make.EVALUATION, Wei(1))]),
        ("was refunded", [posted, make.refunded(0), make.refunded(0)]),
        ("can come first only", [posted, posted]),
        ("was cancelled", [posted, EvaluationCancelled(make.at(9), make.EVALUATION, Wei(28)), committed]),
    ]


@pytest.mark.parametrize(("why", "events"), _broken())
def test_build_evaluation__when_events_contradict_each_other__then_says_how(
    why: str, events: Sequence[EvaluationEvent]
) -> None:
    with pytest.raises(BrokenEvaluation, match=why):
        build_evaluation(events)


def test_distribution__of_known_reports__then_is_exact() -> None:
    found = distribution(build_evaluation(make.life([0, 9000, 9100, 9300, 10_000], max_reports=5)))
    assert found is not None
    assert (found.count, found.least, found.greatest) == (5, Decimal(0), Decimal(1))
    assert (found.lower_quartile, found.median, found.upper_quartile) == (
        Decimal("0.9"),
        Decimal("0.91"),
        Decimal("0.93"),
    )
    assert found.mean == Decimal("0.748")
    assert found.at_bounds == 2


@given(VALUES)
def test_distribution__of_any_reports__then_lies_in_order(values: list[int]) -> None:
    found = distribution(build_evaluation(make.life(values, max_reports=len(values))))
    assert found is not None
    order = [found.least, found.lower_quartile, found.median, found.upper_quartile, found.greatest]
    assert order == sorted(order)
    assert found.least <= found.mean <= found.greatest
    assert found.median == median(Decimal(value).scaleb(-4) for value in values)


@given(VALUES, st.integers(1, 20))
def test_histogram__of_any_reports__then_each_is_in_its_bin(values: list[int], bins: int) -> None:
    history = build_evaluation(make.life(values, max_reports=len(values)))
    found = histogram(history, bins)
    numbers = [Decimal(value).scaleb(-4) for value in values]
    assert len(found) <= bins
    assert sum(one.count for one in found) == len(values)
    for one in found[:-1]:
        assert one.count == sum(one.start <= number < one.stop for number in numbers)
    assert found[-1].count == sum(found[-1].start <= number <= found[-1].stop for number in numbers)


def test_distribution__without_reports__then_there_is_none() -> None:
    history = build_evaluation(make.life([]))
    assert distribution(history) is None
    assert histogram(history) == []
    assert not history.has_quorum


def test_opens__of_a_report__then_only_value_salt_account_and_chain_that_were_committed_to() -> None:
    history = build_evaluation(make.life([5, 6]))
    first, second = history.reports.values()
    assert opens(history, first, make.CHAIN_ID, make.MARKET)
    assert not opens(history, replace(first, value=second.value), make.CHAIN_ID, make.MARKET)
    assert not opens(history, replace(first, salt=bytes(32)), make.CHAIN_ID, make.MARKET)
    assert not opens(history, replace(first, account=second.account), make.CHAIN_ID, make.MARKET)
    assert not opens(history, first, make.CHAIN_ID + 1, make.MARKET)
    assert not opens(history, first, make.CHAIN_ID, make.OWNER)
