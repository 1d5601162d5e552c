"""`fedbounty leave`: stop being a member of a bounty."""

from __future__ import annotations

import typer

from ledger.records import BountyId
from node.cli.arguments import BountyArgument, Yes
from node.cli.keys import ask_password
from node.cli.output import confirm, console
from node.cli.running import OVER, BountyOver
from node.connections import open_account, open_ledgers
from node.provider.decisions import Leave
from node.provider.effects import collect
from node.provider.view import observe
from node.settings import Settings


def leave(context: typer.Context, bounty: BountyArgument, yes: Yes = False) -> None:
    """Leave a bounty. The stake is free when nothing you did can be challenged any more; `fedbounty claim` takes it."""
    settings: Settings = context.obj
    ledgers = open_ledgers(settings)
    account = context.with_resource(open_account(ledgers, ask_password))
    number = BountyId(bounty)
    view = observe(ledgers.market, number, ledgers.market.terms(number), account.address, None)
    if view.standing.stake == 0:
        console.print(f"{account.address} is not a member of bounty {bounty}; nothing to leave.")
        return
    if view.standing.unlocks_at:
        console.print(
            f"{account.address} has left bounty {bounty} already. `fedbounty claim {bounty}` takes the stake."
        )
        return
    if view.clock.phase in OVER:
        raise BountyOver(bounty, view.clock.phase.name.lower(), f"`fedbounty claim {bounty}` takes the stake.")
    confirm(f"Leave bounty {bounty}?", yes)
    collect(account, view.history, Leave())
    console.print(f"Left bounty {bounty}. Run `fedbounty claim {bounty}` later to take the stake and the pay.")
