"""`fedbounty aggregate`: verify the recorded updates, merge them, and keep the rounds going."""

from __future__ import annotations

import typer

from ledger.records import BountyId
from node.aggregator.daemon import AggregatorDaemon, AggregatorSetup
from node.aggregator.merge_work import MergeWork
from node.aggregator.unmasking import open_unmasking
from node.cli.arguments import BountyArgument, Yes
from node.cli.keys import ask_password
from node.cli.output import confirm, console, tokens
from node.cli.running import OVER, BountyOver
from node.cli.sealed import reader_of, require_recipient
from node.cli.telemetry import CurvesFolder, MetricsPort, open_telemetry, say
from node.connections import open_account, open_files, open_ledgers, open_store
from node.scoring import open_scorer
from node.settings import Settings


def aggregate(
    context: typer.Context,
    bounty: BountyArgument,
    metrics_port: MetricsPort = None,
    curves: CurvesFolder = None,
    yes: Yes = False,
) -> None:
    """Merge a bounty's rounds until it ends.

    The bounty's named aggregator merges each round in its exclusive time; anyone else steps in when that has passed.
    Needs a bond, and asks before it is locked. Stop it at any moment and run the same command again.
    """
    settings: Settings = context.obj
    telemetry = open_telemetry(context, "aggregator", metrics_port, curves)
    ledgers = open_ledgers(settings, telemetry.tell)
    number = BountyId(bounty)
    terms = ledgers.market.terms(number)
    account = context.with_resource(open_account(ledgers, ask_password))
    bond, _ = ledgers.market.bond(number, account.address)
    phase = ledgers.market.clock(number).phase
    if phase in OVER and bond == 0 and ledgers.market.money(number).free == 0:
        raise BountyOver(bounty, phase.name.lower(), "There is nothing left to merge, to refund or to take back.")
    files = open_files(settings, open_store(settings, telemetry.tell), reader_of(ledgers, account))
    manifest = files.manifest(terms)
    require_recipient(account, manifest)
    if bond < terms.bond and phase not in OVER:
        named = "the named aggregator" if account.address == terms.aggregator else "not the named aggregator"
        console.print(f"{account.address} is {named} of bounty {bounty}.")
        confirm(f"Lock a bond of {tokens(terms.bond)} tokens when it is needed?", yes)
    unmasking = open_unmasking(ledgers.market, number, terms, manifest, files)
    work = MergeWork(files, terms, manifest, open_scorer(files, manifest), telemetry.tell, unmasking)
    say("aggregating", f"Aggregating bounty {bounty} as {account.address}. Ctrl-C stops; the same command goes on.")
    setup = AggregatorSetup(ledgers.market, account, number, terms, work, telemetry.tell)
    telemetry.draw_curves(context, ledgers, account.address)
    telemetry.run(AggregatorDaemon(setup), account.address, ledgers, terms.token)
