"""What `audit`, `report` and `export` share: where files come from, and the bar that shows how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ledger.car import CarStore
from ledger.chain import Block
from ledger.errors import BadInput
from ledger.records import BountyId, Joined
from node.auditor.audit import Audited, Auditor
from node.auditor.sources import ChainEvents, EventSource
from node.bounty_files import Artefacts
from node.cli.output import errors
from node.connections import Ledgers, connect_peers, open_files, open_store
from node.mirrors import open_mirror, sync_mirror
from node.sealed_updates import Reader
from node.settings import Settings

CarOption = Annotated[
    Path | None,
    typer.Option("--car", help="Read files from this CAR file (`fedbounty export`) instead of from IPFS."),
]


MirrorOption = Annotated[
    bool,
    typer.Option(
        "--mirror/--direct",
        help="Read all events from the local mirror, which is brought up to date first, or straight from the chain. "
        "Either way the endpoint is asked for balances, purses, seeds and block hashes.",
    ),
]


def run_audit(
    ledgers: Ledgers,
    bounty: BountyId,
    car: Path | None,
    mirrored: bool,
    reader: Reader | None = None,
    validation: Path | None = None,
) -> Audited:
    """Audit a bounty up to the newest block, or the newest that is mirrored, with a bar.

    reader:     opens sealed updates.
    validation: the data on which a panel measured contributions.
    """
    with (
        opened_events(ledgers, mirrored) as (source, block),
        opened_artefacts(ledgers, source, bounty, car, reader) as files,
        bar("verifying updates") as advance,
    ):
        return Auditor(ledgers.market, files, bounty, source, validation).audit(block, advance)


@contextmanager
def opened_events(ledgers: Ledgers, mirrored: bool) -> Iterator[tuple[EventSource, Block]]:
    """Where events are read, and the last block up to which they can be."""
    if not mirrored:
        yield ChainEvents(ledgers.market), ledgers.chain.block()
        return
    with closing(open_mirror(ledgers.settings, ledgers)) as mirror:
        with bar("mirroring blocks") as advance:
            sync_mirror(ledgers.settings, ledgers, mirror, lambda block, target, logs: advance(block, target))
        head = mirror.head()
        if head is None:
            raise BadInput("No block has enough confirmations to be mirrored yet. Wait, or audit with --direct.")
        yield mirror, head


@contextmanager
def opened_artefacts(
    ledgers: Ledgers, source: EventSource, bounty: BountyId, car: Path | None, reader: Reader | None = None
) -> Iterator[Artefacts]:
    """A bounty's files: those of a CAR file alone, or of IPFS, where its providers are asked too.

    source: tells where providers are.
    Raises: BadCar, ContentUnreachable.
    """
    settings: Settings = ledgers.settings
    if car is None:
        store = open_store(settings)
        connect_peers(store, [one.multiaddr for one in source.events(bounty) if isinstance(one, Joined)])
        yield open_files(settings, store, reader)
        return
    packed = CarStore(car)
    settings.home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.home, prefix="car-") as folder:  # what is cached elsewhere must not count
        yield Artefacts(packed, Path(folder), settings.ipfs.fetch_seconds, reader)


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
