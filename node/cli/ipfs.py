"""`fedbounty ipfs`: the embedded IPFS node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ledger.kubo.process import start_ipfs
from node.cli.arguments import Json
from node.cli.output import console, print_json
from node.cli.running import stop_signals
from node.settings import Settings


def ipfs(
    context: typer.Context,
    api: Annotated[str, typer.Option(help="Where its RPC interface listens; port 0 takes a free one.")] = (
        "127.0.0.1:5001"
    ),
    listen: Annotated[str, typer.Option(help="Address at which other nodes reach it.")] = "127.0.0.1",
    repo: Annotated[Path | None, typer.Option(help="Where the node keeps its blocks and its identity.")] = None,
    as_json: Json = False,
) -> None:
    """Run an IPFS node until Ctrl-C. Any other Kubo node serves as well: set ipfs.api to its RPC endpoint.

    The node talks to no public peers by itself; name peers in ipfs.peers (FEDBOUNTY_IPFS_PEERS).
    """
    settings: Settings = context.obj
    with stop_signals() as stop, start_ipfs(repo or settings.home / "ipfs", api=api, listen=listen) as node:
        if as_json:
            print_json({"api": node.api, "peer": node.peer})
        else:
            console.print(
                f"The IPFS node answers at {node.api}; other nodes reach it at:\n{node.peer}\nCtrl-C stops it."
            )
        stop.wait()
