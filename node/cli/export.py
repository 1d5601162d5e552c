"""`fedbounty export`: all files of a bounty in one CAR file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ledger.errors import BadInput
from ledger.history import build_history
from ledger.records import BountyId
from node.auditor.evidence import artefacts_of, export
from node.auditor.sources import ChainEvents
from node.cli.arguments import BountyArgument, Json
from node.cli.auditing import bar, opened_artefacts
from node.cli.output import console, print_json, text
from node.connections import open_ledgers
from node.settings import Settings


def export_command(
    context: typer.Context,
    bounty: BountyArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The CAR file to write (default: bounty-N.car).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write all files of a bounty as one CAR file, from which an audit works with no IPFS network at all.

    The file holds the manifest, the model's programs, the hold-out, and every round's updates, states, merge reports
    and clip files, as the very IPFS blocks that the chain's CIDs name: `fedbounty audit N --car FILE` reads it, and so
    does `ipfs dag import`. It appears when it is whole and replaces an older one. What was fetched is kept, so that
    the command, run again, goes on where it was.

    Exit codes: 0 all is in it; 2 bad input; 3 the chain said no; 4 something could not be had and is not in it.
    """
    settings: Settings = context.obj
    ledgers = open_ledgers(settings)
    number = BountyId(bounty)
    ledgers.market.terms(number)
    target = out or Path(f"bounty-{number}.car")
    if target.is_dir() or not target.absolute().parent.is_dir():
        raise BadInput(f"{target} can't be written: name a file in a folder that exists.")
    history = build_history(ledgers.market.events(number))
    with opened_artefacts(ledgers, ChainEvents(ledgers.market), number, None) as files:
        artefacts = artefacts_of(history, files.manifest(history.posted.terms))
        with bar("fetching and writing files") as advance:
            size, missing = export(files, artefacts, target, advance)
    there = len(artefacts) - len(missing)
    if as_json:
        print_json({"file": str(target), "bytes": size, "files": there, "missing": [asdict(one) for one in missing]})
    else:
        for one in missing:
            console.print(f"[bold yellow]unavailable[/bold yellow] {one.what}: {one.cid}: {text(one.why)}")
        console.print(f"{target}: {there} of {len(artefacts)} files, {size:,} bytes")
    raise typer.Exit(4 if missing else 0)
