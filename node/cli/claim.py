"""`fedbounty claim`: take out what a provider has earned, and its stake once it is free."""

from __future__ import annotations

import typer

from ledger.records import BountyId
from ledger.score_records import ScorePhase
from node.cli.arguments import BountyArgument, Json
from node.cli.keys import ask_password
from node.cli.output import console, print_json, tokens
from node.connections import Account, open_account, open_ledgers
from node.provider.decisions import ClaimLapsed, ClaimScored, ProviderView, SettleScored, WithdrawStake, claims
from node.provider.effects import collect
from node.provider.view import observe
from node.scored_rounds import pending
from node.settings import Settings


def claim(context: typer.Context, bounty: BountyArgument, as_json: Json = False) -> None:
    """Claim all vested pay of a bounty, shares of lapsed rounds, and the stake if it is free. Safe to repeat."""
    settings: Settings = context.obj
    ledgers = open_ledgers(settings)
    account = context.with_resource(open_account(ledgers, ask_password))
    number = BountyId(bounty)
    terms = ledgers.market.terms(number)
    view = observe(ledgers.market, number, terms, account.address, None)
    settled = _settle(account, view)
    if settled:
        view = observe(ledgers.market, number, terms, account.address, None)
    before = view.standing
    actions = claims(view)
    for action in actions:
        collect(account, view.history, action)
    if before.stake and before.unlocks_at and max(before.unlocks_at, view.held_until) <= view.now:
        collect(account, view.history, WithdrawStake())
    after = ledgers.market.provider(number, account.address)
    paid = after.claimed - before.claimed
    lapsed = sum(ledgers.market.lapsed_share(number, a.round) for a in actions if isinstance(a, ClaimLapsed))
    scored = sum(a.due.amount for a in actions if isinstance(a, ClaimScored))
    result = {
        "bounty": bounty,
        "account": account.address,
        "claimed": paid,
        "claimed_lapsed": lapsed,
        "claimed_by_contribution": scored,
        "rounds_settled": settled,
        "claimed_in_all": after.claimed,
        "stake_returned": before.stake - after.stake,
        "stake_held": after.stake,
    }
    if as_json:
        print_json(result)
    elif paid or lapsed or scored or result["stake_returned"]:
        console.print(
            f"Claimed {tokens(paid + lapsed + scored)} tokens and {tokens(before.stake - after.stake)} of stake "
            f"from bounty {bounty}."
        )
    else:
        console.print(
            f"Nothing of bounty {bounty} can be claimed now; {tokens(after.claimed)} tokens were claimed before."
        )


def _settle(account: Account, view: ProviderView) -> list[int]:
    """Have rounds divided by contribution that wait for nothing else; which."""
    unsettled = pending(view.scoring, view.history, view.account) if view.scoring else {}
    due = [number for number, phase in unsettled.items() if phase == ScorePhase.DUE]
    for number in due:
        collect(account, view.history, SettleScored(number))
    return due
