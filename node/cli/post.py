"""`fedbounty bounty post`: a package and a pot become a bounty."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from ledger.erc20 import Token
from ledger.records import RewardRule, Wei
from node.cli.amounts import parse_duration, parse_tokens
from node.cli.arguments import Json, Yes
from node.cli.keys import ask_password
from node.cli.output import confirm, console, pairs, print_json, terms_rows, tokens
from node.connections import checked_address, open_account, open_ledgers, open_store
from node.posting import (
    QUORUM,
    Offer,
    check_offer,
    default_fee,
    merged_rows,
    publish_package,
    read_package,
    terms_for,
)
from node.robustness import every_rule, promise
from node.settings import Settings

RewardName = Literal["equal", "stake", "contribution"]


def post(
    context: typer.Context,
    package: Annotated[Path, typer.Argument(help="Folder written by `fedbounty bounty pack`.")],
    pot: Annotated[str, typer.Option(help="Tokens in escrow, shared evenly by the rounds.")],
    rounds: Annotated[int, typer.Option(min=1, max=1024, help="Rounds of training.")] = 10,
    min_updates: Annotated[int, typer.Option(min=1, max=256, help="Quorum of a round.")] = QUORUM,
    max_updates: Annotated[int, typer.Option(min=1, max=256, help="Most updates in a round.")] = 64,
    aggregator: Annotated[str, typer.Option(help="Who merges; default: the posting account.")] = "",
    stake: Annotated[str, typer.Option(help="Stake of a provider; default: pot / (rounds * max updates).")] = "",
    bond: Annotated[str, typer.Option(help="Bond of a merging party; default: pot / rounds.")] = "",
    reward: Annotated[RewardName, typer.Option(help="How a round's share is divided.")] = "equal",
    max_weight: Annotated[int, typer.Option(min=1, max=255, help="Cap of a stake weight (reward: stake).")] = 10,
    commit_time: Annotated[str, typer.Option(help="One window for training and committing.")] = "1h",
    reveal_time: Annotated[str, typer.Option(help="Time to reveal.")] = "30m",
    merge_time: Annotated[str, typer.Option(help="The aggregator's exclusive time.")] = "1h",
    open_merge_time: Annotated[str, typer.Option(help="Then anyone with a bond may merge.")] = "6h",
    challenge_time: Annotated[str, typer.Option(help="Pay vests so long after a merge.")] = "1d",
    demand_fee: Annotated[str, typer.Option(help="Price of demanding a withheld chunk; default: bond / 1000.")] = "",
    answer_time: Annotated[str, typer.Option(help="Time to answer a demand; default: the challenge time.")] = "",
    patience: Annotated[int, typer.Option(min=1, max=255, help="Commit windows to wait for the quorum.")] = 24,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Publish a model package on IPFS, put the pot in escrow and open the bounty."""
    settings: Settings = context.obj
    ledgers = open_ledgers(settings)
    account = context.with_resource(open_account(ledgers, ask_password))
    store = open_store(settings)
    manifest = read_package(package)
    share = parse_tokens(pot) // rounds
    locked = parse_tokens(bond) if bond else Wei(share)
    offer = Offer(
        token=checked_address(settings.chain.token, "chain.token (FEDBOUNTY_TOKEN)"),
        pot=parse_tokens(pot),
        aggregator=checked_address(aggregator or account.address, "--aggregator"),
        bond=locked,
        stake=parse_tokens(stake) if stake else Wei(max(1, share // max_updates)),
        rounds=rounds,
        min_updates=min_updates,
        max_updates=max_updates,
        commit_seconds=parse_duration(commit_time),
        reveal_seconds=parse_duration(reveal_time),
        merge_seconds=parse_duration(merge_time),
        open_merge_seconds=parse_duration(open_merge_time),
        challenge_seconds=parse_duration(challenge_time),
        demand_fee=parse_tokens(demand_fee) if demand_fee else default_fee(locked),
        answer_seconds=parse_duration(answer_time or challenge_time),
        patience=patience,
        reward_rule=RewardRule[reward.upper()],
        max_weight=max_weight if reward == "stake" else 1,
    )
    check_offer(offer, manifest)
    digest = publish_package(store, package, manifest)
    terms = terms_for(offer, manifest, digest)
    if not as_json:
        pairs("the bounty", terms_rows(asdict(terms)))
        counted = "groups" if manifest.masking else "updates"
        rows = every_rule(merged_rows(offer, manifest))
        pairs(f"faulty {counted} that a rule can withstand at a quorum of {min_updates}", rows)
        console.print(f"{promise(terms)}.", highlight=False)
    confirm(f"Put {tokens(terms.pot)} tokens in escrow?", yes or as_json)
    Token(ledgers.chain, terms.token).ensure_allowance(account.transactor, ledgers.market.address, terms.pot)
    number = account.writer.post(terms)
    if as_json:
        print_json({"bounty": number, "owner": account.address, "peer": store.addresses()[0], "terms": asdict(terms)})
        return
    console.print(f"Bounty [bold]{number}[/bold] is open. Providers join with: fedbounty provide {number} --data FILE")
    console.print(f"The aggregator runs: fedbounty aggregate {number}. Your IPFS peer: {store.addresses()[0]}")
