"""`fedbounty audit`: recompute a bounty from chain and files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import structlog
import typer

from ledger.errors import BadInput
from ledger.records import BountyId, PrivacyMode
from node.auditor.report import AuditReport, Basis, Verdict
from node.cli.arguments import BountyArgument, Json
from node.cli.auditing import CarOption, MirrorOption, run_audit
from node.cli.challenging import open_challenger, report_challenge
from node.cli.output import console, grid, pairs, print_json, text, tokens
from node.cli.privacy_shown import show_spent
from node.cli.running import run_daemon
from node.cli.sealed import ContentKeys, disclosed_reader
from node.cli.telemetry import draw_audit
from node.connections import open_ledgers
from node.settings import Settings

log = structlog.get_logger()

EXIT = {Verdict.OK: 0, Verdict.WRONG: 1, Verdict.UNAVAILABLE: 4}


def audit(
    context: typer.Context,
    bounty: BountyArgument,
    car: CarOption = None,
    mirror: MirrorOption = False,
    challenge: Annotated[
        bool,
        typer.Option("--challenge", help="Prove what is wrong on chain and take the bond behind it. Needs a key."),
    ] = False,
    curves: Annotated[
        Path | None, typer.Option(help="Draw the hold-out's metrics into this folder, for TensorBoard.")
    ] = None,
    content_keys: ContentKeys = None,
    validation: Annotated[
        Path | None, typer.Option(help="The panel's validation file: contributions are measured again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute every root, merge and payment of a bounty from bytes. Needs no key and trusts nobody.

    Every round is looked at: [bold]ok[/bold]; [bold]wrong[/bold], with update, coordinate, tensor, and what is recorded
    and follows; or [bold]unavailable[/bold], with the CIDs that could not be had. After a round that is wrong or
    unavailable the next is recomputed from the published state, if its file has the recorded root. Money is held
    against the chain at every block where something changed, as far back as the node keeps its states. What could not
    be checked is listed, with whom that leaves to be trusted.

    Exit codes: 0 all is right; 1 something is wrong; 2 bad input; 3 the chain said no; 4 nothing is wrong, but
    something could not be had.

    With --challenge only merges that can still be challenged are looked at: the first thing that is provably wrong is
    shown to the contract, which takes the bond of whoever merged and gives you half of it. What is withheld is demanded
    on chain, for a fee, and the command goes on until that is decided. Interrupted, it goes on where it was. Then exit
    code 1 says that something was wrong, proven or not. `fedbounty watch` does the same without end.
    """
    settings: Settings = context.obj
    if challenge and (car or mirror):
        raise BadInput("--challenge reads from the chain and from IPFS. Leave --car and --mirror out.")
    ledgers = open_ledgers(settings)
    number = BountyId(bounty)
    terms = ledgers.market.terms(number)
    if challenge:
        daemon, journal = open_challenger(context, ledgers, [bounty], 0, once=True)
        log.info("challenge_over", why=run_daemon(daemon, settings.chain.poll_seconds))
        raise typer.Exit(int(report_challenge(daemon.taken, journal, bounty, as_json)))
    report = run_audit(ledgers, number, car, mirror, disclosed_reader(ledgers, content_keys), validation).report
    if curves is not None:
        draw_audit(curves, ledgers, report)
    if as_json:
        print_json(report.as_json())
    else:
        show_audit(report)
        if report.verdict == Verdict.UNAVAILABLE and terms.privacy == PrivacyMode.ENCRYPTED:
            console.print(
                f"Updates are sealed here: who can read them may give you their keys (`fedbounty disclose {bounty}`). "
                "Audit again with --content-keys."
            )
    raise typer.Exit(EXIT[report.verdict])


def show_audit(report: AuditReport) -> None:
    """Print a report for people."""
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
        f"audit of bounty {report.bounty} up to block {report.block}",
        ("round", "state", "verdict", "accepted", "rejected", *names, "paid"),
        rows,
    )
    pairs("money", {name.replace("_", " "): f"{tokens(amount)} tokens" for name, amount in report.money.items()})
    show_spent(report.privacy)
    show_scoring(report)
    books = report.books
    console.print(f"compared with the chain at {books.checked} of {books.changed} blocks where something changed")
    if books.balance is not None:
        surplus = f", {tokens(books.balance - books.held)} more than it owes" if books.balance > books.held else ""
        console.print(f"the market holds {tokens(books.balance)} of the token, for all bounties{surplus}")
    for difference in report.all_differences:
        console.print(f"[bold red]wrong[/bold red] {text(difference, 1000)}")
    for one in report.rounds:
        for cid in one.missing:
            console.print(f"[bold yellow]unavailable[/bold yellow] round {one.round}: {text(cid)}")
        for note in one.notes:
            console.print(f"[bold]note[/bold] round {one.round}: {text(note)}", highlight=False)
        if one.basis == Basis.PUBLISHED:
            console.print(f"[dim]round {one.round} was recomputed from the published state before it[/dim]")
    for unchecked in report.unchecked:
        console.print(f"[dim]not checked: {text(unchecked, 400)}[/dim]")
    console.print(f"[bold]{'all is right' if report.verdict == Verdict.OK else report.verdict}[/bold]")


def show_scoring(report: AuditReport) -> None:
    """How rounds were divided by contribution, and how far each evaluator was from the others."""
    rows = [
        (
            one.round,
            "medians" if one.by_median else "equally",
            tokens(one.pot),
            who.evaluator,
            who.state,
            "" if who.from_median is None else f"{who.from_median:.2%}",
            "" if who.away is None else f"{who.away:.2%}",
            tokens(who.fee),
            tokens(who.forfeited),
        )
        for one in report.scoring
        for who in one.evaluators
    ]
    if rows:
        columns = ("round", "divided", "pot", "evaluator", "report", "from medians", "measured here", "fee", "lost")
        grid("scoring (distances in parts of all pay)", columns, rows)
    elif report.scoring:
        console.print("No panel was appointed: every round is divided equally.")
