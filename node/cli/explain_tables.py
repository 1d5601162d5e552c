"""How `fedbounty explain` shows receipts and estimates to people."""

from __future__ import annotations

from ledger.merge_records import GivenReason, Reason
from ledger.records import RewardRule, Wei
from node.cli.output import console, grid, moment, pairs, text, tokens
from node.explaining.prospect import Prospect, Risk
from node.explaining.receipt import Check, Division, Outcome, Receipt, RoundReceipt, StakeReceipt
from node.scored_rounds import panel_rows

DETAIL = 400
"""Characters of a stranger's words."""

RULES = {
    RewardRule.EQUAL: "equal: a round's share divided evenly among the accepted updates",
    RewardRule.STAKE: "stake: a round's share divided by weights, whole multiples of the least stake, capped",
    RewardRule.CONTRIBUTION: "contribution: a round divided by the medians of its panel's reports; equally without",
}

REASONS = {
    Reason.UNAVAILABLE: "its file could not be fetched in time",
    Reason.MALFORMED: "its file has a wrong header, codec or padding",
    Reason.WRONG_LENGTH: "its file has not the exact length",
    Reason.WRONG_ROOT: "its file does not have the revealed root",
    Reason.WRONG_NORM: "the committed squared norm of chunk {} is not the sum of its squares",
    Reason.OUT_OF_RANGE: "chunk {} holds -32768, which is not on the grid",
    Reason.COPIED: "it is a copy of update {}, which was committed before it",
    Reason.STALE: "it repeats an update of round {}",
    Reason.NEGLIGIBLE: "its norm is not above the least that counts",
    Reason.HARMFUL: "without it the merge does better on the hold-out",
    Reason.UNMASKABLE: "its group's masks could not be taken off, or its sum was out of bounds; a group is paid whole",
}


def exact(amount: int, decimals: int = 18) -> str:
    """Whole tokens with every decimal: nothing is cut off."""
    whole, part = divmod(amount, 10**decimals)
    return f"{whole}.{part:0{decimals}d}".rstrip("0").rstrip(".")


def duration(seconds: int) -> str:
    """5400 -> `1 h 30 m`."""
    found = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        found += [f"{count} {unit}"] if count else []
    return " ".join(found) or "at once"


def in_words(reason: GivenReason) -> str:
    """Why an update was left out, by the merge's record."""
    if reason.code not in REASONS:
        return f"for reason {reason.code}, which the protocol does not have"
    return f"as {reason.label}: " + REASONS[Reason(reason.code)].format(reason.chunk)


# --- receipts ---


def show_receipt(receipt: Receipt, in_detail: bool) -> None:
    """Print a receipt; in_detail: of one round."""
    pairs(f"receipt of {receipt.provider} in bounty {receipt.bounty}", _sums(receipt))
    if in_detail:
        for one in receipt.rounds:
            pairs(f"round {one.round}", _round_rows(one))
    elif receipt.rounds:
        _show_rounds(receipt)
    for one in receipt.rounds:
        _show_rejection(one)
    _show_checks(receipt)
    for what, command in receipt.steps:
        console.print(f"to {what}: [bold]{text(command)}[/bold]", highlight=False)


def _sums(receipt: Receipt) -> dict[str, object]:
    rows: dict[str, object] = {
        "rule": RULES[receipt.rule],
        "earned by merges": f"{exact(receipt.earned)} tokens",
        "vested of it": f"{exact(receipt.vested)} tokens",
    }
    for vests_at, amount in receipt.unvested:
        rows[f"vests {moment(vests_at)}"] = f"{exact(amount)} tokens"
    rows["claimed"] = f"{exact(receipt.claimed)} tokens"
    if receipt.claimed_lapsed or receipt.claimable_lapsed:
        rows["claimed of lapsed rounds"] = f"{exact(receipt.claimed_lapsed)} tokens"
        rows["claimable of lapsed rounds"] = f"{exact(receipt.claimable_lapsed)} tokens"
    rows["claimable now"] = f"{exact(receipt.claimable)} tokens"
    rows["stake"] = _stake_text(receipt.stake, receipt.now)
    return rows


