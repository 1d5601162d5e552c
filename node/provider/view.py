"""A provider's look at the chain: one frozen view at one block."""

from __future__ import annotations

from incentives.payouts import cumulative_payouts
from ledger.chain import Block
from ledger.history import BountyHistory, build_history
from ledger.keccak import ZERO_HASH
from ledger.market import Market
from ledger.records import Address, BountyId, Terms, Timestamp, Wei
from node.journal import Journal, MadeUpdate, Scope
from node.provider.decisions import ProviderView
from node.scored_rounds import observe_scoring, scores_of


def observe(
    market: Market, bounty: BountyId, terms: Terms, account: Address, journal: Journal | None, at: Block | None = None
) -> ProviderView:
    """Build the view of `account` at a block, or the newest. Without a journal it shows no update of the round."""
    block = at or market.chain.block()
    clock = market.clock(bounty, at=block)
    history = build_history(market.events(bounty, last=block.number))
    kept = market.commitment(bounty, account, at=block)
    scope = Scope(market.chain.chain_id, market.address, bounty, account)
    scores = scores_of(market, terms)
    return ProviderView(
        now=block.timestamp,
        account=account,
        terms=terms,
        clock=clock,
        standing=market.provider(bounty, account, at=block),
        open_commitment=None if kept == ZERO_HASH else kept,
        forfeit_due=kept != ZERO_HASH and market.is_forfeit_due(bounty, account, at=block),
        held_until=market.held_until(bounty, at=block),
        history=history,
        made=journal.made(scope, clock.round) if journal else None,
        earlier=earlier_update(journal, scope, history, clock.round) if journal else None,
        vested_total=vested_total(history, account, block.timestamp),
        scoring=observe_scoring(scores, history, block) if scores else None,
    )


def earlier_update(journal: Journal, scope: Scope, history: BountyHistory, before: int) -> MadeUpdate | None:
    """The update that the account showed last: one that was never revealed left nothing to go on from."""
    for number in sorted((one for one in history.rounds if one < before), reverse=True):
        shown, made = history.rounds[number].reveal_of(scope.provider), journal.made(scope, number)
        if shown is not None and made is not None and shown.update_root == made.root:
            return made
    return None


def vested_total(history: BountyHistory, account: Address, now: Timestamp) -> Wei:
    """The account's cumulative pay by the latest vested merge; 0 before the first."""
    vested = history.latest_vested(now)
    if vested is None:
        return Wei(0)
    return dict(cumulative_payouts(history, vested.round)).get(account, Wei(0))
