"""`fedbounty explain`: a provider's pay to the wei, or what joining may bring and cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from incentives.rewards import weight_of
from incentives.settlement import settle
from ledger.accounts import list_keys
from ledger.chain import Block
from ledger.erc20 import Token
from ledger.errors import BadInput, ChainError, ContentError
from ledger.fees import FeePolicy
from ledger.history import BountyHistory
from ledger.records import Address, BountyId, Joined, Wei
from node.bounty_files import Artefacts
from node.cli.amounts import parse_tokens
from node.cli.arguments import BountyArgument, Json
from node.cli.explain_tables import show_prospect, show_receipt
from node.cli.output import print_json, tokens
from node.cli.running import OVER, BountyOver
from node.connections import Ledgers, checked_address, connect_peers, open_files, open_ledgers, open_store
from node.explaining.accounting import check_round, make_receipt, seat_of
from node.explaining.by_contribution import scored_risks, scored_scenarios
from node.explaining.gas import make_bill
from node.explaining.prospect import (
    Prospect,
    least_and_most,
    make_lock_ups,
    make_risks,
    make_scenarios,
    remaining_rounds,
)
from node.explaining.published import needs_files, with_published
from node.explaining.receipt import Receipt
from node.provider.decisions import ProviderView
from node.provider.view import observe
from node.robustness import promise
from node.settings import Settings

A_KEY = b"\xff" * 32
A_MULTIADDR = "/ip4/255.255.255.255/tcp/65535/p2p/" + "1" * 52
"""As long as a provider's are, for the estimate of what joining costs."""


class NeverJoined(BadInput):
    def __init__(self, bounty: int, account: str) -> None:
        self.bounty, self.account = bounty, account
        super().__init__(
            f"{account} never joined bounty {bounty}, so no round has a receipt for it. "
            f"Leave --round out for an estimate, or name a member with --provider."
        )


def explain(
    context: typer.Context,
    bounty: BountyArgument,
    round_number: Annotated[int | None, typer.Option("--round", min=1, help="Only this round, in detail.")] = None,
    provider: Annotated[
        str, typer.Option(help="Whose pay; default: the account of the settings. No key is needed.")
    ] = "",
    stake: Annotated[str, typer.Option(help="Before joining: tokens that you would stake; default: the least.")] = "",
    token_price: Annotated[
        str, typer.Option(help="Before joining: what one token is worth to you, in ether; shows pay net of gas.")
    ] = "",
    files: Annotated[
        bool, typer.Option("--files/--no-files", help="Fetch a rejected update, and what the merger reported.")
    ] = True,
    as_json: Json = False,
) -> None:
    """Show a provider's pay to the wei: what each round gave, by which division, and what was rejected and why.

    Everything is recomputed here from the chain's events, and held to what the chain records. A rejected update is
    fetched and verified again. For an account that has not joined: what it may earn, net of gas, and the worst that
    can happen to its stake.

    Exit codes: 0 the record matches; 1 something differs from it, or an update was left out for a reason that does not
    hold; 2 bad input; 3 the chain said no.
    """
    settings: Settings = context.obj
    number = BountyId(bounty)
    ledgers = open_ledgers(settings)
    terms = ledgers.market.terms(number)
    account = _account_of(settings, provider)
    block = ledgers.chain.block()
    view = observe(ledgers.market, number, terms, account, None, at=block)
    if seat_of(view.history, account) is not None:
        receipt = _receipt(ledgers, view, block, round_number, files)
        print_json(receipt.as_json()) if as_json else show_receipt(receipt, round_number is not None)
        raise typer.Exit(int(bool(receipt.differences or receipt.wrongly_rejected)))
    if round_number is not None:
        check_round(view.history, round_number)
        raise NeverJoined(bounty, account)
    if view.clock.phase in OVER:
        raise BountyOver(bounty, view.clock.phase.name.lower(), f"{account} never joined it, and nobody can any more.")
    prospect = _prospect(ledgers, view, stake, token_price)
    print_json(prospect.as_json()) if as_json else show_prospect(prospect)


