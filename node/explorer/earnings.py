"""Who earned what in a bounty, round by round, from its history and, under pay by contribution, its scoring. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from incentives.payouts import split_round
from incentives.standing import Settlement
from ledger.history import BountyHistory, RoundHistory, accepted
from ledger.records import Address, LapsedClaimed, StakeForfeited, Terms, Timestamp, Wei
from node.explorer.scoring import Scoring


@dataclass(frozen=True)
class ProviderPay:
    """A provider's account in one bounty.

    earned:   by merges that stand, or by rounds that were divided; vested: the part that can be claimed by now.
    claimed:  taken from payout trees, or by contribution; lapsed: taken from rounds without a merge.
    forfeited: of its stake.
    accepted, rejected, hidden: its updates in merged rounds, and its commitments that were never opened.
    """

    index: int
    provider: Address
    stake: int
    active: bool
    earned: int
    vested: int
    claimed: int
    lapsed: int
    forfeited: int
    accepted: int
    rejected: int
    hidden: int

    @property
    def open(self) -> int:
        """Vested and not taken yet."""
        return max(self.vested - self.claimed, 0)


def round_pay(terms: Terms, one: RoundHistory) -> dict[int, Wei]:
    """What the standing merge of a round pays by its tree, by reveal index."""
    if one.merged is None:
        return {}
    counted = accepted(one.merged, one.reveals)
    return {
        reveal.index: amount
        for reveal, amount in zip(counted, split_round(terms, one.number, counted).parts, strict=True)
    }


def provider_pay(
    history: BountyHistory, settlement: Settlement, now: Timestamp, scoring: Scoring | None = None
) -> list[ProviderPay]:
    """The accounts of all that ever joined, by member index.

    scoring: None where pay is not by contribution.
    """
    earned: dict[Address, int] = {}
    vested: dict[Address, int] = {}
    counts: dict[Address, list[int]] = {member.provider: [0, 0, 0] for member in history.members}
    terms = history.posted.terms
    for one in history.rounds.values():
        over = one.merged is not None or one.lapsed is not None
        for provider in one.commits:
            if over and one.reveal_of(provider) is None and provider in counts:
                counts[provider][2] += 1
        if one.merged is None:
            continue
        counted = round_pay(terms, one)
        pay = counted if scoring is None else scoring.pay(one.number)
        for reveal in one.reveals[: one.merged.reveals]:
            amount = pay.get(reveal.index, 0)
            counts.setdefault(reveal.provider, [0, 0, 0])[0 if reveal.index in counted else 1] += 1
            earned[reveal.provider] = earned.get(reveal.provider, 0) + amount
            if one.merged.vests_at <= now:
                vested[reveal.provider] = vested.get(reveal.provider, 0) + amount
    lapsed, forfeited = _sums(history)
    found = []
    for member in history.members:
        who = member.provider
        seat = settlement.seats.get(who)
        found.append(
            ProviderPay(
                index=member.index,
                provider=who,
                stake=seat.stake if seat else 0,
                active=seat.active if seat else False,
                earned=earned.get(who, 0),
                vested=vested.get(who, 0),
                claimed=settlement.claimed.get(who, 0) + (scoring.taken(who) if scoring else 0),
                lapsed=lapsed.get(who, 0),
                forfeited=forfeited.get(who, 0),
                accepted=counts[who][0],
                rejected=counts[who][1],
                hidden=counts[who][2],
            )
        )
    return found


def _sums(history: BountyHistory) -> tuple[dict[Address, int], dict[Address, int]]:
    """What each took from lapsed rounds, and what each forfeited."""
    lapsed: dict[Address, int] = {}
    forfeited: dict[Address, int] = {}
    for event in history.events:
        if isinstance(event, LapsedClaimed):
            lapsed[event.provider] = lapsed.get(event.provider, 0) + event.amount
        elif isinstance(event, StakeForfeited):
            forfeited[event.provider] = forfeited.get(event.provider, 0) + event.amount
    return lapsed, forfeited
