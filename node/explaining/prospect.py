"""What joining a bounty may pay, net of gas, and the worst that it can cost. Pure.

An estimate is no promise: each of its scenarios says what it assumes. Money of the bounty is in its token, gas in wei
of ether; there is no exchange rate but the one that a person gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from incentives.rewards import weight_of
from incentives.settlement import Settlement
from incentives.shares import lapsed_share, round_share
from ledger.history import BountyHistory
from ledger.records import Address, BountyId, Clock, Phase, PrivacyMode, RewardRule, Terms, Wei
from ledger.score_records import Panel
from node.explaining.gas import GasBill

ONE_ETHER = 10**18


@dataclass(frozen=True)
class Scenario:
    """Pay under one assumption, all updates accepted.

    updates, total: in each round, with yours; and their weights.
    a_round:        least and most of the remaining rounds, whose shares differ by a unit.
    """

    assumes: str
    updates: int
    weight: int
    total: int
    a_round: tuple[Wei, Wei]
    in_all: Wei

    def as_json(self) -> dict[str, Any]:
        return {
            "assumes": self.assumes,
            "updates": self.updates,
            "weight": self.weight,
            "total_weight": self.total,
            "least_a_round": str(self.a_round[0]),
            "most_a_round": str(self.a_round[1]),
            "in_all": str(self.in_all),
        }


@dataclass(frozen=True)
class Risk:
    """A way to lose: of the stake, and of the pay; and what to do about it.

    instead: least and most that is paid for the round instead; None where nothing is.
    """

    case: str
    stake: Wei
    pay: str
    avoid: str
    instead: tuple[Wei, Wei] | None = None

    def as_json(self) -> dict[str, Any]:
        instead = None if self.instead is None else [str(amount) for amount in self.instead]
        return {
            "case": self.case,
            "loses_of_stake": str(self.stake),
            "loses_of_pay": self.pay,
            "paid_instead": instead,
            "avoid": self.avoid,
        }


@dataclass(frozen=True)
class LockUp:
    """How long a stake stays locked at most, in seconds; None: nothing bounds it."""

    case: str
    seconds: int | None

    def as_json(self) -> dict[str, Any]:
        return {"case": self.case, "seconds": self.seconds}


@dataclass(frozen=True)
class Prospect:
    """What an account that has not joined can expect.

    remaining:   the rounds in which it could still take part, first and last; (1, 0): none.
    token_price: wei of ether for one whole token, if a person gave it.
    merging:     what the merge rule withstands, in a sentence.
    shares:      of the remaining rounds, least and most: what all updates of a round divide.
    panel:       who divides the rounds by contribution; None where nobody does.
    may_appoint: whether the owner can still name a panel.
    """

    bounty: BountyId
    provider: Address
    stake: Wei
    weight: int
    members: int
    rule: RewardRule
    remaining: tuple[int, int]
    scenarios: tuple[Scenario, ...]
    bill: GasBill
    risks: tuple[Risk, ...]
    lock_ups: tuple[LockUp, ...]
    token_price: int | None = None
    merging: str = ""
    shares: tuple[Wei, Wei] = (Wei(0), Wei(0))
    panel: Panel | None = None
    may_appoint: bool = False

    @property
    def rounds(self) -> int:
        return self.remaining[1] - self.remaining[0] + 1

    def net(self, scenario: Scenario) -> int | None:
        """Pay less gas in wei of ether, at the given price. Rounding: the pay's worth down."""
        if self.token_price is None:
            return None
        return scenario.in_all * self.token_price // ONE_ETHER - self.bill.cost

    def break_even(self, scenario: Scenario) -> int | None:
        """The price of a token, in wei, from which on pay covers gas; None if nothing is paid. Rounding: up."""
        return -(-self.bill.cost * ONE_ETHER // scenario.in_all) if scenario.in_all else None

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": "estimate",
            "bounty": self.bounty,
            "provider": self.provider,
            "stake": str(self.stake),
            "weight": self.weight,
            "members_now": self.members,
            "reward_rule": self.rule.name.lower(),
            "merge_rule": self.merging,
            "panel": asdict(self.panel) if self.panel else None,
            "panel_may_still_be_appointed": self.may_appoint,
            "shares": [str(amount) for amount in self.shares],
            "first_round": self.remaining[0],
            "last_round": self.remaining[1],
            "token_price_wei": None if self.token_price is None else str(self.token_price),
            "scenarios": [{**one.as_json(), **self._in_ether(one)} for one in self.scenarios],
            "gas": self.bill.as_json(),
            "risks": [risk.as_json() for risk in self.risks],
            "lock_ups": [lock_up.as_json() for lock_up in self.lock_ups],
        }

    def _in_ether(self, scenario: Scenario) -> dict[str, str | None]:
        net, price = self.net(scenario), self.break_even(scenario)
        return {
            "net_wei": None if net is None else str(net),
            "break_even_token_price_wei": None if price is None else str(price),
        }