def _stake_text(stake: StakeReceipt, now: int) -> str:
    parts = [f"{exact(stake.locked)} tokens locked"]
    if stake.locked and stake.free_at is None:
        parts.append("free after the end, or some time after you leave")
    elif stake.locked and stake.free_at is not None:
        parts.append("free now" if stake.free_at <= now else f"free {moment(stake.free_at)}")
    for word, amount in (
        ("returned", stake.returned),
        ("forfeited", stake.forfeited),
        ("lost to a proof", stake.seized),
    ):
        parts += [f"{exact(amount)} {word}"] if amount else []
    return ", ".join(parts) + ("; a forfeit is due" if stake.forfeit_due else "")


def _show_rounds(receipt: Receipt) -> None:
    rows = [
        (one.round, one.outcome, _short(one.division), exact(one.amount), _when(one, receipt.now), _record(one.checks))
        for one in receipt.rounds
    ]
    grid("rounds", ("round", "your update", "division", "pay", "when", "record"), rows)
    console.print("[dim]--round N shows a round's division to the last unit[/dim]")


def _short(division: Division | None) -> str:
    return f"{tokens(division.pool)} × {division.weight}/{division.total}" if division else ""


def _when(one: RoundReceipt, now: int) -> str:
    if one.taken:
        return "claimed"
    if one.vests_at:
        return "vested" if one.vests_at <= now else moment(one.vests_at)
    if one.forfeited or one.seized:
        return f"lost {tokens(one.forfeited + one.seized)} of the stake"
    return ""


def _record(checks: tuple[Check, ...]) -> str:
    if not checks:
        return ""
    return "matches" if all(check.matches for check in checks) else "differs"


def _round_rows(one: RoundReceipt) -> dict[str, object]:
    rows: dict[str, object] = {"state": one.state, "your update": one.outcome}
    if one.note:
        rows["note"] = one.note
    if one.voided:
        rows["merges proven wrong"] = one.voided
    if one.stake is not None:
        rows["stake at the commit"] = f"{exact(one.stake)} tokens"
    if one.revealed is not None:
        rows |= {"reveal index": one.revealed.index, "weight": one.revealed.weight}
    rows |= _division_rows(one)
    if one.cumulative is not None:
        rows["your pay up to this round"] = f"{one.cumulative} units"
    if one.vests_at:
        rows["vests"] = moment(one.vests_at)
    for name, amount in (("taken", one.taken), ("forfeited", one.forfeited), ("lost to a proof", one.seized)):
        if amount:
            rows[name] = f"{exact(amount)} tokens"
    for check in one.checks:
        rows[check.what] = f"{check.recomputed}: " + ("matches the record" if check.matches else "differs")
    return rows


def _division_rows(one: RoundReceipt) -> dict[str, object]:
    division = one.division
    if division is None:
        return {"pay": "nothing"}
    lapsed = one.outcome in (Outcome.LAPSED, Outcome.UNSETTLED)
    what = "updates" if lapsed else f"weight of {division.updates} accepted updates"
    bond = f", {division.bond} of it the silent aggregator's bond" if division.bond else ""
    return {
        "pool": f"{division.pool} units{bond}",
        "divided by": f"{division.total} ({what}, or the quorum where that is more)",
        "floor": f"{division.pool} × {division.weight} // {division.total} = {division.amount} units",
        "remainder": f"{division.remainder}/{division.total} of a unit, which stays with the owner",
        "pay": f"{exact(division.amount)} tokens",
    }


def _show_rejection(one: RoundReceipt) -> None:
    if one.outcome != Outcome.REJECTED:
        return
    why = in_words(one.reason) if one.reason else "without a reason"
    console.print(f"[bold]round {one.round}[/bold]: your update was left out {text(why)}", highlight=False)
    said = one.published
    if said.detail:
        console.print(f"  reported by the merger: {text(said.detail, DETAIL)}", highlight=False)
    elif said.missing:
        console.print(f"  [dim]what the merger reported is not known: {text(said.missing, DETAIL)}[/dim]")
    if said.judgement:
        found = said.judgement
        console.print(f"  recomputed here: [bold]{found.verdict}[/bold]: {text(found.found, DETAIL)}", highlight=False)


