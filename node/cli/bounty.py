"""`fedbounty bounty`: a model owner's side."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from ledger.history import BountyHistory, RoundHistory, build_history, rejections
from ledger.records import BountyId, Clock, Phase, Terms, Timestamp
from node.cli.arguments import BountyArgument, Json, Yes
from node.cli.keys import ask_password
from node.cli.lazy import lazy_group
from node.cli.output import confirm, console, grid, moment, pairs, print_json, terms_rows, text, tokens
from node.connections import Ledgers, open_account, open_ledgers
from node.robustness import certain_shortfall, promise
from node.scored_rounds import panel_rows, scores_of
from node.targets import ending_in_words

app = typer.Typer(
    cls=lazy_group(
        {
            "pack": "node.cli.packing:pack",
            "post": "node.cli.post:post",
            "list": "node.cli.bounty:list_bounties",
            "show": "node.cli.bounty:show",
            "cancel": "node.cli.bounty:cancel",
        }
    ),
    no_args_is_help=True,
    help="Package a model, post a bounty for training it, and look after it.",
)


def list_bounties(context: typer.Context, as_json: Json = False) -> None:
    """List all bounties of the market."""
    ledgers = open_ledgers(context.obj)
    found = [_summary(ledgers, BountyId(number)) for number in range(1, ledgers.market.bounty_count() + 1)]
    if as_json:
        print_json(found)
    elif found:
        columns = ("bounty", "phase", "round", "members", "pot", "owner")
        rows = [
            (
                f["bounty"],
                f["phase"],
                f"{f['round']}/{f['rounds_in_all']}",
                f["members_now"],
                tokens(f["pot"]),
                f["owner"],
            )
            for f in found
        ]
        grid("bounties", columns, rows)
    else:
        console.print("No bounty was posted yet. `fedbounty bounty post` posts one.")


def show(context: typer.Context, bounty: BountyArgument, as_json: Json = False) -> None:
    """Show one bounty: terms, phase, money, members, and what each round held."""
    ledgers = open_ledgers(context.obj)
    number = BountyId(bounty)
    details = _details(ledgers, number)
    if as_json:
        print_json(details)
        return
    pairs(
        f"bounty {bounty}",
        {
            "owner": details["owner"],
            "phase": f"{details['phase']}: {details['ending']}" if details["ending"] else details["phase"],
            "ends": moment(details["ends_at"]),
            "round": f"{details['round']} of {details['rounds_in_all']}",
            "members": details["members_now"],
            "rule": details["withstands"],
            "owed": f"{tokens(details['owed'])} tokens, to providers",
            "free": f"{tokens(details['free'])} tokens, for rounds to come or the owner",
            **_owners_rows(details),
        },
    )
    pairs("terms", terms_rows(details["terms"]))
    scores = scores_of(ledgers.market, ledgers.market.terms(number))
    if scores is not None:
        pairs("who divides the pay", panel_rows(scores.panel(number), tokens))
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
    for r in details["rounds"]:
        if r["note"]:
            console.print(f"[bold]note[/bold] round {r['round']}: {text(r['note'])}", highlight=False)


def _refund_from(clock: Clock, history: BountyHistory) -> Timestamp | None:
    """From when the owner can take what is free; None unless the bounty has ended."""
    return max(clock.started_at, history.last_vests_at) if clock.phase == Phase.ENDED else None


def _owners_rows(details: dict[str, Any]) -> dict[str, object]:
    """What the owner can take out, or will."""
    rows: dict[str, object] = {}
    command = f"`fedbounty claim {details['bounty']}`, run by the owner"
    if details["free"] and details["refund_from"] is not None:
        rows["owner's refund"] = f"{tokens(details['free'])} tokens, from {moment(details['refund_from'])}: {command}"
    if details["rest"]:
        rows["owner's rest"] = f"{tokens(details['rest'])} tokens that the panel's divisions left, now: {command}"
    return rows


def cancel(context: typer.Context, bounty: BountyArgument, yes: Yes = False, as_json: Json = False) -> None:
    """Take the pot back, as long as no round has opened."""
    ledgers = open_ledgers(context.obj)
    number = BountyId(bounty)
    terms = ledgers.market.terms(number)
    account = context.with_resource(open_account(ledgers, ask_password))
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
        "rounds_in_all": terms.rounds,
        "members_now": clock.members,
        "ends_at": clock.ends_at,
        "pot": terms.pot,
    }


def _details(ledgers: Ledgers, bounty: BountyId) -> dict[str, Any]:
    summary = _summary(ledgers, bounty)
    scores = scores_of(ledgers.market, ledgers.market.terms(bounty))
    panel = scores.panel(bounty) if scores else None
    history = build_history(ledgers.market.events(bounty))
    members = [{"index": m.index, "provider": m.provider, "stake": m.stake} for m in history.members]
    money = ledgers.market.money(bounty)
    return {
        **summary,
        "panel": asdict(panel) if panel else None,
        "ending": ending_in_words(history),
        "owed": money.owed,
        "free": money.free,
        "refund_from": _refund_from(ledgers.market.clock(bounty), history),
        "rest": scores.rest(bounty) if scores else 0,
        "terms": asdict(history.posted.terms),
        "withstands": promise(history.posted.terms),
        "members": members,
        "rounds": [_round_details(one, history.posted.terms) for one in history.rounds.values()],
    }


def _round_details(one: RoundHistory, terms: Terms) -> dict[str, Any]:
    merged = one.merged
    rejected = rejections(merged, one.reveals) if merged else []
    counted = merged.reveals - len(rejected) if merged else 0
    return {
        "round": one.number,
        "commits": len(one.commits),
        "reveals": len(one.reveals),
        "accepted": counted,
        "rejected": len(rejected),
        "reasons": [{"provider": r.provider, "reason": reason.label} for r, reason in rejected],
        "paid": merged.claim.paid if merged else 0,
        "vests_at": merged.vests_at if merged else 0,
        "metric": merged.claim.metric if merged else 0,
        "voided": len(one.voided),
        "state": one.state,
        "note": certain_shortfall(terms, counted),
    }
