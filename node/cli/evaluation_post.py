"""`fedbounty evaluation post`: a model version and an escrow become an evaluation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ledger.content import ContentStore
from ledger.erc20 import Token
from ledger.errors import BadInput
from ledger.records import Address, BountyId
from node.cli.amounts import parse_duration, parse_tokens
from node.cli.arguments import Json, Yes
from node.cli.evaluation import OPEN_TO_ALL, terms_shown
from node.cli.keys import ask_password
from node.cli.output import confirm, console, pairs, print_json, tokens
from node.connections import (
    checked_address,
    open_evaluation_account,
    open_evaluations,
    open_files,
    open_ledgers,
    open_store,
)
from node.evaluation_files import parse_list
from node.evaluation_posting import (
    MOST_REPORTS,
    Offer,
    Subject,
    bounty_subject,
    evaluation_terms,
    grid_for,
    metric_for,
    package_subject,
    publish_list,
)
from node.manifest import Manifest
from node.posting import publish_package, read_package
from node.settings import Settings

ONE_OF_TWO = "Name what to evaluate: a package folder, or --bounty NUMBER for the model that a bounty trains."


def post(
    context: typer.Context,
    package: Annotated[Path | None, typer.Argument(help="Folder written by `fedbounty bounty pack`.")] = None,
    payment: Annotated[str, typer.Option(help="Tokens for each report.")] = "1",
    bounty: Annotated[int | None, typer.Option(min=1, help="Evaluate this bounty's model instead.")] = None,
    round_number: Annotated[
        int | None, typer.Option("--round", min=1, help="After this round; default: the last.")
    ] = None,
    metric: Annotated[str, typer.Option(help="accuracy, cross_entropy, mse, mae; default: the manifest's.")] = "",
    span: Annotated[str, typer.Option("--range", help="LOW:HIGH that a report may be; accuracy has 0:1.")] = "",
    decimals: Annotated[int, typer.Option(help="Digits after the point of a report.")] = 4,
    noise: Annotated[str, typer.Option(help="Scale of the noise that reporters add, as 0.01; default: none.")] = "",
    reports: Annotated[int, typer.Option(min=1, max=MOST_REPORTS, help="Places: most reports that are paid.")] = 20,
    min_reports: Annotated[int, typer.Option(min=1, max=MOST_REPORTS, help="Fewer are inconclusive.")] = 3,
    stake: Annotated[str, typer.Option(help="Locked with a commitment; default: the payment.")] = "",
    allow: Annotated[Path | None, typer.Option(help="File of the accounts that may report, one a line.")] = None,
    commit_time: Annotated[str, typer.Option(help="Time to measure and commit.")] = "1d",
    reveal_time: Annotated[str, typer.Option(help="Time to reveal.")] = "1d",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Put payments in escrow for measuring a model on others' data.

    All places' payments are escrowed; what no report earns comes back with `fedbounty evaluation refund`.
    Without --allow everyone may report, and one person can then report many times.
    """
    settings: Settings = context.obj
    if (package is None) == (bounty is None):
        raise BadInput(ONE_OF_TWO)
    accounts = _accounts(allow)
    evaluations = open_evaluations(settings)
    account = context.with_resource(open_evaluation_account(evaluations, ask_password))
    store = open_store(settings)
    subject, manifest = _of_package(store, package) if package else _of_bounty(settings, store, bounty, round_number)
    offer = Offer(
        token=checked_address(settings.chain.token, "chain.token (FEDBOUNTY_TOKEN)"),
        payment=parse_tokens(payment),
        stake=parse_tokens(stake or payment),
        min_reports=min_reports,
        max_reports=reports,
        commit_seconds=parse_duration(commit_time),
        reveal_seconds=parse_duration(reveal_time),
    )
    chosen = grid_for(metric_for(manifest, metric), span, decimals, noise)
    terms = evaluation_terms(offer, subject, chosen, manifest, publish_list(store, accounts))
    if not as_json:
        pairs("the evaluation", terms_shown(terms))
        if terms.is_open:
            console.print(f"[yellow]{OPEN_TO_ALL}[/yellow]")
    confirm(f"Put {tokens(terms.escrow)} tokens in escrow?", yes or as_json)
    Token(evaluations.chain, terms.token).ensure_allowance(account.transactor, evaluations.market.address, terms.escrow)
    number = account.writer.post(terms)
    if as_json:
        print_json(
            {"evaluation": number, "owner": account.address, "open_to_all": terms.is_open, "terms": asdict(terms)}
        )
        return
    console.print(
        f"Evaluation [bold]{number}[/bold] is open. Providers run: fedbounty evaluation provide {number} --data FILE"
    )
    console.print(f"Keep your IPFS node running until they have fetched the model: {store.addresses()[0]}")


def _accounts(allow: Path | None) -> list[Address]:
    if allow is None:
        return []
    try:
        return parse_list(allow.read_bytes())
    except OSError as error:
        raise BadInput(f"The list {allow} can't be read: {error.strerror}.") from error


def _of_package(store: ContentStore, folder: Path) -> tuple[Subject, Manifest]:
    manifest = read_package(folder)
    return package_subject(manifest, publish_package(store, folder, manifest)), manifest


def _of_bounty(
    settings: Settings, store: ContentStore, bounty: int | None, round_number: int | None
) -> tuple[Subject, Manifest]:
    assert bounty is not None
    market, number = open_ledgers(settings).market, BountyId(bounty)
    manifest = open_files(settings, store).manifest(market.terms(number))
    return bounty_subject(market, number, round_number), manifest
