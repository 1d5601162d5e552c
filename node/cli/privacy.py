"""`fedbounty privacy`: the privacy budgets of your data sets."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from ledger.errors import BadInput
from node.cli.arguments import Json
from node.cli.output import console, grid, moment, pairs, print_json
from node.cli.privacy_shown import number
from node.privacy.accounting import SampledGaussian, epsilon, renyi_epsilon
from node.privacy.budget import BudgetBook, DataSet, Limit
from node.privacy.purses import data_set, open_book
from node.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The privacy budgets of your data sets, and what noise costs.")

UNLIMITED_DELTA = 1e-5
"""The delta at which epsilon is shown where no limit names one."""


@app.command()
def budget(
    context: typer.Context,
    data: Annotated[str, typer.Argument(help="Your data, as `fedbounty provide --data` names it.")],
    limit: Annotated[float | None, typer.Option("--epsilon", help="Set what all releases may cost together.")] = None,
    delta: Annotated[float, typer.Option(help="At this delta; below 1 / the number of examples.")] = 1e-5,
    remove: Annotated[bool, typer.Option("--remove", help="Take the limit away. What was spent stays known.")] = False,
    as_json: Json = False,
) -> None:
    """Show or set the budget of a data set: one for all bounties and evaluations that this node takes part in.

    A data set is known by its content: the same file under another path is the same data set. Another selection of
    rows, another order of a table's rows or another format is a new one, with a budget of its own: don't give the same
    people's data two.
    """
    settings: Settings = context.obj
    book, found = open_book(settings.home), data_set(data)
    if remove and limit is not None:
        raise BadInput("Give --epsilon or --remove, not both.")
    if limit is not None:
        book.set_limit(found, _checked(limit, delta))
    elif remove:
        book.set_limit(found, None)
    row = _row(book, found)
    if as_json:
        print_json(row)
        return
    pairs(f"privacy budget of {data}", _for_people(row))
    if row["limit_epsilon"] is not None and row["spent_epsilon"] is None:
        console.print("[yellow]Something was released without noise before: no limit bounds what it tells.[/yellow]")


@app.command("list")
def list_command(context: typer.Context, as_json: Json = False) -> None:
    """Every data set that something was released of, and on what its budget was spent."""
    settings: Settings = context.obj
    book = open_book(settings.home)
    rows = [_row(book, one) for one in book.data_sets()]
    charges = {one.fingerprint: book.charges(one) for one in book.data_sets()}
    if as_json:
        spent = [
            {"fingerprint": mark, "place": one.release.place, "round": one.release.round, "spend": repr(one.spend)}
            for mark, all_of_it in charges.items()
            for one in all_of_it
        ]
        print_json({"data_sets": rows, "charges": spent})
        return
    columns = ("data set", "name", "epsilon spent", "limit", "delta", "releases")
    grid("data sets", columns, [tuple(_for_people(row).values()) for row in rows])
    told = [
        (mark[:12], one.release.place, one.release.round or "", one.spend, moment(one.at))
        for mark, all_of_it in charges.items()
        for one in all_of_it
    ]
    grid("releases", ("data set", "to", "round", "what it spent", "charged"), told)


@app.command()
def cost(
    noise_multiplier: Annotated[float, typer.Option(min=0.3, help="sigma, in units of the clipping norm.")],
    sample_rate: Annotated[float, typer.Option(help="q: an example is in a batch with this probability.")],
    steps: Annotated[int, typer.Option(min=1, help="Steps a round.")],
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of the bounty.")] = 1,
    delta: Annotated[float, typer.Option(help="Below 1 / the number of examples.")] = 1e-5,
    as_json: Json = False,
) -> None:
    """What DP-SGD costs: epsilon, the least bound known, and what Renyi orders alone give. For choosing the noise."""
    if not 0 < sample_rate <= 1:
        raise BadInput(f"--sample-rate {sample_rate:g} must be in 0 .. 1.")
    _checked(1.0, delta)
    whole = SampledGaussian(noise_multiplier, sample_rate, steps * rounds)
    found = {
        "steps": steps * rounds,
        "delta": delta,
        "renyi": renyi_epsilon([(whole, 1)], delta),
        "epsilon": epsilon([whole], delta),
    }
    if as_json:
        print_json(found)
        return
    pairs("what it costs", {name: f"{value:.4g}" for name, value in found.items()})


def _checked(limit: float, delta: float) -> Limit:
    if not (math.isfinite(limit) and limit > 0 and 0 < delta < 1):
        raise BadInput(f"A budget needs an epsilon above 0 and a delta between 0 and 1, not {limit:g} and {delta:g}.")
    return Limit(limit, delta)


def _row(book: BudgetBook, data: DataSet) -> dict[str, object]:
    """A data set's budget as JSON has it; None for what is without bound, or not set."""
    limit = book.limit(data)
    delta = limit.delta if limit else UNLIMITED_DELTA
    spent = book.spent(data, delta)
    return {
        "data_set": data.fingerprint,
        "name": data.name,
        "spent_epsilon": spent if math.isfinite(spent) else None,
        "limit_epsilon": limit.epsilon if limit else None,
        "delta": delta,
        "releases": len(book.charges(data)),
    }


def _for_people(row: dict[str, object]) -> dict[str, object]:
    spent, limit = row["spent_epsilon"], row["limit_epsilon"]
    return {
        "data set": str(row["data_set"])[:12],
        "name": row["name"],
        "spent": number(spent if isinstance(spent, float) else math.inf),
        "limit": "none" if limit is None else f"epsilon {limit:g}",
        "delta": f"{row['delta']:g}",
        "releases": row["releases"],
    }
