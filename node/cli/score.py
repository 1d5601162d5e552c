"""`fedbounty score`: an evaluator of a panel measures what updates contributed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.errors import BadInput
from ledger.records import Address, BountyId, Terms
from ledger.score_records import Panel, ScorePhase
from ledger.scores import Scores
from node.cli.arguments import BountyArgument, Json, Yes
from node.cli.keys import ask_password
from node.cli.output import confirm, pairs, print_json, tokens
from node.cli.running import run_daemon
from node.cli.sealed import reader_of
from node.cli.telemetry import MetricsPort, open_telemetry, say
from node.connections import Account, Ledgers, open_account, open_files, open_ledgers, open_store
from node.score_work import open_score_work
from node.scored_rounds import scores_of
from node.scorer.daemon import ScorerDaemon, ScorerSetup
from node.scorer.journal import ScoreJournal
from node.settings import Settings


class NoEvaluator(BadInput):
    def __init__(self, bounty: int, account: str) -> None:
        self.bounty, self.account = bounty, account
        super().__init__(
            f"{account} is no evaluator of bounty {bounty}. `fedbounty bounty show {bounty}` shows who is; "
            f"--account names another of your keys."
        )


class OtherReward(BadInput):
    def __init__(self, bounty: int, rule: str) -> None:
        self.bounty, self.rule = bounty, rule
        super().__init__(f"Bounty {bounty} pays by the reward rule {rule}: there is nothing to score.")


def score(
    context: typer.Context,
    bounty: BountyArgument,
    validation: Annotated[Path, typer.Option(help="The panel's validation file: .csv, .parquet or .npz.")],
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, and end.")] = False,
    metrics_port: MetricsPort = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Measure a bounty's rounds as an evaluator of its panel, until it ends.

    Checks that the validation file is the one that the panel names, locks the bond after asking, measures each round
    when its merge has vested, commits, reveals, settles, and takes fees and bond at the end. Stop it at any moment
    and run the same command again: it goes on with the same reports.
    """
    settings: Settings = context.obj
    telemetry = open_telemetry(context, "evaluator", metrics_port, curves="off")
    ledgers = open_ledgers(settings, telemetry.tell)
    number = BountyId(bounty)
    terms = ledgers.market.terms(number)
    account = context.with_resource(open_account(ledgers, ask_password))
    scores = open_scores(ledgers, number, terms)
    panel = scores.panel(number)
    if panel is None or account.address not in panel.evaluators:
        raise NoEvaluator(bounty, account.address)
    files = open_files(settings, open_store(settings, telemetry.tell), reader_of(ledgers, account))
    work = open_score_work(files, terms, validation, panel.validation)
    if scores.evaluator(number, account.address).bond < panel.forfeit:
        if not as_json:
            pairs(f"the panel of bounty {bounty}", offer_rows(panel, work.examples))
        confirm(f"Lock a bond of {tokens(panel.bond)} tokens when it is needed?", yes or as_json)
    journal = ScoreJournal(_journal_path(ledgers))
    setup = ScorerSetup(
        ledgers.market,
        scores,
        account.key,
        account.transactor,
        number,
        terms,
        panel,
        work,
        journal,
        once,
        telemetry.tell,
    )
    if as_json:
        ended = run_daemon(ScorerDaemon(setup), settings.chain.poll_seconds, telemetry.tell)
        print_json({"bounty": bounty, "ended": ended, **standing(ledgers, scores, number, account)})
        return
    say("scoring", f"Scoring bounty {bounty} as {account.address}. Ctrl-C stops; the same command goes on.")
    telemetry.run(ScorerDaemon(setup), account.address, ledgers, terms.token)


def offer_rows(panel: Panel, examples: int) -> dict[str, object]:
    """What an evaluator gains and risks."""
    return {
        "validation": f"{examples} examples",
        "fee": f"{panel.fee_share / 100:g} % of each round, divided by {len(panel.evaluators)}",
        "earned": f"by reports that are at most {panel.tolerance / 100:g} % of all pay away from the medians",
        "lost": f"{tokens(panel.forfeit)} tokens for each report that you commit to and do not open",
    }


def open_scores(ledgers: Ledgers, bounty: BountyId, terms: Terms) -> Scores:
    """The contract that divides the bounty's rounds.

    Raises: OtherReward.
    """
    scores = scores_of(ledgers.market, terms)
    if scores is None:
        raise OtherReward(bounty, terms.reward_rule.name.lower())
    return scores


def standing(ledgers: Ledgers, scores: Scores, bounty: BountyId, account: Account) -> dict[str, Any]:
    """An evaluator's standing and its rounds, for programs."""
    seat, history = scores.evaluator(bounty, account.address), scores.history(bounty)
    own: Address = account.address
    return {
        "evaluator": own,
        "bond": seat.bond,
        "fees_to_collect": seat.earned,
        "open_commitments": seat.open,
        "rounds": [
            {
                "round": number,
                "phase": ScorePhase(scores.clock(bounty, number).phase).name.lower(),
                "committed": own in one.commits,
                "revealed": own in one.reveals,
                "fee": one.outcomes[own].fee if own in one.outcomes else None,
                "forfeited": one.outcomes[own].forfeited if own in one.outcomes else None,
            }
            for number, one in sorted(history.rounds.items())
        ],
    }


def _journal_path(ledgers: Ledgers) -> Path:
    """One journal a chain: a devnet that is started anew has the same id, contracts and bounties as the one before."""
    return ledgers.settings.home / f"scores-{ledgers.chain.block(0).hash.hex()[:8]}.sqlite"
