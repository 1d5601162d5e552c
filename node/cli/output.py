"""How commands speak: tables and sentences for people, one JSON document for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ledger.errors import BadInput
from node.errors import shown

T = TypeVar("T")

console = Console()
errors = Console(stderr=True)


def print_json(value: Any) -> None:
    """Write one JSON document on one line to standard output; bytes become 0x… text, big integers stay exact."""
    sys.stdout.write(orjson.dumps(_plain(value)).decode() + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    """Integers beyond 53 bits as decimal text, so that no JSON reader rounds an amount."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    return value


def text(value: object, length: int = 300) -> str:
    """Text from chain, IPFS or a file, safe to print: no control characters, no markup."""
    return escape(shown(value, length))


def lines(value: object, length: int = 4000) -> str:
    """As `text`, for what may have several lines."""
    return "\n".join(text(line, length) for line in str(value)[:length].splitlines())


def pairs(title: str, rows: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    console.print(text(title), style="table.title")
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in rows.items():
        table.add_row(f"[dim]{escape(name)}[/dim]", text(value))
    console.print(table)


def grid(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table."""
    console.print(text(title), style="table.title")
    table = Table(header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(text(cell) for cell in row))
    console.print(table)


def confirm(question: str, yes: bool) -> None:
    """Ask a person, unless `yes`; stop the command at a no.

    Raises: BadInput if nobody is there to ask.
    """
    if not yes and not asked("Nobody is here to ask: add --yes.", lambda: typer.confirm(question, err=True)):
        raise typer.Exit(code=BadInput.exit_code)


def asked(otherwise: str, ask: Callable[[], T]) -> T:
    """A person's answer.

    Raises: BadInput with the sentence `otherwise` where standard input has ended, as in a script.
    """
    try:
        return ask()
    except typer.Abort:
        if sys.stdin.isatty():  # the person said so: Ctrl-C, Ctrl-D
            raise
        sys.stderr.write("\n")
        raise BadInput(otherwise) from None


SHOWN_DECIMALS = 6


def tokens(amount: int, decimals: int = 18) -> str:
    """An amount in whole tokens: 1500000000000000000 -> `1.5`; what is cut off shows as `…`. JSON has it exact."""
    whole, part = divmod(amount, 10**decimals)
    digits = f"{part:0{decimals}d}".rstrip("0")
    cut = "…" if len(digits) > SHOWN_DECIMALS else ""
    return f"{whole}.{digits[:SHOWN_DECIMALS]}".rstrip(".") + cut


def moment(timestamp: int) -> str:
    """A time on the chain's clock, in UTC."""
    return datetime.fromtimestamp(timestamp, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if timestamp else "open"


def terms_rows(terms: dict[str, Any]) -> dict[str, object]:
    """Terms as people read them: amounts in tokens, times with a unit, bytes as hex."""
    rows: dict[str, object] = {}
    for name, value in terms.items():
        label = name.removesuffix("_seconds").replace("_", " ")
        if name in ("pot", "bond", "stake", "forfeit", "demand_fee"):
            rows[label] = f"{tokens(value)} tokens"
        elif name.endswith("_seconds"):
            rows[label] = f"{value} s"
        elif isinstance(value, bytes):
            rows[label] = "0x" + value.hex()
        else:
            rows[label] = getattr(value, "name", str(value)).lower() if not isinstance(value, str) else value
    return rows
