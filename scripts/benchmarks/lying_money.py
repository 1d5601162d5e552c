"""What an aggregator could take by lying, and what a proof takes from it: read off the market's own events.

Two kinds of lie. A wrong state or payout tree is provable by anyone until its pay vests. Calling other people's updates
unavailable is not: no contract can see a file.
"""

from __future__ import annotations

from dataclasses import dataclass

from incentives.settlement import settle
from ledger.records import Address, BondWithdrawn, Claimed, MergeVoided, RewardRule
from scripts.benchmarks.strategy_games import PERSONS, ROUNDS
from scripts.benchmarks.strategy_money import TOKEN, account, check_sound, leave_all, open_bounty, play_round, terms_of

ALL = [True] * PERSONS
PROVER = account(99)


@dataclass(frozen=True)
class Verdict:
    """Who got what when a lie was proven, in tokens."""

    bond: float
    prover: float
    aggregator_keeps: float


def exposure(*, claims_each_round: bool) -> float:
    """The most that a wrong payout tree could draw from the bounty: what is owed, in tokens."""
    bounty = open_bounty(terms_of(RewardRule.EQUAL, stake=1), [1] * PERSONS)
    most = 0
    for _ in range(ROUNDS):
        if claims_each_round:
            bounty.market.wait(bounty.market.terms.challenge_seconds)
            for who in bounty.accounts:
                if bounty.market.owed_to(who) > 0:
                    bounty.market.claim(who)
        play_round(bounty, ALL, [])
        most = max(most, settle(bounty.market.events).owed)
    check_sound(bounty.market.events)
    return most / TOKEN


def proven(bond: float) -> Verdict:
    """A lie in the first round, proven before it vests; someone else merges from there on."""
    terms = terms_of(RewardRule.EQUAL, stake=1, bond=bond)
    bounty = open_bounty(terms, [1] * PERSONS)
    play_round(bounty, ALL, [])
    market = bounty.market
    market.void(PROVER, 1)
    market.deposit_bond(account(98))
    market.merge(account(98), rejected=0)
    while market.phase == "running":
        for who in bounty.accounts:
            market.commit(who)
        for who in bounty.accounts:
            market.reveal(who)
        market.wait(terms.merge_seconds)
        market.merge(account(98), rejected=0)
    leave_all(bounty)
    voided = next(event for event in market.events if isinstance(event, MergeVoided))
    kept = sum(_bond_back(event, terms.aggregator) for event in market.events)
    return Verdict(voided.bond / TOKEN, voided.reward / TOKEN, kept / TOKEN)


def _bond_back(event: object, who: Address) -> int:
    return event.amount if isinstance(event, BondWithdrawn) and event.account == who else 0


def left_out(*, own_accounts: int) -> tuple[float, float]:
    """What an aggregator with so many provider accounts gets if it calls all other updates unavailable, and if not.

    A round, in tokens. Its bond comes back: there is nothing that a contract could judge.
    """
    found = []
    for rejected in (range(PERSONS - own_accounts), ()):
        bounty = open_bounty(terms_of(RewardRule.EQUAL, stake=1), [1] * PERSONS)
        for _ in range(ROUNDS):
            play_round(bounty, ALL, list(rejected))
        leave_all(bounty)
        own = bounty.accounts[PERSONS - own_accounts :]
        events = bounty.market.events
        found.append(sum(one.amount for one in events if isinstance(one, Claimed) and one.provider in own))
    return found[0] / TOKEN / ROUNDS, found[1] / TOKEN / ROUNDS
