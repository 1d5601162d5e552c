"""The aggregator's daemon: the effects behind its decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from ledger.erc20 import Token
from ledger.history import BountyHistory, build_history
from ledger.market import Market
from ledger.records import BountyId, Terms
from node.aggregator import decisions
from node.aggregator.decisions import Action, AggregatorView
from node.aggregator.merge_work import MergeWork
from node.connections import Account, connect_peer
from node.loop import Finish

log = structlog.get_logger()


@dataclass(frozen=True)
class AggregatorSetup:
    market: Market
    account: Account
    bounty: BountyId
    terms: Terms
    work: MergeWork


class AggregatorDaemon:
    """Follows one bounty as a party that merges."""

    def __init__(self, setup: AggregatorSetup) -> None:
        self._setup = setup
        self._history: BountyHistory | None = None
        self._connected: set[str] = set()

    def observe(self) -> AggregatorView:
        setup = self._setup
        market, bounty = setup.market, setup.bounty
        block = market.chain.block()
        bond, locked_until = market.bond(bounty, setup.account.address, at=block)
        self._history = build_history(market.events(bounty, last=block.number))
        self._connect(self._history)
        return AggregatorView(
            now=block.timestamp,
            account=setup.account.address,
            terms=setup.terms,
            clock=market.clock(bounty, at=block),
            money=market.money(bounty, at=block),
            bond=bond,
            bond_locked_until=locked_until,
            history=self._history,
        )

    def decide(self, view: AggregatorView) -> Sequence[Action | Finish]:
        return decisions.decide(view)

    def act(self, action: Action) -> None:
        setup = self._setup
        writer = setup.account.writer
        match action:
            case decisions.DepositBond(amount):
                token = Token(setup.market.chain, setup.terms.token)
                token.ensure_allowance(setup.account.transactor, setup.market.address, amount)
                writer.deposit_bond(setup.bounty)
                log.info("bonded", bounty=setup.bounty, amount=amount)
            case decisions.Prefetch(number):
                assert self._history is not None
                setup.work.prefetch(self._history.rounds[number].reveals)
            case decisions.Merge(number):
                self._merge(number)
            case decisions.Settle():
                writer.settle(setup.bounty)
            case decisions.Refund():
                writer.refund(setup.bounty)
                log.info("refunded", bounty=setup.bounty)
            case decisions.WithdrawBond():
                writer.withdraw_bond(setup.bounty)
                log.info("bond_withdrawn", bounty=setup.bounty)

    def _merge(self, number: int) -> None:
        assert self._history is not None
        made = self._setup.work.merge(self._history, number)
        self._setup.account.writer.merge(self._setup.bounty, number, made.claim)
        rejected = {str(index): rejection.reason.label for index, rejection in made.rejections.items()}
        log.info("merged", bounty=self._setup.bounty, round=number, rejected=rejected, **made.metrics)

    def _connect(self, history: BountyHistory) -> None:
        """Connect to members' IPFS nodes, each once; what they announce is hostile text and may lead nowhere."""
        for member in history.members:
            if member.multiaddr and member.multiaddr not in self._connected:
                self._connected.add(member.multiaddr)
                connect_peer(self._setup.work.files.store, member.multiaddr)