def remaining_rounds(terms: Terms, clock: Clock, history: BountyHistory) -> tuple[int, int]:
    """The rounds in which somebody who joins now could commit, first and last."""
    latest = max([clock.round, *history.rounds])
    can_commit = clock.phase == Phase.COMMIT and clock.commits < terms.max_updates
    first = clock.round if can_commit else latest + 1
    return (first, terms.rounds) if first <= terms.rounds else (1, 0)


def least_and_most(terms: Terms, remaining: tuple[int, int]) -> tuple[Wei, Wei]:
    """The shares of the remaining rounds, which differ by a unit at most."""
    shares = [round_share(terms, number) for number in range(remaining[0], remaining[1] + 1)]
    return min(shares, default=Wei(0)), max(shares, default=Wei(0))


def make_scenarios(
    terms: Terms, settlement: Settlement, remaining: tuple[int, int], stake: Wei
) -> tuple[Scenario, ...]:
    """Pay if today's members and the newcomer take part; at the bare quorum; and in full rounds of heavy stakes."""
    own = weight_of(stake, terms)
    heaviest = terms.max_weight if terms.reward_rule == RewardRule.STAKE else 1
    present = sorted(
        (weight_of(Wei(one.stake), terms) for one in settlement.seats.values() if one.active), reverse=True
    )
    others = present[: terms.max_updates - 1]
    missing = max(terms.min_updates - 1 - len(others), 0)
    who = "the members of today and you, every round"
    if missing:
        who = f"the members of today, you and {missing} more for the quorum, of weight 1"
    elif len(present) > len(others):
        who = f"{terms.max_updates} a round, the heaviest members of today and you"
    heavy = f"full rounds of {terms.max_updates}, all others of weight {heaviest}"
    cases = [
        (who, [*others, *[1] * missing]),
        (f"a bare quorum of {terms.min_updates}, all others of weight 1", [1] * (terms.min_updates - 1)),
        (heavy, [heaviest] * (terms.max_updates - 1)),
    ]
    return tuple(_scenario(terms, remaining, own, assumes, weights) for assumes, weights in cases)


