"""The aggregator's daemon: the effects behind its decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

import structlog

from ledger.demands import ChunkDemands, Demand, DemandWriter
from ledger.erc20 import Token
from ledger.errors import ContentError, ProtocolFault
from ledger.history import BountyHistory, build_history
from ledger.market import Market
from ledger.merge_records import record_of
from ledger.notices import Observer, ignore
from ledger.proofs import FraudProofs, ProofWriter
from ledger.records import BountyId, Merged, Terms
from node.aggregator import decisions
from node.aggregator.answers import shown_for
from node.aggregator.decisions import Action, AggregatorView
from node.aggregator.merge_work import MergeWork
from node.connections import Account, connect_peers, log_approval, spent
from node.loop import Finish
from node.merged_states import needs_seed
from node.notices import BountySeen, MergeMade, StateScored

log = structlog.get_logger()


@dataclass(frozen=True)
class AggregatorSetup:
    """What an aggregator works with. tell: hears what is seen and done."""

    market: Market
    account: Account
    bounty: BountyId
    terms: Terms
    work: MergeWork
    tell: Observer = ignore


class AggregatorDaemon:
    """Follows one bounty as a party that merges."""

    def __init__(self, setup: AggregatorSetup) -> None:
        self._setup = setup
        self._history: BountyHistory | None = None
        self._connected: set[str] = set()
        judge, desk = setup.market.judges()
        self._proofs = FraudProofs(setup.market.chain, judge)
        self._demands = ChunkDemands(setup.market.chain, desk)
        self._lost: set[int] = set()

    def observe(self) -> AggregatorView:
        setup = self._setup
        market, bounty = setup.market, setup.bounty
        block = market.chain.block()
        clock = market.clock(bounty, at=block)
        bond, locked_until = market.bond(bounty, setup.account.address, at=block)
        self._history = build_history(market.events(bounty, last=block.number))
        self._connect(self._history)
        setup.tell(BountySeen(bounty, block.timestamp, clock, setup.terms.rounds, bond=bond))
        return AggregatorView(
            now=block.timestamp,
            account=setup.account.address,
            terms=setup.terms,
            clock=clock,
            money=market.money(bounty, at=block),
            bond=bond,
            bond_locked_until=locked_until,
            history=self._history,
            draw_due=needs_seed(setup.terms) and self._proofs.seed(bounty, clock.round, at=block) is None,
            shares_due=not setup.work.is_complete(clock.round),
            demands=tuple(one for one in self._demands.of(bounty, block.number) if one.id not in self._lost),
        )

    def decide(self, view: AggregatorView) -> Sequence[Action | Finish]:
        return decisions.decide(view)

    def act(self, action: Action) -> None:
        setup = self._setup
        writer = setup.account.writer
        match action:
            case decisions.DepositBond(amount):
                token = Token(setup.market.chain, setup.terms.token)
                log_approval(token.ensure_allowance(setup.account.transactor, setup.market.address, amount), amount)
                receipt = writer.deposit_bond(setup.bounty)
                log.info("bonded", bounty=setup.bounty, amount=amount, **spent(receipt))
            case decisions.Prefetch(number):
                assert self._history is not None
                setup.work.prefetch(self._history.rounds[number].reveals)
            case decisions.Gather(number):
                assert self._history is not None
                setup.work.gather(self._history, number)
            case decisions.Draw(number):
                receipt = ProofWriter(self._proofs, setup.account.transactor).draw(setup.bounty, number)
                log.info("drawn", bounty=setup.bounty, round=number, **spent(receipt))
            case decisions.Answer(demand, merged):
                self._answer(demand, merged)
            case decisions.Merge(number):
                self._merge(number)
            case decisions.Settle():
                log.info("settled", bounty=setup.bounty, **spent(writer.settle(setup.bounty)))
            case decisions.Refund():
                log.info("refunded", bounty=setup.bounty, **spent(writer.refund(setup.bounty)))
            case decisions.WithdrawBond():
                log.info("bond_withdrawn", bounty=setup.bounty, **spent(writer.withdraw_bond(setup.bounty)))

    def _answer(self, demand: Demand, merged: Merged) -> None:
        """Show a chunk; one that is lost for good must not keep the daemon from its other duties."""
        assert self._history is not None
        where = {"bounty": merged.bounty, "demand": demand.id, "demanded": str(demand.demanded)}
        try:
            shown = shown_for(self._setup.work.files, self._history, merged, demand.demanded)
        except (ContentError, ProtocolFault) as error:
            self._lost.add(demand.id)
            log.error("can_not_answer", error=str(error), **where)
            return
        writer = DemandWriter(self._demands, self._setup.account.transactor)
        receipt = writer.answer(demand, record_of(merged), shown)
        log.info("answered", **where, **spent(receipt))

    def _merge(self, number: int) -> None:
        assert self._history is not None
        seed = self._proofs.seed(self._setup.bounty, number) if needs_seed(self._setup.terms) else None
        started = monotonic()
        made = self._setup.work.merge(self._history, number, seed)
        seconds = monotonic() - started
        receipt = self._setup.account.writer.merge(self._setup.bounty, number, made.claim)
        rejected = {str(index): rejection.reason.label for index, rejection in made.rejections.items()}
        where = {"bounty": self._setup.bounty, "round": number}
        log.info("merged", **where, rejected=rejected, metrics=made.metrics, **spent(receipt))
        self._setup.tell(MergeMade(self._setup.bounty, number, seconds))
        self._setup.tell(StateScored(self._setup.bounty, number, made.metrics))

    def _connect(self, history: BountyHistory) -> None:
        """Connect to members' IPFS nodes, each once."""
        new = {member.multiaddr for member in history.members} - self._connected
        self._connected |= new
        connect_peers(self._setup.work.files.store, new)
