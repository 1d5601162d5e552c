"""The command `fedbounty`: settings, logs, and one place where errors become a sentence and an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer

from ledger.errors import FedbountyError
from node.cli.lazy import lazy_group
from node.cli.output import errors, lines
from node.settings import load_settings

COMMANDS = {
    "devnet": "node.cli.devnet:devnet",
    "ipfs": "node.cli.ipfs:ipfs",
    "key": "node.cli.keys:app",
    "fund": "node.cli.devnet:fund",
    "bounty": "node.cli.bounty:app",
    "provide": "node.cli.provide:provide",
    "leave": "node.cli.leave:leave",
    "aggregate": "node.cli.aggregate:aggregate",
    "claim": "node.cli.claim:claim",
    "audit": "node.cli.audit:audit",
    "watch": "node.cli.watch:watch",
}

app = typer.Typer(
    cls=lazy_group(COMMANDS),
    name="fedbounty",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help=(
        "A marketplace for federated training whose every merge and payment anyone can recompute.\n\n"
        "Try it alone: run [bold]fedbounty devnet[/bold] and [bold]fedbounty ipfs[/bold] in two terminals, then "
        "[bold]fedbounty key new[/bold], [bold]fedbounty bounty post[/bold], [bold]fedbounty provide[/bold], "
        "[bold]fedbounty aggregate[/bold] and [bold]fedbounty audit[/bold]. The README walks through it.\n\n"
        "Settings come from the command line, the environment (FEDBOUNTY_RPC_URL, FEDBOUNTY_MARKET, "
        "FEDBOUNTY_IPFS_API, FEDBOUNTY_ACCOUNT, …) and fedbounty.toml, in this order.\n\n"
        "Exit codes: 0 done; 1 a difference or a broken record was found; 2 bad input; 3 the chain said no; "
        "4 content could not be had."
    ),
)


@app.callback()
def settings(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Settings file (default: ./fedbounty.toml).")] = None,
    rpc_url: Annotated[str | None, typer.Option(help="Ethereum JSON-RPC endpoint.")] = None,
    market: Annotated[str | None, typer.Option(help="Address of the TrainingMarket contract.")] = None,
    ipfs_api: Annotated[str | None, typer.Option(help="Kubo RPC endpoint.")] = None,
    account: Annotated[str | None, typer.Option(help="Name of the key that signs.")] = None,
    log_json: Annotated[bool, typer.Option("--log-json", help="Log lines as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every effect.")] = False,
) -> None:
    configure_logs(log_json, verbose)
    given: Mapping[tuple[str, ...], Any] = {
        ("chain", "rpc_url"): rpc_url,
        ("chain", "market"): market,
        ("ipfs", "api"): ipfs_api,
        ("keys", "account"): account,
    }
    context.obj = load_settings(config, {place: value for place, value in given.items() if value is not None})


def configure_logs(as_json: bool, verbose: bool) -> None:
    """One line an effect, on standard error: an event name and its fields."""
    for_people = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    renderer = structlog.processors.JSONRenderer() if as_json else for_people
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if verbose else logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def main() -> None:
    """Run the command line; every expected error is one sentence and an exit code."""
    try:
        app()
    except FedbountyError as error:
        errors.print(f"[bold red]fedbounty:[/bold red] {lines(error)}", soft_wrap=True, highlight=False)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