def _account_of(settings: Settings, provider: str) -> Address:
    """The address that was given, or that of the settings' key, which stays locked.

    Raises: BadInput.
    """
    if provider:
        return checked_address(provider, "--provider")
    name = settings.keys.account
    if not name:
        raise BadInput("Whose pay? Pass --provider ADDRESS, or --account NAME (FEDBOUNTY_ACCOUNT).")
    path = Path(name)
    for key in [*list_keys(settings.keys.directory), *list_keys(path.parent)]:
        if key.name == name or key.path == path:
            return key.address
    raise BadInput(f"There is no key {name[:200]!r} in {settings.keys.directory}. Pass --provider ADDRESS instead.")


# --- after joining ---


def _receipt(ledgers: Ledgers, view: ProviderView, block: Block, number: int | None, files: bool) -> Receipt:
    merged = [one.number for one in view.history.merged_rounds if number in (None, one.number)]
    found = {one: ledgers.market.merge(view.history.bounty, one, at=block) for one in merged}
    receipt = make_receipt(view, {one: kept for one, kept in found.items() if kept is not None}, number)
    if not files or not needs_files(receipt):
        return receipt
    return with_published(_files(ledgers, view.history), view.history, receipt)


def _files(ledgers: Ledgers, history: BountyHistory) -> Artefacts | None:
    """The bounty's files, where its providers are asked too; None where no IPFS endpoint answers."""
    try:
        store = open_store(ledgers.settings)
        connect_peers(store, [one.multiaddr for one in history.members if isinstance(one, Joined)])
        return open_files(ledgers.settings, store)
    except ContentError:
        return None


# --- before joining ---


def _prospect(ledgers: Ledgers, view: ProviderView, stake: str, token_price: str) -> Prospect:
    terms, history = view.terms, view.history
    own = parse_tokens(stake) if stake else terms.stake
    if own < terms.stake:
        raise BadInput(f"Bounty {history.bounty} asks for a stake of at least {tokens(terms.stake)} tokens.")
    remaining = remaining_rounds(terms, view.clock, history)
    rounds = remaining[1] - remaining[0] + 1
    panel, settlement = view.scoring.panel if view.scoring else None, settle(history.events)
    scenarios = make_scenarios(terms, settlement, remaining, own)
    risks = make_risks(terms, own, rounds, terms.rounds)
    if panel is not None:
        scenarios = scored_scenarios(terms, panel, settlement, remaining)
    if view.scoring is not None:
        risks = (*risks, *scored_risks(terms, panel))
    fees = FeePolicy(ledgers.chain).suggested()
    price = (fees.max_fee + fees.tip) // 2  # an offer is twice the base fee and the tip: this is base fee and tip
    return Prospect(
        bounty=history.bounty,
        provider=view.account,
        stake=own,
        weight=weight_of(own, terms),
        members=view.clock.members,
        rule=terms.reward_rule,
        remaining=remaining,
        scenarios=scenarios,
        bill=make_bill(rounds, price, fees.max_fee, _estimated_gas(ledgers, view, own), view.scoring is not None),
        risks=risks,
        lock_ups=make_lock_ups(terms, view.clock, remaining),
        token_price=parse_tokens(token_price) if token_price else None,
        merging=promise(terms),
        shares=least_and_most(terms, remaining),
        panel=panel,
        may_appoint=view.scoring is not None and panel is None and not history.members and not history.rounds,
    )


def _estimated_gas(ledgers: Ledgers, view: ProviderView, stake: Wei) -> dict[str, int]:
    """The node's figures for what the account could do now: join, where it holds the stake and has approved it."""
    try:
        token = Token(ledgers.chain, view.terms.token)
        if token.allowance(view.account, ledgers.market.address) < stake:
            return {}
        gas = ledgers.market.join_gas(view.history.bounty, view.account, stake, A_KEY, A_MULTIADDR)
    except ChainError:
        return {}
    return {"approve": 0, "join": gas}
