"""What a played bounty brought the player: pay by the rules, deposits by the market's events, gas as measured.

The market in miniature of the tests plays the events by docs/PROTOCOL.md; `incentives.settlement` must find no fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from incentives.contribution import pay
from incentives.payoffs import Played
from incentives.settlement import settle
from incentives.shares import round_share
from ledger.records import (
    Address,
    Claimed,
    Committed,
    Event,
    Joined,
    Revealed,
    RewardRule,
    StakeWithdrawn,
    Terms,
    Wei,
)
from node.explaining.gas import MEASURED_GAS
from scripts.benchmarks.strategy_games import PERSONS, QUORUM, ROUNDS, Game
from tests import builders as make
from tests.incentives.judged_market import JudgedMarket

TOKEN = 10**18
"""What an honest update earns where six are accepted: the unit of every figure."""
STAKE_UNITS = 3
"""Least stakes that a person locks under the rule `stake`, over all of its accounts."""
MAX_WEIGHT = 4
FORFEIT = 10
"""A commitment that is not opened costs one of so many parts of the stake."""
CONTRIBUTION = "contribution"
RULES: Mapping[str, RewardRule] = {
    "equal": RewardRule.EQUAL,
    "stake": RewardRule.STAKE,
    CONTRIBUTION: RewardRule.EQUAL,
}
"""With the rule by which deposits are replayed; contribution's pay is divided outside of the payout tree."""

CALLS: Mapping[type[Event], Sequence[str]] = {
    Joined: ("approve", "join"),
    Committed: ("commit",),
    Revealed: ("reveal",),
    Claimed: ("claim",),
    StakeWithdrawn: ("withdraw the stake",),
}


class UnsoundGame(Exception):
    """The market's events break a rule of the protocol: a bug of the benchmark."""


@dataclass(frozen=True)
class Bounty:
    """A market with its accounts; everyone has joined and the first round is open."""

    market: JudgedMarket
    accounts: Sequence[Address]


def account(place: int) -> Address:
    return Address(f"0x{place + 1:040x}")


def terms_of(rule: RewardRule, stake: float, bond: float = 1.0) -> Terms:
    """stake: the least, in tokens."""
    return make.terms(
        pot=Wei(ROUNDS * PERSONS * TOKEN),
        bond=Wei(round(bond * TOKEN)),
        stake=Wei(round(stake * TOKEN)),
        forfeit=Wei(round(stake * TOKEN) // FORFEIT),
        rounds=ROUNDS,
        min_updates=QUORUM,
        max_updates=4 * PERSONS,
        reward_rule=rule,
        max_weight=MAX_WEIGHT if rule == RewardRule.STAKE else 1,
    )


def open_bounty(terms: Terms, units: Sequence[int]) -> Bounty:
    """units: how many least stakes each account locks."""
    market = JudgedMarket(terms)
    accounts = [account(place) for place in range(len(units))]
    for who, count in zip(accounts, units, strict=True):
        market.join(who, terms.stake * count)
    market.deposit_bond(terms.aggregator)
    return Bounty(market, accounts)


def play_round(bounty: Bounty, reveals: Sequence[bool], rejected: Sequence[int]) -> None:
    """Everyone commits, those reveal that want to, and the aggregator merges."""
    market = bounty.market
    for who in bounty.accounts:
        if market.overdue(who):
            market.forfeit(who)
        market.commit(who)
    for who, shows in zip(bounty.accounts, reveals, strict=True):
        if shows:
            market.reveal(who)
    if not all(reveals):
        market.wait(market.terms.reveal_seconds)
    market.merge(market.terms.aggregator, sum(1 << index for index in rejected))


def leave_all(bounty: Bounty) -> None:
    """After the end: everyone claims and takes its stake back, the aggregator its bond, the owner the rest."""
    market = bounty.market
    market.wait(market.terms.challenge_seconds)
    for who in bounty.accounts:
        if market.owed_to(who) > 0:
            market.claim(who)
        market.withdraw_stake(who)
    for who in list(market.bonds):
        market.withdraw_bond(who)
    if market.refundable:
        market.refund()
    check_sound(market.events)


def check_sound(events: Sequence[Event]) -> None:
    faults = settle(events).faults
    if faults:
        first = faults[0]
        raise UnsoundGame(f"{type(first.event).__name__}: {first.what} is {first.claimed}, not {first.expected}")


def settle_game(game: Game, rule: str, stake: float) -> Played:
    """What the player's accounts got and did, a round and a person on average.

    stake: the least, in tokens.
    Raises: UnsoundGame.
    """
    terms = terms_of(RULES[rule], stake)
    units = [1] * (game.others + game.accounts)
    if terms.reward_rule == RewardRule.STAKE:
        own_units = STAKE_UNITS * game.persons
        each, more = divmod(own_units, game.accounts)
        units = [STAKE_UNITS] * game.others + [each + (place < more) for place in range(game.accounts)]
    bounty = open_bounty(terms, units)
    for one in game.rounds:
        play_round(bounty, one.reveals, one.rejected)
    leave_all(bounty)
    own = set(bounty.accounts[game.others :])
    events = [event for event in bounty.market.events if getattr(event, "provider", None) in own]
    deposits = sum(one.stake for one in events if isinstance(one, Joined))
    returned = sum(one.amount for one in events if isinstance(one, StakeWithdrawn))
    claimed = sum(one.amount for one in events if isinstance(one, Claimed))
    if rule == CONTRIBUTION:
        claimed = _by_contribution(game, terms)
    gas = sum(MEASURED_GAS[call] for one in events for call in CALLS.get(type(one), ()))
    shares = ROUNDS * game.persons
    return Played(
        earned=(claimed + returned - deposits) / TOKEN / shares,
        trainings=game.trainings / shares,
        gas=gas / shares,
        locked=deposits / TOKEN / game.persons,
    )


def _by_contribution(game: Game, terms: Terms) -> int:
    """The player's pay where each round's share is divided by what updates contributed."""
    total = 0
    for number, one in enumerate(game.rounds, start=1):
        shown = [place for place, shows in enumerate(one.reveals) if shows]
        accepted = [place for index, place in enumerate(shown) if index not in one.rejected]
        divided = pay(round_share(terms, number), one.weights)
        total += sum(part for place, part in zip(accepted, divided.parts, strict=True) if place >= game.others)
    return total
