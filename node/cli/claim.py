"""`fedbounty claim`: take out all that is an account's own in a bounty, whatever its part in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from ledger.records import BountyId, Wei
from node.claiming.decisions import Own, Taking
from node.claiming.effects import take_all
from node.claiming.view import ClaimView, observe_claims
from node.claiming.waiting import Waiting, waiting
from node.cli.arguments import BountyArgument, Json
from node.cli.keys import ask_password
from node.cli.output import console, moment, pairs, print_json, text, tokens
from node.connections import open_account, open_ledgers
from node.settings import Settings

KEYS = {
    Own.PAY: "claimed",
    Own.LAPSED: "claimed_lapsed",
    Own.SCORED: "claimed_by_contribution",
    Own.STAKE: "stake_returned",
    Own.BOND: "bond_returned",
    Own.FEES: "fees_collected",
    Own.EVALUATOR_BOND: "evaluator_bond_returned",
    Own.REFUND: "refunded",
    Own.REST: "rest_returned",
}
"""How programs are told what was taken."""


def claim(context: typer.Context, bounty: BountyArgument, as_json: Json = False) -> None:
    """Take out all that is your own in a bounty now. Safe to repeat.

    A provider: vested pay, shares of rounds without a merge, pay by contribution; its stake after the end.

    An evaluator: its fees at any time, its bond after the end. An aggregator: its bond after the end.

    An owner: what is left of the pot after the end, and at any time what the panel's divisions left.

    What can't be taken yet is listed, with the time from which it can be. What time has decided is written down first:
    a lapse, the end, and the division of rounds that wait for nothing else.
    """
    settings: Settings = context.obj
    ledgers = open_ledgers(settings)
    account = context.with_resource(open_account(ledgers, ask_password))
    number = BountyId(bounty)
    terms = ledgers.market.terms(number)
    taken, divided = take_all(account, observe_claims(ledgers.market, number, terms, account.address))
    after = observe_claims(ledgers.market, number, terms, account.address)
    later = waiting(after)
    if as_json:
        print_json(_document(after, taken, divided, later))
    else:
        _show(after, taken, later)


def sums(taken: Sequence[Taking]) -> dict[Own, Wei]:
    """What was taken of each kind, of those that there are."""
    found: dict[Own, Wei] = {}
    for one in taken:
        found[one.own] = Wei(found.get(one.own, 0) + one.amount)
    return found


def _document(
    view: ClaimView, taken: Sequence[Taking], divided: Sequence[int], later: Sequence[Waiting]
) -> dict[str, Any]:
    found = sums(taken)
    return {
        "bounty": view.provider.history.bounty,
        "account": view.provider.account,
        **{key: found.get(own, 0) for own, key in KEYS.items()},
        "rounds_settled": list(divided),
        "claimed_in_all": view.claimed,
        "stake_held": view.provider.standing.stake,
        "waiting": [one.as_json() for one in later],
    }


def _show(view: ClaimView, taken: Sequence[Taking], later: Sequence[Waiting]) -> None:
    bounty, found = view.provider.history.bounty, sums(taken)
    if found:
        pairs(f"taken from bounty {bounty}", {own.value: f"{tokens(amount)} tokens" for own, amount in found.items()})
    else:
        before = tokens(view.claimed)
        console.print(f"Nothing of bounty {bounty} can be claimed now; {before} tokens of pay were claimed before.")
    for one in later:
        amount = "" if one.amount is None else f" {tokens(one.amount)} tokens"
        since = f" from {moment(one.free_at)}" if one.free_at else ""
        console.print(f"[bold]not yet[/bold] {one.own}:{amount}{since} ({text(one.why)})", highlight=False)
