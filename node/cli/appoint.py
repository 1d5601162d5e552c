"""`fedbounty appoint`: a bounty's owner names who measures contributions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ledger.cid import to_cid
from ledger.errors import BadInput
from ledger.records import BountyId, Wei
from ledger.score_records import BASIS, FEWEST_EVALUATORS, MOST_EVALUATORS, Panel
from ledger.scores import ScoreWriter
from ledger.unixfs import digest_of_file
from node.cli.amounts import parse_duration, parse_tokens
from node.cli.arguments import BountyArgument, Json, Yes
from node.cli.keys import ask_password
from node.cli.output import confirm, console, pairs, print_json, tokens
from node.cli.score import open_scores
from node.connections import checked_address, open_account, open_files, open_ledgers, open_store
from node.score_work import open_score_work
from node.scored_rounds import panel_rows
from node.settings import Settings


class BadPanel(BadInput):
    """`problems` holds everything that is wrong with what was asked for."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"The panel can't be appointed like this: {'; '.join(problems)}.")


def appoint(
    context: typer.Context,
    bounty: BountyArgument,
    validation: Annotated[Path, typer.Option(help="The file on which evaluators measure: .csv, .parquet or .npz.")],
    evaluator: Annotated[list[str], typer.Option(help="An evaluator's address; 3 to 15 times.")],
    quorum: Annotated[int, typer.Option(help="Reports that a round needs.", show_default="more than half")] = 0,
    bond: Annotated[str, typer.Option(help="Tokens that each evaluator locks; default: a tenth of a round.")] = "",
    forfeit: Annotated[str, typer.Option(help="Lost for a report that is not opened; default: the bond.")] = "",
    fee_share: Annotated[float, typer.Option(min=0, max=100, help="Per cent of a round for the evaluators.")] = 1.0,
    tolerance: Annotated[
        float,
        typer.Option(min=0, max=200, help="How far from the medians a report earns, in per cent of all pay."),
    ] = 1.0,
    commit_time: Annotated[str, typer.Option(help="Time to measure and commit, from the vesting on.")] = "6h",
    reveal_time: Annotated[str, typer.Option(help="Time to reveal.")] = "1h",
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Name the panel that measures contributions. Before anyone has joined, once, and for ever.

    The validation file must have the manifest's schema. Its digest goes on chain; give the file itself to the
    evaluators, and publish it after the end, so that anyone can recompute their reports. Without a panel every round
    is divided equally. What the divisions leave, all of a round where no update helped, is yours: `fedbounty claim`.
    """
    settings: Settings = context.obj
    ledgers = open_ledgers(settings)
    number = BountyId(bounty)
    terms = ledgers.market.terms(number)
    scores = open_scores(ledgers, number, terms)
    account = context.with_resource(open_account(ledgers, ask_password))
    if not validation.is_file():
        raise BadInput(f"There is no validation file {validation}.")
    locked = parse_tokens(bond) if bond else Wei(max(1, terms.pot // terms.rounds // 10))
    panel = Panel(
        bond=locked,
        forfeit=parse_tokens(forfeit) if forfeit else locked,
        commit_seconds=parse_duration(commit_time),
        reveal_seconds=parse_duration(reveal_time),
        quorum=quorum or len(evaluator) // 2 + 1,
        fee_share=round(fee_share * BASIS / 100),
        tolerance=round(tolerance * BASIS / 100),
        validation=digest_of_file(validation),
        evaluators=tuple(checked_address(one, "--evaluator") for one in evaluator),
    )
    check_panel(panel)
    work = open_score_work(open_files(settings, open_store(settings)), terms, validation, panel.validation)
    if not as_json:
        pairs(f"the panel of bounty {bounty}", {**panel_rows(panel, tokens), "examples": work.examples})
    confirm("Appoint this panel? It can't be changed.", yes or as_json)
    ScoreWriter(scores, account.transactor).appoint(number, panel)
    if as_json:
        print_json({"bounty": bounty, "validation_cid": to_cid(panel.validation), "panel": asdict(panel)})
        return
    console.print(
        f"Bounty {bounty} has its panel. Give {validation.name} to its evaluators; each runs: "
        f"fedbounty score {bounty} --validation {validation.name}",
        highlight=False,
    )


def check_panel(panel: Panel) -> None:
    """Say all that the contract would refuse.

    Raises: BadPanel.
    """
    count, problems = len(panel.evaluators), []
    if not FEWEST_EVALUATORS <= count <= MOST_EVALUATORS:
        problems.append(f"{count} evaluators are not {FEWEST_EVALUATORS} to {MOST_EVALUATORS}")
    if len(set(panel.evaluators)) != count:
        problems.append("an evaluator is named twice")
    if not count // 2 < panel.quorum <= count:
        problems.append(f"a quorum of {panel.quorum} is not more than half of {count} evaluators, or more than all")
    if panel.bond == 0:
        problems.append("the bond is 0")
    if not 0 < panel.forfeit <= panel.bond:
        problems.append("the forfeit is 0 or more than the bond")
    if problems:
        raise BadPanel(problems)
