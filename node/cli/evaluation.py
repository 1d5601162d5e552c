"""`fedbounty evaluation`: measuring a model on many parties' private data, paid by the report."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from incentives.evaluations import settle_evaluation
from ledger.evaluation_history import Distribution, EvaluationHistory, distribution, histogram, opens
from ledger.evaluation_records import EvaluationClock, EvaluationId, EvaluationPhase, EvaluationTerms, ReportState
from ledger.records import Address
from node.cli.arguments import Json, Yes
from node.cli.keys import ask_password
from node.cli.lazy import lazy_group
from node.cli.output import confirm, console, grid, moment, pairs, print_json, text, tokens
from node.connections import Evaluations, open_evaluation_account, open_evaluations

EvaluationArgument = Annotated[
    int, typer.Argument(min=1, help="The evaluation's number; see `fedbounty evaluation list`.")
]
BAR_WIDTH = 40
SELF_REPORTED = (
    "These numbers are self-reported: nobody can check one, as nobody else sees the data behind it. What is certain: "
    "each was chosen before any other was shown, lies in the range, and is paid once. Look at the median and the "
    "quartiles, which a few liars move little, rather than at the mean."
)
OPEN_TO_ALL = (
    "Everyone may report: one person with many accounts can fill the places with invented numbers and be paid for "
    "them. Stakes don't stop that, they come back. Use --allow FILE with accounts that you know."
)

app = typer.Typer(
    cls=lazy_group(
        {
            "post": "node.cli.evaluation_post:post",
            "list": "node.cli.evaluation:list_evaluations",
            "show": "node.cli.evaluation:show",
            "provide": "node.cli.evaluation_provide:provide",
            "claim": "node.cli.evaluation:claim",
            "refund": "node.cli.evaluation:refund",
            "cancel": "node.cli.evaluation:cancel",
        }
    ),
    no_args_is_help=True,
    help=(
        "Have a model measured where the data is; no weights and no data move.\n\n"
        "The owner posts a model version and a metric; providers measure it on their own data, commit to one number "
        "each (with noise, if the terms ask for it), reveal it and are paid. `show` draws the distribution.\n\n"
        "Reports are self-reported numbers: know whom you ask (`post --allow FILE`)."
    ),
)


def list_evaluations(context: typer.Context, as_json: Json = False) -> None:
    """List all evaluations of the market."""
    evaluations = open_evaluations(context.obj)
    numbers = range(1, evaluations.market.count() + 1)
    found = [_summary(evaluations, EvaluationId(number)) for number in numbers]
    if as_json:
        print_json(found)
    elif found:
        columns = ("evaluation", "phase", "metric", "reports", "places", "payment", "open to", "owner")
        rows = [
            (f["evaluation"], f["phase"], f["metric"], f["reports"], f["places"], tokens(f["payment"]), f["open_to"],
             f["owner"])
            for f in found
        ]  # fmt: skip
        grid("evaluations", columns, rows)
    else:
        console.print("No evaluation was posted yet. `fedbounty evaluation post` posts one.")


def show(context: typer.Context, evaluation: EvaluationArgument, as_json: Json = False) -> None:
    """Show one evaluation: terms, money, and the distribution of what was reported.

    Recomputes every commitment and every payment from the chain's events; exits with 1 if one is not as it must be.
    """
    evaluations = open_evaluations(context.obj)
    number = EvaluationId(evaluation)
    block = evaluations.chain.block()
    history = evaluations.market.history(number, at=block)
    clock = evaluations.market.clock(number, at=block)
    money = evaluations.market.money(number, at=block)
    problems = _problems(evaluations, history)
    held = settle_evaluation(history).held
    problems += [] if held == money else [f"the contract holds {asdict(money)}, its events say {asdict(held)}"]
    if as_json:
        print_json({**_details(history, clock), "money": asdict(money), "problems": problems})
    else:
        _show(history, clock)
        _show_distribution(history)
        _show_checks(history, problems)
    if problems:
        raise typer.Exit(code=1)


def claim(context: typer.Context, evaluation: EvaluationArgument, as_json: Json = False) -> None:
    """Take the payment for your revealed report, and your stake. Safe to repeat."""
    evaluations = open_evaluations(context.obj)
    number = EvaluationId(evaluation)
    terms = evaluations.market.terms(number)
    account = context.with_resource(open_evaluation_account(evaluations, ask_password))
    state = evaluations.market.report(number, account.address).state
    amount = terms.payment + terms.stake if state == ReportState.REVEALED else 0
    if amount:
        account.writer.claim(number)
    if as_json:
        print_json({"evaluation": evaluation, "account": account.address, "claimed": amount, "was": state.name.lower()})
    elif amount:
        console.print(
            f"Claimed {tokens(amount)} tokens from evaluation {evaluation}, {tokens(terms.stake)} of it stake."
        )
    else:
        console.print(f"Nothing of evaluation {evaluation} can be claimed: {_why_not(state)}.")


def refund(context: typer.Context, evaluation: EvaluationArgument, as_json: Json = False) -> None:
    """Send the owner what no report has earned, after the end. Anyone may; safe to repeat."""
    evaluations = open_evaluations(context.obj)
    number = EvaluationId(evaluation)
    money, clock = evaluations.market.money(number), evaluations.market.clock(number)
    amount = money.free + money.locked if clock.phase == EvaluationPhase.ENDED else 0
    if amount:
        account = context.with_resource(open_evaluation_account(evaluations, ask_password))
        account.writer.refund(number)
    owner = evaluations.market.owner(number)
    if as_json:
        print_json({"evaluation": evaluation, "owner": owner, "refunded": amount})
    elif amount:
        console.print(f"{owner} has {tokens(amount)} tokens of evaluation {evaluation} back.")
    else:
        over = clock.phase in (EvaluationPhase.ENDED, EvaluationPhase.CANCELLED)
        why = "all of it was paid out or is back" if over else f"it ends at {moment(_ends_at(evaluations, number))}"
        console.print(f"Nothing of evaluation {evaluation} can be refunded: {why}.")


def cancel(context: typer.Context, evaluation: EvaluationArgument, yes: Yes = False, as_json: Json = False) -> None:
    """Take the escrow back, as long as nobody has committed."""
    evaluations = open_evaluations(context.obj)
    number = EvaluationId(evaluation)
    terms = evaluations.market.terms(number)
    account = context.with_resource(open_evaluation_account(evaluations, ask_password))
    confirm(f"Cancel evaluation {evaluation} and take back {tokens(terms.escrow)} tokens?", yes or as_json)
    account.writer.cancel(number)
    if as_json:
        print_json({"evaluation": evaluation, "refunded": terms.escrow})
    else:
        console.print(f"Evaluation {evaluation} is cancelled; {tokens(terms.escrow)} tokens are back.")


def terms_shown(terms: EvaluationTerms) -> dict[str, object]:
    """Terms as people read them."""
    noise = f"discrete Laplace of scale {terms.number(terms.noise)}" if terms.noise else "none"
    return {
        "metric": f"{terms.metric.label}, in steps of {terms.number(1)}",
        "range": f"{terms.number(terms.low)} .. {terms.number(terms.high)}",
        "noise": noise,
        "payment": f"{tokens(terms.payment)} tokens a report",
        "stake": f"{tokens(terms.stake)} tokens, back with the payment; lost if you commit and don't reveal",
        "places": f"{terms.max_reports}; fewer than {terms.min_reports} reports are inconclusive",
        "time": f"{terms.commit_seconds} s to commit, then {terms.reveal_seconds} s to reveal",
        "who may report": "everyone" if terms.is_open else "accounts on the owner's list",
        "state": "0x" + terms.state_root.hex(),
    }


def _summary(evaluations: Evaluations, number: EvaluationId) -> dict[str, Any]:
    terms, clock = evaluations.market.terms(number), evaluations.market.clock(number)
    return {
        "evaluation": number,
        "owner": evaluations.market.owner(number),
        "phase": clock.phase.name.lower(),
        "ends_at": clock.ends_at,
        "metric": terms.metric.label,
        "commits": clock.commits,
        "reports": clock.reports,
        "places": terms.max_reports,
        "payment": terms.payment,
        "open_to": "everyone" if terms.is_open else "a list",
    }


def _details(history: EvaluationHistory, clock: EvaluationClock) -> dict[str, Any]:
    terms, found = history.terms, distribution(history)
    return {
        "evaluation": history.evaluation,
        "owner": history.posted.owner,
        **asdict(clock),
        "phase": clock.phase.name.lower(),
        "terms": {**asdict(terms), "metric": terms.metric.label},
        "has_quorum": history.has_quorum,
        "self_reported": True,
        "distribution": _plain(found) if found else None,
        "histogram": [
            {"start": float(one.start), "stop": float(one.stop), "count": one.count} for one in histogram(history)
        ],
        "reported": [
            {"account": one.account, "units": one.value, "value": float(terms.number(one.value)),
             "paid": one.account in history.payments}
            for one in history.reports.values()
        ],
        "unopened": _unopened(history),
    }  # fmt: skip


def _plain(found: Distribution) -> dict[str, float | int]:
    return {name: value if isinstance(value, int) else float(value) for name, value in asdict(found).items()}


def _unopened(history: EvaluationHistory) -> list[Address]:
    return [account for account in history.commits if account not in history.reports]


def _show(history: EvaluationHistory, clock: EvaluationClock) -> None:
    rows: dict[str, object] = {"owner": history.posted.owner, "phase": clock.phase.name.lower()}
    if clock.ends_at:
        rows["ends"] = moment(clock.ends_at)
    rows |= {"committed": clock.commits, "revealed": clock.reports, "paid": clock.claims}
    pairs(f"evaluation {history.evaluation}", rows | terms_shown(history.terms))


def _show_distribution(history: EvaluationHistory) -> None:
    found = distribution(history)
    if found is None:
        console.print("Nothing was revealed yet.")
        return
    rows = {
        "reports": found.count,
        "median": found.median,
        "quartiles": f"{found.lower_quartile} .. {found.upper_quartile}",
        "least, greatest": f"{found.least}, {found.greatest}",
        "mean": f"{found.mean:.6g}",
    }
    if found.at_bounds:
        rows["at a bound"] = f"{found.at_bounds}: noise may have been cut there"
    pairs("distribution", rows)
    bins = histogram(history)
    most = max(one.count for one in bins)
    bars = [(one.start, one.stop, one.count, "█" * -(-BAR_WIDTH * one.count // most)) for one in bins]
    grid("histogram", ("from", "to", "reports", ""), bars)
    if not history.has_quorum:
        wanted = history.terms.min_reports
        console.print(f"[yellow]Inconclusive: {found.count} reports, the owner wanted at least {wanted}.[/yellow]")
    console.print(f"[yellow]{SELF_REPORTED}[/yellow]")
    if history.terms.is_open:
        console.print("[yellow]Everyone could report: one person may stand behind many of these numbers.[/yellow]")


def _show_checks(history: EvaluationHistory, problems: list[str]) -> None:
    if not problems:
        opened = f"{len(history.reports)} opened commitments"
        console.print(f"[green]{opened} and all payments were recomputed: they are as they must be.[/green]")
    for problem in problems:
        console.print(f"[red]{text(problem)}.[/red]")


def _problems(evaluations: Evaluations, history: EvaluationHistory) -> list[str]:
    """What a correct contract would not have let through."""
    chain, market = evaluations.chain.chain_id, evaluations.market.address
    wrong = [one.account for one in history.reports.values() if not opens(history, one, chain, market)]
    found = [f"the report of {account} is not what it had committed to" for account in wrong]
    found += [
        f"the {fault.what} in block {fault.event.at.block} is {fault.claimed} instead of {fault.expected}"
        for fault in settle_evaluation(history).faults
    ]
    return found


def _ends_at(evaluations: Evaluations, number: EvaluationId) -> int:
    """When it ends at the latest."""
    clock = evaluations.market.clock(number)
    more = evaluations.market.terms(number).reveal_seconds if clock.phase == EvaluationPhase.COMMIT else 0
    return clock.ends_at + more


def _why_not(state: ReportState) -> str:
    return {
        ReportState.NONE: "this account has not reported",
        ReportState.COMMITTED: "its commitment is not open (`fedbounty evaluation provide` opens it in time)",
        ReportState.PAID: "this account was paid before",
    }[state]