def _scenario(terms: Terms, remaining: tuple[int, int], own: int, assumes: str, others: Sequence[int]) -> Scenario:
    total = own + sum(others)
    numbers = range(remaining[0], remaining[1] + 1)
    pays = [round_share(terms, number) * own // total for number in numbers]
    a_round = (Wei(min(pays, default=0)), Wei(max(pays, default=0)))
    return Scenario(assumes, len(others) + 1, own, total, a_round, Wei(sum(pays)))


def most_forfeits(terms: Terms, stake: Wei, rounds: int) -> Wei:
    """One forfeit a round, until too little is left for another and the membership ends."""
    return Wei(terms.forfeit * min(rounds, stake // terms.forfeit)) if terms.forfeit else Wei(0)


def longest_round(terms: Terms) -> int:
    """Seconds from a round's opening until it must be over."""
    return terms.patience * terms.commit_seconds + terms.reveal_seconds + terms.merge_seconds + terms.open_merge_seconds


def make_lock_ups(terms: Terms, clock: Clock, remaining: tuple[int, int]) -> tuple[LockUp, ...]:
    """How long the stake is away. The Solidity twins are `ClockLib.horizon` and `BountyLib.stakeFreeAt`."""
    longest = longest_round(terms)
    has_begun = clock.phase != Phase.JOINING
    under_way = has_begun and remaining[0] != clock.round
    whole = (remaining[1] - remaining[0] + 1 + under_way) * longest + terms.challenge_seconds
    before = [] if has_begun else [LockUp("you leave before round 1 opens", 0)]
    return (
        *before,
        LockUp("you leave while rounds run: from then", longest + terms.challenge_seconds),
        LockUp("you stay to the end" if has_begun else "you stay to the end: from the opening of round 1", whole),
        LockUp("a proof or a demand can hold all deposits longer; each costs somebody a bond or a fee", None),
    )


def _ending_early(terms: Terms) -> tuple[Risk, ...]:
    """A bounty with a target may stop paying before its last round."""
    if not terms.target:
        return ()
    case = "the model reaches the bounty's target on the hold-out before the last round"
    return (Risk(case, Wei(0), "all later rounds; what was merged is paid", "nothing to do; the stake comes back"),)


def _losing_a_group(terms: Terms) -> tuple[Risk, ...]:
    """In masked mode pay is by groups: all of one are paid, or nobody."""
    if terms.privacy != PrivacyMode.MASKED:
        return ()
    return (
        Risk(
            "your group can't be unmasked: too many of it are away after the reveals, or send a file that is wrong",
            Wei(0),
            "the round's, for everyone in the group",
            "keep your node running until the merge: it releases the shares that the others need",
        ),
        Risk(
            "the aggregator calls your group unmaskable, though it is not",
            Wei(0),
            "the round's, and no contract can see it",
            "choose an aggregator that you trust with that",
        ),
    )


def make_risks(terms: Terms, stake: Wei, rounds: int, number: int) -> tuple[Risk, ...]:
    """The cases in which less than everything comes back.

    number: the round whose lapse serves as the example.
    """
    bond = terms.bond
    silent = (
        lapsed_share(terms, number, terms.max_updates, bond),
        lapsed_share(terms, number, terms.min_updates, bond),
    )
    forfeits = most_forfeits(terms, stake, rounds)
    none = Wei(0)
    return (
        *_ending_early(terms),
        *_losing_a_group(terms),
        Risk(
            "you commit and do not reveal",
            terms.forfeit,
            "the round's",
            f"keep your node running: a reveal has {terms.reveal_seconds} s, and a node that is started again goes on",
        ),
        Risk("the same in every round that is left", forfeits, "all", "leave, if you can't go on"),
        Risk(
            "a chunk of your update is proven off the grid, or its norm false",
            stake,
            "the round's, and your membership",
            "fedbounty rounds to the grid and computes the norm; don't send updates that another program made",
        ),
        Risk("your update is rejected", none, "the round's", "keep its file served: pinned, and the node reachable"),
        Risk(
            "the aggregator calls your update unavailable, though it is not",
            none,
            "the round's, and no contract can see it",
            "choose an aggregator that you trust with that, and keep the file served by more than one node",
        ),
        Risk(
            "the aggregator is silent, and nobody else merges",
            none,
            "later rounds; the round itself pays a share, the bond included",
            "nothing to do: it pays with its bond",
            silent,
        ),
        Risk("too few commit within the patience", none, "all later rounds", "nothing to do; the stake comes back"),
        Risk(
            "a merge, or what it pays, is wrong",
            none,
            "none, but later: it is merged again; the false part, if nobody proves it in time",
            "run `fedbounty watch`, or `fedbounty audit --challenge` before it vests",
        ),
    )