def _show_checks(receipt: Receipt) -> None:
    for check in receipt.differences:
        console.print(
            f"[bold red]differs[/bold red] {text(check.what)}: {text(check.recomputed)} follows from the events, "
            f"{text(check.recorded)} is recorded",
            highlight=False,
        )
    for one in receipt.rounds:
        leaf = one.published.leaf
        if leaf is not None:
            console.print(f"round {one.round}: the recorded payout tree gives you {leaf} units in all", highlight=False)
    if not receipt.differences:
        console.print("[bold]matches the record[/bold]")


# --- estimates ---


def show_prospect(prospect: Prospect) -> None:
    """Print what joining may bring and cost."""
    first, last = prospect.remaining
    pairs(
        f"bounty {prospect.bounty}, if {prospect.provider} joined now",
        {
            "rule": RULES[prospect.rule],
            "merging": prospect.merging,
            "rounds left": f"{prospect.rounds} ({first} .. {last})" if prospect.rounds else "none that you could be in",
            "members now": prospect.members,
            "stake": f"{exact(prospect.stake)} tokens, weight {prospect.weight}",
        },
    )
    if prospect.rule == RewardRule.CONTRIBUTION:
        pairs("how a round is divided", dividing_rows(prospect))
    _show_scenarios(prospect)
    _show_gas(prospect)
    grid(
        "the worst for your stake",
        ("if", "stake lost", "pay lost", "to avoid it"),
        [
            (one.case, f"{tokens(one.stake)} of {tokens(prospect.stake)}", _lost(one), one.avoid)
            for one in prospect.risks
        ],
    )
    locks = ((one.case, "not bounded" if one.seconds is None else duration(one.seconds)) for one in prospect.lock_ups)
    grid("how long your stake is locked, at most", ("if", "until it is free"), list(locks))


def dividing_rows(prospect: Prospect) -> dict[str, object]:
    """What a round's share is, who divides it by contribution, and what an update can get of it."""
    least, most = prospect.shares
    share = f"{exact(most)} tokens" if least == most else f"{exact(least)} or {exact(most)} tokens"
    rows: dict[str, object] = {"a round's share": share, **panel_rows(prospect.panel, tokens)}
    if prospect.panel is None:
        rows["a panel later"] = (
            "the owner can name one until the first provider joins: look again right before you do"
            if prospect.may_appoint
            else "can't be: a panel is named before the first provider joins"
        )
        return rows
    rows["an update gets"] = (
        "by what it did to the loss on the validation data: from nothing to all of the share, less the fees. "
        "No one can say beforehand which"
    )
    return rows


def _lost(risk: Risk) -> str:
    if risk.instead is None:
        return risk.pay
    return f"{risk.pay}: {tokens(risk.instead[0])} .. {tokens(risk.instead[1])}"


def _show_scenarios(prospect: Prospect) -> None:
    priced = prospect.token_price is not None
    last = "net of gas, ETH" if priced else "covers gas from ETH a token"
    rows = []
    for one in prospect.scenarios:
        value = prospect.net(one) if priced else prospect.break_even(one)
        a_round = tokens(Wei(one.a_round[0]))
        rows.append((one.assumes, f"{one.weight}/{one.total}", a_round, tokens(one.in_all), _ether(value)))
    title = "your pay in tokens, if every update of yours is accepted"
    if prospect.panel is not None:
        title = "your pay in tokens, by what your updates contribute, if all are accepted"
    grid(title, ("assuming", "your part", "a round", "in all", last), rows)


def _ether(amount: int | None) -> str:
    if amount is None:
        return "-"
    return ("-" if amount < 0 else "") + exact(abs(amount))


def _show_gas(prospect: Prospect) -> None:
    bill = prospect.bill
    rows = [
        (line.call, line.gas, line.times, exact(line.gas * line.times * bill.price), _source(line.estimated))
        for line in bill.lines
    ]
    grid("gas, at the price of now", ("call", "gas", "times", "ETH", "source"), [*rows, _total(prospect)])
    most = exact(bill.gas * bill.ceiling)
    console.print(
        f"[dim]{exact(bill.price, 9)} gwei a unit of gas; up to {most} ETH if the base fee doubles. "
        f"What a rollup asks for data comes on top.[/dim]",
        highlight=False,
    )


def _total(prospect: Prospect) -> tuple[object, ...]:
    return ("together", prospect.bill.gas, "", exact(prospect.bill.cost), "")


def _source(estimated: bool) -> str:
    return "the node's estimate" if estimated else "measured"
