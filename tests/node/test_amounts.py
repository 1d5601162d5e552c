"""Amounts and durations as people type them."""

from __future__ import annotations

import pytest

from ledger.errors import BadInput
from node.cli.amounts import MAX_AMOUNT, parse_duration, parse_tokens

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("0", 0),
        ("1", 10**18),
        ("1.5", 15 * 10**17),
        (".5", 5 * 10**17),
        ("1e3", 10**21),
        ("0.000000000000000001", 1),
        ("79228162514.264337593543950335", MAX_AMOUNT),
    ],
)
def test_parse_tokens__when_an_amount__then_exact_to_the_wei(text: str, wei: int) -> None:
    assert parse_tokens(text) == wei


@pytest.mark.parametrize(
    "text",
    ["", "x", "1,5", "-1", "nan", "inf", "-inf", "0.0000000000000000001", "79228162514.264337593543950336", "1e999999"],
)
def test_parse_tokens__when_nonsense__then_refused_by_name(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_tokens(text)
    assert repr(text) in str(caught.value)


def test_parse_tokens__when_more_decimals_than_arithmetic_has_by_default__then_nothing_is_rounded() -> None:
    assert parse_tokens("12345678901.234567890123456789") == 12345678901234567890123456789


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), (" 15m ", 900), ("2h", 7200), ("1d", 86400), ("16777215", 2**24 - 1)]
)
def test_parse_duration__when_a_duration__then_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "1.5h", "h", "1w", "16777216", "195d", "999999999999", "1h30m"])
def test_parse_duration__when_nonsense__then_refused_by_name(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_duration(text)
    assert repr(text) in str(caught.value)
