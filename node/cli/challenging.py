"""What `fedbounty audit --challenge` and `fedbounty watch` share: a challenger put together from the settings."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from ledger.demands import ChunkDemands
from ledger.notices import ignore
from ledger.proofs import FraudProofs
from ledger.records import BountyId
from node.challenger.daemon import ChallengerDaemon, ChallengerSetup, Taken
from node.challenger.journal import UNPROVABLE, ChallengeJournal
from node.challenger.scores import Scores
from node.cli.keys import ask_password
from node.cli.output import console, print_json, text, tokens
from node.cli.sealed import reader_of
from node.cli.telemetry import Telemetry
from node.connections import Ledgers, open_account, open_files, open_store
from node.settings import Settings


def open_challenger(
    context: typer.Context,
    ledgers: Ledgers,
    bounties: Sequence[int],
    grace_seconds: int,
    once: bool,
    telemetry: Telemetry | None = None,
) -> tuple[ChallengerDaemon, ChallengeJournal]:
    """A challenger with the account of the settings, and its journal in the settings' home.

    Raises: BadInput for an account that can't be opened; UnknownBounty.
    """
    settings: Settings = context.obj
    market = ledgers.market
    for bounty in bounties:
        market.terms(BountyId(bounty))
    account = context.with_resource(open_account(ledgers, ask_password))
    judge, desk = market.judges()
    journal = ChallengeJournal(settings.home / "challenges.sqlite", f"{ledgers.chain.chain_id}:{market.address}")
    context.call_on_close(journal.close)
    tell = telemetry.tell if telemetry else ignore
    files = open_files(settings, open_store(settings, tell), reader_of(ledgers, account))
    named = tuple(map(BountyId, bounties))
    setup = ChallengerSetup(
        market=market,
        proofs=FraudProofs(ledgers.chain, judge),
        demands=ChunkDemands(ledgers.chain, desk),
        files=files,
        account=account,
        journal=journal,
        bounties=named,
        grace_seconds=grace_seconds,
        once=once,
        scores=Scores(files, named, tell) if telemetry and telemetry.is_wanted else None,
        tell=tell,
    )
    return ChallengerDaemon(setup), journal


def report_challenge(taken: Taken, journal: ChallengeJournal, bounty: int, as_json: bool) -> bool:
    """Say what a challenge of one bounty came to; whether anything was wrong."""
    refused = [
        verdict.sentence
        for key, verdict in journal.verdicts().items()
        if key.bounty == bounty and verdict.verdict == UNPROVABLE
    ]
    if as_json:
        print_json(
            {
                "bounty": bounty,
                "proven": taken.found,
                "refused": refused,
                "bonds_taken": taken.bonds,
                "rewards": taken.rewards,
            }
        )
        return bool(taken.found or refused)
    for sentence in taken.found:
        console.print(f"[bold red]proven[/bold red] {text(sentence, 1000)}")
    for sentence in refused:
        console.print(f"[bold yellow]wrong, but the contract took no proof[/bold yellow] {text(sentence, 1000)}")
    if taken.found:
        console.print(
            f"[bold]bonds of {tokens(taken.bonds)} tokens taken, of which {tokens(taken.rewards)} came to you[/bold]"
        )
    elif not refused:
        console.print("[bold]nothing that can still be challenged is wrong[/bold]")
    return bool(taken.found or refused)
