"""The command `fedbounty`: settings, logs, and one place where errors become a sentence and an exit code."""

from __future__ import annotations

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
from node.telemetry.logs import LogSetup, configure_logs, crashes_logged, log_crash, logs_are_json, struck_out

log = structlog.get_logger()

OUR_BUG = 70
"""Exit code of a crash, as sysexits.h has it."""

COMMANDS = {
    "devnet": "node.cli.devnet:devnet",
    "ipfs": "node.cli.ipfs:ipfs",
    "key": "node.cli.keys:app",
    "fund": "node.cli.devnet:fund",
    "bounty": "node.cli.bounty:app",
    "evaluation": "node.cli.evaluation:app",
    "provide": "node.cli.provide:provide",
    "leave": "node.cli.leave:leave",
    "aggregate": "node.cli.aggregate:aggregate",
    "appoint": "node.cli.appoint:appoint",
    "score": "node.cli.score:score",
    "privacy": "node.cli.privacy:app",
    "claim": "node.cli.claim:claim",
    "explain": "node.cli.explain:explain",
    "mirror": "node.cli.mirror:mirror",
    "audit": "node.cli.audit:audit",
    "explore": "node.cli.explore:explore",
    "report": "node.cli.report:report",
    "disclose": "node.cli.sealed:disclose",
    "export": "node.cli.export:export_command",
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
        "4 content could not be had; 70 a bug of fedbounty."
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
    log_file: Annotated[Path | None, typer.Option(help="Log into this file instead of to standard error.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log details too.")] = False,
) -> None:
    configure_logs(LogSetup(log_json, verbose))  # for errors in the settings
    given: Mapping[tuple[str, ...], Any] = {
        ("chain", "rpc_url"): rpc_url,
        ("chain", "market"): market,
        ("ipfs", "api"): ipfs_api,
        ("keys", "account"): account,
        ("logs", "json"): log_json or None,
        ("logs", "file"): log_file,
    }
    read = load_settings(config, {place: value for place, value in given.items() if value is not None})
    configure_logs(LogSetup(read.logs.json_lines, verbose, read.logs.file, read.secrets))
    context.obj = read


def main() -> None:
    """Run the command line; every expected error is one sentence and an exit code."""
    with crashes_logged():
        try:
            app()
        except FedbountyError as error:
            _say(error)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            sys.exit(130)
        except Exception as error:
            log_crash(error)
            sys.exit(OUR_BUG)


def _say(error: FedbountyError) -> None:
    if logs_are_json():
        log.error("failed", error=str(error), exit_code=error.exit_code)
    else:
        errors.print(
            f"[bold red]fedbounty:[/bold red] {lines(struck_out(str(error)))}", soft_wrap=True, highlight=False
        )
