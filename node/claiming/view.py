"""An account's look at all that it may own in a bounty: one frozen view at one block."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.market import Market
from ledger.records import Address, BountyId, Money, Phase, Terms, Timestamp, Wei
from ledger.score_records import Evaluator
from node.explaining.scoring import scored_claims
from node.provider.decisions import ProviderView
from node.provider.view import observe
from node.scored_rounds import scores_of

OVER = (Phase.ENDED, Phase.CANCELLED)


@dataclass(frozen=True)
class ClaimView:
    """What an account sees of its money at one block.

    provider:     its part as a provider, with the bounty's history, clock and scoring.
    owner:        who posted the bounty.
    money:        the bounty's two purses, as of the last transaction.
    bond, bond_free_at: what it has locked as an aggregator, and from when that is free.
    seat:         its standing in the panel; None where there is none.
    rest:         what the divisions by contribution left the owner.
    """

    provider: ProviderView
    owner: Address
    money: Money
    bond: Wei
    bond_free_at: Timestamp
    seat: Evaluator | None
    rest: Wei

    @property
    def claimed(self) -> Wei:
        """All the pay that the account has taken so far: by payout trees, of lapsed rounds, by contribution."""
        provider = self.provider
        lapsed = [one.amount for one in provider.history.lapsed_claims if one.provider == provider.account]
        return Wei(provider.standing.claimed + sum(lapsed) + scored_claims(provider.scoring, provider.account))

    @property
    def is_owner(self) -> bool:
        return self.provider.account == self.owner

    @property
    def is_over(self) -> bool:
        return self.provider.clock.phase in OVER


def observe_claims(market: Market, bounty: BountyId, terms: Terms, account: Address) -> ClaimView:
    """Build the view of `account` at the newest block."""
    block = market.chain.block()
    bond, bond_free_at = market.bond(bounty, account, at=block)
    scores = scores_of(market, terms)
    seat = scores.evaluator(bounty, account, at=block) if scores else None
    return ClaimView(
        provider=observe(market, bounty, terms, account, None, at=block),
        owner=market.owner(bounty, at=block),
        money=market.money(bounty, at=block),
        bond=bond,
        bond_free_at=bond_free_at,
        seat=seat if seat and seat.place else None,
        rest=scores.rest(bounty, at=block) if scores else Wei(0),
    )
