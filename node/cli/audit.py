"""`fedbounty audit`: recompute a bounty from chain and IPFS."""

from __future__ import annotations

from typing import Annotated

import structlog
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ledger.market import Market
from ledger.records import BountyId, Joined
from node.auditor.audit import Auditor
from node.auditor.report import AuditReport, RoundReport, Verdict
from node.bounty_files import BountyFiles
from node.cli.arguments import BountyArgument, Json
from node.cli.challenging import open_challenger, report_challenge
from node.cli.output import console, errors, grid, pairs, print_json, text, tokens
from node.cli.running import run_daemon
from node.connections import connect_peer, open_files, open_ledgers, open_store
from node.settings import Settings

log = structlog.get_logger()

_EXIT = {Verdict.OK: 0, Verdict.WRONG: 1, Verdict.UNAVAILABLE: 4}


def audit(
    context: typer.Context,
    bounty: BountyArgument,
    challenge: Annotated[
        bool,
        typer.Option("--challenge", help="Prove what is wrong on chain and take the bond behind it. Needs a key."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Recompute every root, merge and payment of a bounty from bytes. Needs no key and trusts nobody.

    Stops at the first round that differs, and names round, update and coordinate. Exit codes: 0 all is right;
    1 something is wrong; 4 something could not be had.

    With --challenge only merges that can still be challenged are looked at: the first thing that is provably wrong is
    shown to the contract, which takes the bond of whoever merged and gives you half of it. What is withheld is demanded
    on chain, for a fee, and the command goes on until that is decided. Interrupted, it goes on where it was. Then exit
    code 1 says that something was wrong, proven or not. `fedbounty watch` does the same without end.
    """
    settings: Settings = context.obj
    ledgers = open_ledgers(settings)
    number = BountyId(bounty)
    ledgers.market.terms(number)
    if challenge:
        daemon, journal = open_challenger(context, ledgers, [bounty], 0, once=True)
        log.info("challenge_over", why=run_daemon(daemon, settings.chain.poll_seconds))
        raise typer.Exit(int(report_challenge(daemon.taken, journal, bounty, as_json)))
    store = open_store(settings)
    for event in ledgers.market.events(number):
        if isinstance(event, Joined) and event.multiaddr:
            connect_peer(store, event.multiaddr)
    report = _run(ledgers.market, open_files(settings, store), number)
    if as_json:
        print_json(report.as_json())
    else:
        _show(report)
    raise typer.Exit(_EXIT[report.verdict])


def _run(market: Market, files: BountyFiles, bounty: BountyId) -> AuditReport:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("recomputing rounds", total=None)

        def advance(report: RoundReport, rounds: int) -> None:
            bar.update(task, completed=report.round, total=rounds)

        return Auditor(market, files, bounty).run(advance)


def _show(report: AuditReport) -> None:
    names = list(report.metrics_start)
    rows = [
        (
            one.round,
            one.state,
            one.verdict,
            one.accepted,
            one.rejected,
            *(f"{one.metrics[name]:.4f}" if name in one.metrics else "" for name in names),
            tokens(one.paid),
        )
        for one in report.rounds
    ]
    grid(
        f"audit of bounty {report.bounty}", ("round", "state", "verdict", "accepted", "rejected", *names, "paid"), rows
    )
    pairs("money", {name.replace("_", " "): f"{tokens(amount)} tokens" for name, amount in report.money.items()})
    for difference in report.all_differences:
        console.print(f"[bold red]wrong[/bold red] {text(difference, 1000)}")
    for one in report.rounds:
        for cid in one.missing:
            console.print(f"[bold yellow]unavailable[/bold yellow] round {one.round}: {text(cid)}")
    for trust in report.unchecked:
        console.print(f"[dim]not checked: {trust}[/dim]")
    console.print(f"[bold]{'all is right' if report.verdict == Verdict.OK else report.verdict}[/bold]")
