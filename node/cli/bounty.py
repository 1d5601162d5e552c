"""`fedbounty bounty`: a model owner's side."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ledger.erc20 import Token
from ledger.history import build_history, reason_label, rejections
from ledger.records import BountyId, RewardRule, Wei
from node.cli.amounts import parse_duration, parse_tokens
from node.cli.keys import ask_password
from node.cli.output import Json, Yes, confirm, console, grid, pairs, print_json, tokens
from node.cli.packing import pack
from node.connections import Ledgers, checked_address, open_account, open_ledgers, open_store
from node.posting import Offer, publish_package, read_package, terms_for
from node.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Package a model, post a bounty for training it, and look after it.")
app.command("pack")(pack)

BountyArgument = Annotated[int, typer.Argument(min=1, help="The bounty's number.")]
RewardName = Literal["equal", "stake"]


@app.command("post")
def post(
    context: typer.Context,
    package: Annotated[Path, typer.Argument(help="Folder written by `fedbounty bounty pack`.")],
    pot: Annotated[str, typer.Option(help="Tokens in escrow, shared evenly by the rounds.")],
    rounds: Annotated[int, typer.Option(min=1, max=65535, help="Rounds of training.")] = 10,
    min_updates: Annotated[int, typer.Option(min=1, max=256, help="Quorum of a round.")] = 3,
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
    patience: Annotated[int, typer.Option(min=1, max=255, help="Commit windows to wait for the quorum.")] = 24,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Publish a model package on IPFS, put the pot in escrow and open the bounty."""
    settings: Settings = context.obj
    ledgers = open_ledgers(settings)
    account = open_account(ledgers, ask_password)
    store = open_store(settings)
    manifest = read_package(package)
    share = parse_tokens(pot) // rounds
    offer = Offer(
        token=checked_address(settings.chain.token, "chain.token (FEDBOUNTY_TOKEN)"),
        pot=parse_tokens(pot),
        aggregator=checked_address(aggregator or account.address, "--aggregator"),
        bond=parse_tokens(bond) if bond else Wei(share),
        stake=parse_tokens(stake) if stake else Wei(max(1, share // max_updates)),
        rounds=rounds,
        min_updates=min_updates,
        max_updates=max_updates,
        commit_seconds=parse_duration(commit_time),
        reveal_seconds=parse_duration(reveal_time),
        merge_seconds=parse_duration(merge_time),
        open_merge_seconds=parse_duration(open_merge_time),
        challenge_seconds=parse_duration(challenge_time),
        patience=patience,
        reward_rule=RewardRule[reward.upper()],
        max_weight=max_weight if reward == "stake" else 1,
    )
    digest = publish_package(store, package, manifest)
    terms = terms_for(offer, manifest, digest)
    if not as_json:
        pairs("the bounty", _terms_rows(asdict(terms)))
    confirm(f"Put {tokens(terms.pot)} tokens in escrow?", yes or as_json)
    Token(ledgers.chain, terms.token).ensure_allowance(account.transactor, ledgers.market.address, terms.pot)
    number = account.writer.post(terms)
    if as_json:
        print_json({"bounty": number, "owner": account.address, "peer": store.addresses()[0], "terms": asdict(terms)})
        return
    console.print(f"Bounty [bold]{number}[/bold] is open. Providers join with: fedbounty provide {number} --data FILE")
    console.print(f"The aggregator runs: fedbounty aggregate {number}. Your IPFS peer: {store.addresses()[0]}")


@app.command("list")
def list_command(context: typer.Context, as_json: Json = False) -> None:
    """List all bounties of the market."""
    ledgers = open_ledgers(context.obj)
    found = [_summary(ledgers, BountyId(number)) for number in range(1, ledgers.market.bounty_count() + 1)]
    if as_json:
        print_json(found)
    elif found:
        columns = ("bounty", "phase", "round", "members", "pot", "owner")
        rows = [
            (f["bounty"], f["phase"], f"{f['round']}/{f['rounds']}", f["members"], tokens(f["pot"]), f["owner"])
            for f in found
        ]
        grid("bounties", columns, rows)
    else:
        console.print("No bounty was posted yet. `fedbounty bounty post` posts one.")


@app.command("show")
def show(context: typer.Context, bounty: BountyArgument, as_json: Json = False) -> None:
    """Show one bounty: terms, phase, money, members, and what each round held."""
    ledgers = open_ledgers(context.obj)
    number = BountyId(bounty)
    details = _details(ledgers, number)
    if as_json:
        print_json(details)
        return
    pairs(f"bounty {bounty}", {k: v for k, v in details.items() if not isinstance(v, list | dict)})
    pairs("terms", _terms_rows(details["terms"]))
    grid(
        "members",
        ("index", "provider", "stake"),
        [(m["index"], m["provider"], tokens(m["stake"])) for m in details["members"]],
    )
    columns = ("round", "commits", "reveals", "accepted", "rejected", "paid", "state")
    rows = [
        (r["round"], r["commits"], r["reveals"], r["accepted"], r["rejected"], tokens(r["paid"]), r["state"])
        for r in details["rounds"]
    ]
    grid("rounds", columns, rows)


@app.command("cancel")
def cancel(context: typer.Context, bounty: BountyArgument, yes: Yes = False, as_json: Json = False) -> None:
    """Take the pot back, as long as no round has opened."""
    ledgers = open_ledgers(context.obj)
    number = BountyId(bounty)
    terms = ledgers.market.terms(number)
    account = open_account(ledgers, ask_password)
    confirm(f"Cancel bounty {bounty} and take back {tokens(terms.pot)} tokens?", yes or as_json)
    account.writer.cancel(number)
    if as_json:
        print_json({"bounty": bounty, "refunded": terms.pot})
    else:
        console.print(f"Bounty {bounty} is cancelled; {tokens(terms.pot)} tokens are back.")


def _summary(ledgers: Ledgers, bounty: BountyId) -> dict[str, Any]:
    terms, clock = ledgers.market.terms(bounty), ledgers.market.clock(bounty)
    return {
        "bounty": bounty,
        "owner": ledgers.market.owner(bounty),
        "phase": clock.phase.name.lower(),
        "round": clock.round,
        "rounds": terms.rounds,
        "members": clock.members,
        "ends_at": clock.ends_at,
        "pot": terms.pot,
    }


def _details(ledgers: Ledgers, bounty: BountyId) -> dict[str, Any]:
    history = build_history(ledgers.market.events(bounty))
    members = [{"index": m.index, "provider": m.provider, "stake": m.stake} for m in history.members]
    rounds = []
    for one in history.rounds.values():
        merged = one.merged
        rejected = rejections(merged, one.reveals) if merged else []
        state = "merged" if merged else "lapsed" if one.lapsed else "running"
        rounds.append(
            {
                "round": one.number,
                "commits": len(one.commits),
                "reveals": len(one.reveals),
                "accepted": merged.reveals - len(rejected) if merged else 0,
                "rejected": len(rejected),
                "reasons": [{"provider": r.provider, "reason": reason_label(code)} for r, code in rejected],
                "paid": merged.paid if merged else 0,
                "vests_at": merged.vests_at if merged else 0,
                "state": state,
            }
        )
    money = ledgers.market.money(bounty)
    return {
        **_summary(ledgers, bounty),
        "owed": money.owed,
        "free": money.free,
        "terms": asdict(history.posted.terms),
        "members": members,
        "rounds": rounds,
    }


def _terms_rows(terms: dict[str, Any]) -> dict[str, object]:
    """Terms as people read them: amounts in tokens, times with a unit, bytes as hex."""
    rows: dict[str, object] = {}
    for name, value in terms.items():
        label = name.removesuffix("_seconds").replace("_", " ")
        if name in ("pot", "bond", "stake", "forfeit"):
            rows[label] = f"{tokens(value)} tokens"
        elif name.endswith("_seconds"):
            rows[label] = f"{value} s"
        elif isinstance(value, bytes):
            rows[label] = "0x" + value.hex()
        else:
            rows[label] = getattr(value, "name", str(value)).lower() if not isinstance(value, str) else value
    return rows
