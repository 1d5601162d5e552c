"""What a bounty's noise gives, and what it leaves of a budget, for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ledger.chain import Chain
from ledger.records import Address
from node.cli.output import console, grid, pairs
from node.manifest import Manifest
from node.manifest import privacy as privacy_of
from node.privacy.accounting import Bare, Spend, epsilon
from node.privacy.budget import Purse
from node.privacy.purses import guarantees_of, place_of
from node.privacy.record import SpentPrivacy

_WARNINGS = {
    "open": "Privacy: open. Your updates will be readable by everyone on IPFS, for ever, and updates can be inverted "
    "into the data that made them. Join only with data that is not sensitive.",
    "dp": "Privacy: differential. Your updates will be readable by everyone on IPFS, for ever; what they tell is "
    "bounded by the noise below, and by nothing else.",
    "masked": "Privacy: masked. Only sums of several updates can be read; what a sum tells of you is bounded only "
    "where the noise below is not none.",
    "encrypted": "Privacy: encrypted. Only the readers that the bounty names can read your updates; to them they tell "
    "as much as open ones, but for the noise below.",
}


def place_on(chain: Chain, what: str, contract: Address, account: Address) -> str:
    """Names a bounty or an evaluation among those of all chains."""
    return place_of(what, contract, f"{chain.chain_id}-{chain.block(0).hash.hex()[:8]}", account)


def number(value: float) -> str:
    """An epsilon."""
    return "without bound" if math.isinf(value) else f"{value:.3g}"


def show_privacy(manifest: Manifest, rounds: int, purse: Purse) -> None:
    """What joining costs in privacy, before anything is sent."""
    section, given = privacy_of(manifest), guarantees_of(manifest)
    console.print(f"[yellow]{_WARNINGS[section.mode]}[/yellow]")
    rows: dict[str, object] = {"noise": section.description if section.has_noise else "none"}
    delta = section.delta
    if delta is not None:
        rows["one example of yours"] = _cost(given.example, rounds, delta)
        if given.alone is not None and given.summed is not None:
            rows["your updates as a whole"] = _cost(given.alone, rounds, delta)
            rows[f"in sums of {section.honest} such"] = _cost(given.summed, rounds, delta)
    rows["your budget"] = budget_row(purse, rounds)
    pairs("privacy", rows)


def _cost(spend: Spend, rounds: int, delta: float) -> str:
    one, whole = epsilon([spend], delta), epsilon([spend] * rounds, delta)
    return f"epsilon {number(one)} a round, {number(whole)} for all {rounds} rounds (delta {delta:g})"


def budget_row(purse: Purse, releases: int, called: str = "rounds") -> str:
    """What the data set's budget is, and how many of so many releases it allows."""
    limit = purse.book.limit(purse.data)
    if limit is None:
        return "none: `fedbounty privacy budget` sets a limit for all that your data is used for"
    spent = purse.book.spent(purse.data, limit.delta)
    have = f"epsilon {number(spent)} of {limit.epsilon:g} is spent (delta {limit.delta:g})"
    if isinstance(purse.spend, Bare):
        return f"{have}; nothing here has noise, so it bounds nothing from now on"
    return f"{have}; it allows {purse.affordable(releases)} of {releases} {called}"


def show_spent(spent: Sequence[SpentPrivacy]) -> None:
    """What each provider's updates had for noise in each round, and what they tell up to then."""
    rows = [
        (
            one.round,
            one.provider,
            one.sigma or "",
            one.q or "",
            one.steps or "",
            f"{one.update_noise} x {one.honest}" if one.update_noise else "",
            f"{one.delta:g}",
            *(_bound(value) for value in (one.epsilon, one.epsilon_update, one.epsilon_sum)),
        )
        for one in spent
    ]
    if rows:
        columns = (
            "round",
            "provider",
            "sigma",
            "q",
            "steps",
            "update noise",
            "delta",
            "epsilon",
            "of updates",
            "of sums",
        )
        grid("privacy: what noise was asked for, and epsilon up to the round", columns, rows)


def _bound(value: float | None) -> str:
    return "" if value is None else number(value)
