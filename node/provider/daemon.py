"""The provider's daemon: the effects behind its decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from ledger.cid import to_cid
from ledger.commitments import commitment_hash, salt_message
from ledger.erc20 import Token
from ledger.errors import ContentMismatch, ContentTooLarge, ProtocolFault
from ledger.history import BountyHistory
from ledger.keccak import Hash32
from ledger.market import Market
from ledger.notices import Observer, ignore
from ledger.records import BountyId, Terms, Wei
from node.connections import Account, log_approval, spent
from node.errors import NonFiniteUpdate, TrainingFailed
from node.journal import Journal, MadeUpdate, Scope
from node.loop import Finish
from node.masking.seeds import encryption_key
from node.notices import BountySeen
from node.privacy.budget import Purse
from node.provider import decisions
from node.provider.decisions import Action, ProviderView
from node.provider.effects import collect
from node.provider.local_work import LocalWork, made_from
from node.provider.masked_view import MaskedView
from node.provider.masking import MaskingPart
from node.provider.view import observe

log = structlog.get_logger()


@dataclass(frozen=True)
class ProviderSetup:
    """What a provider brings to one bounty.

    purse:   its data set's privacy budget.
    tell:    hears what is seen and done.
    masking: its part in the groups of a masked bounty.
    """

    market: Market
    account: Account
    bounty: BountyId
    terms: Terms
    work: LocalWork
    journal: Journal
    multiaddr: str
    stake: Wei
    purse: Purse
    tell: Observer = ignore
    masking: MaskingPart | None = None


class ProviderDaemon:
    """Follows one bounty with one key and one data set."""

    def __init__(self, setup: ProviderSetup) -> None:
        self._setup = setup
        self._writer = setup.account.writer
        market = setup.market
        self._scope = Scope(market.chain.chain_id, market.address, setup.bounty, setup.account.address)
        self._history: BountyHistory | None = None
        self._may_join = True
        self._masked: MaskedView | None = None
        self._refusal = ""
        self._held_back = ""
        self._unusable: tuple[int, Hash32] | None = None

    def observe(self) -> ProviderView:
        setup = self._setup
        view = observe(setup.market, setup.bounty, setup.terms, setup.account.address, setup.journal)
        self._history = view.history
        if setup.masking is not None:
            self._masked = setup.masking.observe(view.history, view.clock.round)
            self._say_held_back(view.clock.round, self._masked.held_back(view.made))
        if view.standing.stake:
            self._may_join = False
        setup.tell(_seen(setup.bounty, view))
        refusal = self._refused(view.made)
        return replace(view, masked=self._masked, may_join=self._may_join, refusal=refusal, unusable=self._unusable)

    def _refused(self, made: MadeUpdate | None) -> str:
        """Why no update of this round may leave; one that was paid for may."""
        purse = self._purse(made)
        paid = made is not None and purse.is_charged(made.round, made.root.hex())
        refusal = "" if paid else purse.refusal()
        if refusal and refusal != self._refusal:
            log.error("privacy_budget", bounty=self._setup.bounty, error=refusal)
        self._refusal = refusal
        return refusal

    def _purse(self, made: MadeUpdate | None) -> Purse:
        """The budget of the data that an update was made from, or would be: `--data` may name another since."""
        return self._setup.purse.of(made_from(made) if made else "")

    def _say_held_back(self, number: int, why: str) -> None:
        """Say once why a masked round goes by without an update."""
        if why and why != self._held_back:
            log.warning("not_sent", bounty=self._setup.bounty, round=number, why=why)
        self._held_back = why

    def decide(self, view: ProviderView) -> Sequence[Action | Finish]:
        return decisions.decide(view)

    def act(self, action: Action) -> None:
        bounty = self._setup.bounty
        match action:
            case decisions.Join():
                self._join(self._setup.stake)
            case decisions.Train():
                self._train(action)
            case decisions.OpenRound():
                log.info("opened", bounty=bounty, **spent(self._writer.settle(bounty)))
            case decisions.Release(number, seat):
                assert self._setup.masking is not None
                self._setup.masking.release(seat, number)
            case decisions.Commit(made):
                self._purse(made).charge(made.round, made.root.hex())  # before anything leaves
                if self._setup.masking is not None:
                    assert self._masked is not None
                    assert self._masked.seat is not None, "no update is sent without a seat"
                    self._setup.masking.claim_masks(self._masked.seat, made)
                self._setup.work.keep(made)
                receipt = self._writer.commit(bounty, made.round, self._commitment(made))
                log.info("committed", bounty=bounty, round=made.round, root="0x" + made.root.hex(), **spent(receipt))
            case decisions.Reveal(made):
                self._setup.work.keep(made)
                receipt = self._writer.reveal(bounty, made.round, made.cid, made.root, self._salt(made))
                log.info("revealed", bounty=bounty, round=made.round, cid=to_cid(made.cid), **spent(receipt))
            case _:
                assert self._history is not None
                collect(self._setup.account, self._history, action)

    def _train(self, task: decisions.Train) -> None:
        """Train for a round and write the update down.

        Whoever merges can publish a state that is none, or from which no training ends: that costs a round, until
        someone has the merge voided, and not the daemon.
        """
        seat = self._masked.seat if self._masked else None
        try:
            made = self._setup.work.make_update(task, seat)
        except (TrainingFailed, NonFiniteUpdate, ContentMismatch, ContentTooLarge, ProtocolFault) as error:
            if task.base is None:
                raise
            self._unusable = (task.round, task.base.claim.state_root)
            log.error("sits_out", bounty=self._setup.bounty, round=task.round, error=str(error))
            return
        self._setup.journal.record(self._scope, made)

    def _join(self, stake: Wei) -> None:
        setup = self._setup
        token = Token(setup.market.chain, setup.terms.token)
        log_approval(token.ensure_allowance(setup.account.transactor, setup.market.address, stake), stake)
        receipt = self._writer.join(setup.bounty, stake, encryption_key(setup.account.key), setup.multiaddr)
        log.info("joined", bounty=setup.bounty, stake=stake, **spent(receipt))

    def _salt(self, made: MadeUpdate) -> bytes:
        scope = self._scope
        message = salt_message(scope.chain_id, scope.market, scope.bounty, made.round, made.root)
        return self._setup.account.key.derive(message)

    def _commitment(self, made: MadeUpdate) -> Hash32:
        scope = self._scope
        opening = (made.root, self._salt(made))
        return commitment_hash(scope.chain_id, scope.market, scope.bounty, made.round, scope.provider, opening)


def _seen(bounty: BountyId, view: ProviderView) -> BountySeen:
    return BountySeen(
        bounty,
        view.now,
        view.clock,
        view.terms.rounds,
        stake=view.standing.stake,
        claimable=Wei(max(0, view.vested_total - view.standing.claimed)),
        claimed=view.standing.claimed,
    )
