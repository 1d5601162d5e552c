"""Amounts and durations as people type them."""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact, InvalidOperation

from ledger.errors import BadInput
from ledger.records import Wei

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d{1,8})([smhd]?)")
MAX_AMOUNT = 2**96 - 1

_EXACT = Context(prec=60, traps=[InvalidOperation, Inexact])
"""Enough digits for every amount, and nothing is ever rounded to fit: the usual 28 are one too few."""


def parse_tokens(text: str, decimals: int = 18) -> Wei:
    """`1.5` -> 1500000000000000000, exactly.

    Raises: BadInput for what is no amount, has too many decimals, or does not fit the contract.
    """
    try:
        units = _EXACT.scaleb(Decimal(text), decimals)
    except InvalidOperation as error:
        raise BadInput(f"{text!r} is not an amount of tokens, such as 100 or 0.5.") from error
    except Inexact:
        units = Decimal("nan")
    if not units.is_finite() or units != units.to_integral_value() or not 0 <= units <= MAX_AMOUNT:
        raise BadInput(f"{text!r} must be between 0 and {MAX_AMOUNT // 10**decimals} with at most {decimals} decimals.")
    return Wei(int(units))


def parse_duration(text: str) -> int:
    """Seconds: `90`, `90s`, `15m`, `2h`, `1d`.

    Raises: BadInput.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = int(match[1]) * _UNITS[match[2] or "s"] if match else 0
    if not 1 <= seconds < 2**24:
        raise BadInput(f"{text!r} is not a duration, such as 90s, 15m, 2h or 1d (at most 194 days).")
    return seconds
