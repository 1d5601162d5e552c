"""`fedbounty explore`: look at bounties in a browser."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from ledger.content import ContentStore
from ledger.errors import ContentError
from node.cli.output import console, errors, text
from node.cli.running import stop_signals
from node.connections import open_files, open_ledgers, open_store
from node.explorer.server import serving
from node.settings import Settings

DEFAULT_PORT = 8600


def explore(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: any free one.")] = DEFAULT_PORT,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
) -> None:
    """Serve read-only pages about the market's bounties, on this machine only. Needs no key.

    Bounties with their live phase clock, accuracy, pay, accepted and rejected updates with reasons, and gas; rounds
    with their proof trees, and a button that verifies a payment or an update against the chain and shows each step.
    Where pay is by contribution: the panel, its reports, the medians, and what each update and evaluator got.
    The pages follow the chain by themselves, from the same mirror as `fedbounty mirror`.
    """
    settings: Settings = context.obj
    ledgers = open_ledgers(settings)
    files = open_files(settings, _store(settings))
    with stop_signals() as stop, serving(ledgers, files, port) as address:
        console.print(f"The explorer is at {address} and ends with Ctrl-C.", soft_wrap=True)
        if open_browser:
            webbrowser.open(address)
        stop.wait()
    console.print("The explorer has ended.")


def _store(settings: Settings) -> ContentStore:
    """The store of the settings, also while its endpoint is away: pages then say what can't be had."""
    try:
        return open_store(settings)
    except ContentError as error:
        errors.print(text(error))
        return ContentStore(settings.ipfs.api)
