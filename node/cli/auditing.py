"""What `audit`, `report` and `export` share: where files come from, and the bar that shows how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ledger.car import CarStore
from ledger.records import BountyId, Joined
from node.auditor.audit import Audited, Auditor
from node.bounty_files import Artefacts
from node.cli.output import errors
from node.connections import Ledgers, connect_peer, open_files, open_store
from node.settings import Settings

CarOption = Annotated[
    Path | None,
    typer.Option("--car", help="Read files from this CAR file (`fedbounty export`) instead of from IPFS."),
]


def run_audit(ledgers: Ledgers, bounty: BountyId, car: Path | None) -> Audited:
    """Audit a bounty up to the newest block, with a bar."""
    with opened_artefacts(ledgers, bounty, car) as files, bar("verifying updates") as advance:
        auditor = Auditor(ledgers.market, files, bounty)
        return auditor.audit(ledgers.chain.block(), advance)


@contextmanager
def opened_artefacts(ledgers: Ledgers, bounty: BountyId, car: Path | None) -> Iterator[Artefacts]:
    """A bounty's files: those of a CAR file alone, or of IPFS, where its providers are asked too.

    Raises: BadCar, ContentUnreachable.
    """
    settings: Settings = ledgers.settings
    if car is None:
        store = open_store(settings)
        for event in ledgers.market.events(bounty):
            if isinstance(event, Joined) and event.multiaddr:
                connect_peer(store, event.multiaddr)
        yield open_files(settings, store)
        return
    source = CarStore(car)
    settings.home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.home, prefix="car-") as folder:  # what is cached elsewhere must not count
        yield Artefacts(source, Path(folder), settings.ipfs.fetch_seconds)


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal's standard error; called with how many are done, of how many."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
