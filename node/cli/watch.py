"""`fedbounty watch`: check every merge as it comes, and prove the wrong ones wrong."""

from __future__ import annotations

from typing import Annotated

import typer

from node.cli.challenging import open_challenger
from node.cli.telemetry import CurvesFolder, MetricsPort, open_telemetry, say
from node.connections import open_ledgers
from node.settings import Settings

DEFAULT_GRACE = 300

BountiesArgument = Annotated[
    list[int] | None, typer.Argument(min=1, help="Bounties to follow; none given: all of the market.")
]


def watch(
    context: typer.Context,
    bounties: BountiesArgument = None,
    grace: Annotated[
        int,
        typer.Option(
            min=0,
            help="Seconds until missing files are demanded, for a fee; at most a quarter of the time to challenge.",
        ),
    ] = DEFAULT_GRACE,
    metrics_port: MetricsPort = None,
    curves: CurvesFolder = None,
) -> None:
    """Recompute every new merge, and take the bond of whoever posted a wrong one.

    For each merge the updates are fetched and merged again. The first wrong coordinate, rejection or payment is shown
    to the contract, which recomputes it: the merge is void, half of the bond is yours, and the round is merged again.

    What a merge commits to and nobody serves is demanded on chain, chunk by chunk, until it is answered or the time
    for that is over, which voids the merge too. A demand costs the bounty's demand fee: it goes to whoever answers, and
    comes back from who does not.

    Without numbers, models of more than 16 million coordinates are left out: name such a bounty to follow it.

    Needs a key with ether for gas, and tokens for demands. Stop it at any moment and run the same command again:
    what was checked is in a journal, the rest is on chain. `fedbounty --log-json watch` logs for programs.
    """
    settings: Settings = context.obj
    telemetry = open_telemetry(context, "challenger", metrics_port, curves)
    ledgers = open_ledgers(settings, telemetry.tell)
    daemon, _ = open_challenger(context, ledgers, bounties or [], grace, once=False, telemetry=telemetry)
    telemetry.draw_curves(context, ledgers, daemon.account)
    what = "all bounties" if not bounties else "bounty " + ", ".join(map(str, bounties))
    say("watching", f"Watching {what} on {ledgers.market.address}. Ctrl-C stops; the same command goes on.")
    telemetry.run(daemon, daemon.account, ledgers, settings.chain.token)
