"""How values look on a page: short where a person reads, exact where a person copies. Pure.

Everything that comes from chain or IPFS is text of strangers. Templates escape it; here characters that would hide or
reorder it become visible.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime

MOST_CHARACTERS = 300
"""Of a stranger's text, on a page."""

_DECIMALS = 18
_MOST_MARKS = 2
_SHOWN_DECIMALS = 4
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def visible(text: object, length: int = MOST_CHARACTERS) -> str:
    """Text of unknown origin in one line: what can't be seen is named, as in `‹U+202E›`.

    length: of what is shown before an ellipsis. Marks that pile up on one letter are named from the third on.
    """
    whole = str(text)
    seen, marks = [], 0
    for character in whole[:length]:
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        plain = character.isprintable() and marks <= _MOST_MARKS
        seen.append(character if plain else f"‹U+{ord(character):04X}›")
    return "".join(seen) + ("…" if len(whole) > length else "")


def short(value: str) -> str:
    """The two ends of an address, hash or CID, enough to tell it from others on the page."""
    return value if len(value) <= 16 else f"{value[:6]}…{value[-4:]}"


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


def number(value: int) -> str:
    """An integer with its thousands apart."""
    return f"{value:,}".replace(",", "\u202f")


def exact(amount: int) -> str:
    """An amount in whole tokens, every digit of it."""
    whole, part = divmod(abs(amount), 10**_DECIMALS)
    digits = f"{part:0{_DECIMALS}d}".rstrip("0")
    return f"{'-' if amount < 0 else ''}{number(whole)}" + (f".{digits}" if digits else "")


def tokens(amount: int) -> str:
    """An amount in whole tokens with four decimals, rounded down; a trace that rounds to nothing is `< 0.0001`."""
    step = 10 ** (_DECIMALS - _SHOWN_DECIMALS)
    if 0 < amount < step:
        return "< 0.0001"
    whole, _, part = exact(amount - amount % step).partition(".")
    return f"{whole}.{part:0<{_SHOWN_DECIMALS}}"


def brief(amount: int) -> str:
    """The same without zeros at the end, for figures that stand alone."""
    return tokens(amount).rstrip("0").rstrip(".")


def moment(timestamp: int) -> str:
    """A time on the chain's clock, in UTC; empty for 0."""
    if not 0 < timestamp < 2**37:
        return ""
    return datetime.fromtimestamp(timestamp, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(timestamp: int) -> str:
    """The same for programs."""
    return datetime.fromtimestamp(timestamp, tz=UTC).isoformat() if 0 < timestamp < 2**37 else ""


def duration(seconds: int) -> str:
    """A length of time in its two largest units: `3 d 4 h`, `59 s`."""
    left, parts = max(seconds, 0), []
    for size, name in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def metric(value: float | None) -> str:
    """A metric that someone measured."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:.3g}"


def percent(part: int, whole: int) -> float:
    """A share for a bar, 0 .. 100, to a tenth."""
    return round(100 * part / whole, 1) if whole > 0 else 0.0


def share(part: float | None) -> str:
    """A part of a whole in percent; a trace that rounds to nothing is `< 0.01 %`."""
    if part is None or not math.isfinite(part):
        return "–"
    return "< 0.01 %" if 0 < part < 0.0001 else f"{100 * part:.2f} %"


def norm(squared: int) -> str:
    """A squared norm as the norm, in grid units."""
    return number(math.isqrt(squared))


def ether(wei: int) -> str:
    """A fee in ether."""
    return f"{wei / 1e18:.6f}"
