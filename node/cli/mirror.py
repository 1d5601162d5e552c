"""`fedbounty mirror`: keep an SQLite index of the market's whole record on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from ledger.mirror import Mirror, SyncResult
from ledger.notices import Observer
from node.cli.arguments import Json
from node.cli.auditing import bar
from node.cli.output import console, moment, pairs, print_json
from node.cli.running import run_daemon
from node.cli.telemetry import MetricsPort, open_telemetry
from node.connections import Ledgers, open_ledgers
from node.loop import Finish
from node.mirrors import confirmations, open_mirror, sync_mirror
from node.notices import MirrorSynced
from node.settings import Settings


def mirror(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with every new block until Ctrl-C.")] = False,
    confirm: Annotated[
        int | None,
        typer.Option(
            "--confirmations", min=0, help="Blocks above the last one that is mirrored (default: 12; 0 on a devnet)."
        ),
    ] = None,
    metrics_port: MetricsPort = None,
    as_json: Json = False,
) -> None:
    """Copy every log of the market, its judges and panels into an SQLite file in the home, and bring it up to date.

    Commands that read a bounty's record, such as `fedbounty audit --mirror` and `fedbounty explore`, then need the
    endpoint only for what is new. Any endpoint will do: ranges shrink where it refuses large ones. Stop it at any
    moment and run it again: it goes on where it was. When the chain is reorganised, what is gone is removed and read
    anew; with confirmations, that is rare. A new file begins at the market's first block, where the endpoint can tell
    it. The file is only a copy, and may be deleted.
    """
    settings: Settings = context.obj
    if confirm is not None:
        chain = settings.chain.model_copy(update={"confirmations": confirm})
        settings = settings.model_copy(update={"chain": chain})
    telemetry = open_telemetry(context, "mirror", metrics_port, curves="off")
    ledgers = open_ledgers(settings, telemetry.tell)
    with closing(open_mirror(settings, ledgers)) as opened:
        with bar("mirroring blocks") as advance:
            result = sync_mirror(settings, ledgers, opened, lambda block, target, logs: advance(block, target))
        _tell(opened, result, confirmations(settings, ledgers), as_json)
        if follow:
            following = _Following(settings, ledgers, opened, as_json, telemetry.tell)
            run_daemon(following, settings.chain.poll_seconds, telemetry.tell)


class _Following:
    """Brings the mirror up to date at every turn of the loop, which tries again when the endpoint is away."""

    def __init__(self, settings: Settings, ledgers: Ledgers, opened: Mirror, as_json: bool, tell: Observer) -> None:
        self._settings, self._ledgers, self._mirror, self._as_json = settings, ledgers, opened, as_json
        self._tell = tell

    def observe(self) -> SyncResult:
        result = sync_mirror(self._settings, self._ledgers, self._mirror)
        self._tell(MirrorSynced(result.last, result.logs, result.removed))
        if result.logs or result.removed:
            _tell_step(result, self._as_json)
        return result

    def decide(self, view: SyncResult) -> Sequence[Finish]:
        return ()

    def act(self, action: Finish) -> None:
        """There is nothing to do besides looking."""


def _tell(opened: Mirror, result: SyncResult, depth: int, as_json: bool) -> None:
    head, bounties = opened.head(), len(opened.bounties())
    if as_json:
        document = {"file": str(opened.path), "confirmations": depth, "bounties": bounties, **asdict(result)}
        print_json({**document, "head": asdict(head) if head else None})
        return
    rows: dict[str, object] = {
        "file": opened.path,
        "up to": f"block {head.number}, {moment(head.timestamp)}" if head else "nothing: no block is deep enough yet",
        "confirmations": depth,
        "bounties": bounties,
        "new logs": result.logs,
    }
    pairs("mirror", rows)
    _tell_what_went(result)


def _tell_step(result: SyncResult, as_json: bool) -> None:
    if as_json:
        print_json(asdict(result))
        return
    console.print(f"block {result.last}: {result.logs} new logs")
    _tell_what_went(result)


def _tell_what_went(result: SyncResult) -> None:
    if result.restarted:
        console.print("[bold yellow]The chain began anew:[/bold yellow] all that was mirrored is gone from it.")
    elif result.removed:
        console.print(f"The chain was reorganised: blocks from {result.first} on were read again.")
