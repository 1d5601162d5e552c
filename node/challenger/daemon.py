"""The challenger's daemon: the effects behind its decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import monotonic

import numpy as np
import structlog
from numpy.typing import NDArray

from ledger.chain import Block
from ledger.demands import ChunkDemands, Demand, Demanded, DemandWriter, about
from ledger.erc20 import Token
from ledger.errors import ContentError, ContentUnreachable, ProtocolFault, Reverted
from ledger.history import BountyHistory, build_history
from ledger.market import Market
from ledger.mask_proofs import MaskProofs, MaskProofWriter
from ledger.merge_records import record_of
from ledger.notices import Observer, ignore
from ledger.proofs import FraudProofs, ProofWriter
from ledger.records import Address, BountyId, Merged, MergeVoided, Phase, UpdateDisqualified, Wei
from ledger.transactions import Receipt
from node.bounty_files import BountyFiles
from node.challenger import decisions
from node.challenger.decisions import Action, WatchView
from node.challenger.differences import first_fault
from node.challenger.evidence import Case
from node.challenger.faults import FaultyLeaf, OnlyReexecuted, Proven, Withheld
from node.challenger.gathering import Sources, gather, shown_of
from node.challenger.journal import PROVEN, RIGHT, UNPROVABLE, ChallengeJournal, MergeKey, Verdict, key_of
from node.challenger.proving import prove
from node.challenger.scores import Scores
from node.connections import Account, connect_peers, log_approval, spent
from node.loop import Finish
from node.model import Layout, layout
from node.notices import BountyLeft, BountySeen, MergeChecked, RewardTaken

log = structlog.get_logger()

MOST_DEMANDS = 64
"""Enough to close in on a wrong leaf in every tree of a merge."""

GRACE_PART = 4

LARGEST_UNASKED = 2**17
"""Chunks of a model that is followed without being named: 16 million coordinates. Anyone can post a larger one."""

LATER_SECONDS = 60
"""After so long, what could not be had is asked for again."""


@dataclass(frozen=True)
class ChallengerSetup:
    """What a challenger works with.

    bounties:       to follow; empty for all of the market.
    grace_seconds:  how long after a merge its files may be missing before chunks are demanded, which costs a fee; at
                    most a quarter of the time to challenge it.
    most_demands:   about one merge: whoever withholds and answers earns a fee each time.
    once:           end when all that can still be challenged is decided.
    scores:         measures the right merges; None where nobody wants to know.
    tell:           hears what is seen and done.
    """

    market: Market
    proofs: FraudProofs
    demands: ChunkDemands
    files: BountyFiles
    account: Account
    journal: ChallengeJournal
    bounties: tuple[BountyId, ...] = ()
    grace_seconds: int = 0
    most_demands: int = MOST_DEMANDS
    once: bool = False
    scores: Scores | None = None
    tell: Observer = ignore


@dataclass
class Taken:
    """What proofs and unanswered demands brought in. found: what was wrong, a sentence each."""

    found: list[str] = field(default_factory=list)
    bonds: int = 0
    rewards: int = 0


class ChallengerDaemon:
    """Looks at every merge once, and proves what is wrong with it."""

    def __init__(self, setup: ChallengerSetup) -> None:
        self._setup = setup
        self._proofs = ProofWriter(setup.proofs, setup.account.transactor)
        self._mask_proofs: MaskProofWriter | None = None
        self._demands = DemandWriter(setup.demands, setup.account.transactor)
        self._now = 0
        self._histories: dict[BountyId, BountyHistory] = {}
        self._over: set[BountyId] = set()
        self._known = 0
        self._layouts: dict[BountyId, Layout] = {}
        self._asked: tuple[Demand, ...] = ()
        self._case: Case | None = None
        self._right: dict[BountyId, tuple[MergeKey, NDArray[np.int32]]] = {}
        self._connected: set[str] = set()
        self._wanted: dict[MergeKey, Demanded] = {}
        self._later: dict[MergeKey, int] = {}
        self.taken = Taken()

    @property
    def account(self) -> Address:
        """Whose proofs these are."""
        return self._setup.account.address

    def observe(self) -> WatchView:
        setup = self._setup
        block = setup.market.chain.block()
        self._now = block.timestamp
        self._histories = {bounty: self._history(bounty, block) for bounty in self._bounties(block)}
        self._asked = tuple(one for bounty in self._histories for one in setup.demands.of(bounty, last=block.number))
        own = setup.account.address
        mine = frozenset(one.id for one in self._asked if one.is_open and setup.demands.demander(one.id, block) == own)
        merges = [one.merged for history in self._histories.values() for one in history.merged_rounds if one.merged]
        return WatchView(
            now=block.timestamp,
            merges=tuple(merges),
            demands=self._asked,
            own=mine,
            verdicts=setup.journal.verdicts(),
            waiting=self._waiting(),
            once=setup.once,
        )

    def _waiting(self) -> frozenset[MergeKey]:
        demanded = {one.demanded for one in self._asked if one.is_open}
        unanswered = {key for key, what in self._wanted.items() if what in demanded}
        return frozenset(unanswered | {key for key, moment in self._later.items() if moment > self._now})

    def decide(self, view: WatchView) -> Sequence[Action | Finish]:
        return decisions.decide(view)

    def act(self, action: Action) -> None:
        match action:
            case decisions.Check(merged):
                self._check(merged)
            case decisions.Expire(demand):
                receipt = self._demands.expire(demand)
                self._count(receipt, f"{demand.demanded} was not shown in time.")
                log.info("demand_ended", id=demand.id, demanded=str(demand.demanded), **spent(receipt))

    # --- looking ---

    def _bounties(self, block: Block) -> list[BountyId]:
        """Those to follow; one that is over and vested can't be challenged any more."""
        market = self._setup.market
        named = self._setup.bounties
        for number in () if named else range(self._known + 1, market.bounty_count(block) + 1):
            bounty, self._known = BountyId(number), number
            chunks = market.terms(bounty, block).chunks
            if chunks > LARGEST_UNASKED:
                self._over.add(bounty)
                log.warning("too_large", bounty=bounty, chunks=chunks)
        return [one for one in named or map(BountyId, range(1, self._known + 1)) if one not in self._over]

    def _history(self, bounty: BountyId, block: Block) -> BountyHistory:
        market = self._setup.market
        history = build_history(market.events(bounty, last=block.number))
        clock = market.clock(bounty, block)
        over = clock.phase in (Phase.ENDED, Phase.CANCELLED)
        self._setup.tell(BountySeen(bounty, block.timestamp, clock, history.posted.terms.rounds))
        if over and not self._setup.bounties and history.last_vests_at <= block.timestamp:
            self._over.add(bounty)
            self._setup.tell(BountyLeft(bounty))
        new = {member.multiaddr for member in history.members} - self._connected
        self._connected |= new
        connect_peers(self._setup.files.store, new)
        return history

    # --- judging ---

    def _check(self, merged: Merged) -> None:
        """Look at a merge. A bounty whose own files can't be had or used stops nobody from looking at the others."""
        started = monotonic()
        try:
            case = self._gathered(merged)
        except (ContentError, ProtocolFault) as error:
            if self._setup.once or isinstance(error, ContentUnreachable):
                raise
            self._later[key_of(merged)] = self._now + LATER_SECONDS
            log.warning("can_not_check", bounty=merged.bounty, round=merged.round, error=str(error))
            self._setup.tell(MergeChecked(merged.bounty, merged.round, "unchecked", monotonic() - started))
            return
        fault = first_fault(case)
        verdict = "right" if fault is None else "withheld" if isinstance(fault, Withheld) else "wrong"
        seconds = monotonic() - started
        self._setup.tell(MergeChecked(merged.bounty, merged.round, verdict, seconds))
        where = {"bounty": merged.bounty, "round": merged.round, "seconds": round(seconds, 3)}
        if fault is None:
            log.info("merge_right", **where)
            self._accept(case)
        elif isinstance(fault, Withheld):
            self._demand(case, fault)
        elif isinstance(fault, OnlyReexecuted):
            log.error("merge_wrong_without_proof", sentence=str(fault), **where)
            self._setup.journal.record(key_of(merged), Verdict(UNPROVABLE, str(fault)))
        else:
            log.warning("merge_wrong", sentence=str(fault), **where)
            self._prove(case, fault)

    def _gathered(self, merged: Merged) -> Case:
        """The case; what was recomputed before an answer came is not recomputed after it."""
        history = self._histories[merged.bounty]
        shown = shown_of(about(self._asked, merged))
        known = self._case if self._case and key_of(self._case.merged) == key_of(merged) else None
        if known is not None and known.ours is not None:
            disqualified = frozenset(history.rounds[merged.round].disqualified)
            self._case = replace(known, merged=merged, shown=shown, disqualified=disqualified)
        else:
            seed = self._setup.proofs.seed(merged.bounty, merged.round)
            sources = Sources(self._setup.files, history, self._layout(history), seed)
            self._case = gather(sources, merged, self._before(history, merged), shown, known if shown else None)
        return self._case

    def _layout(self, history: BountyHistory) -> Layout:
        if history.bounty not in self._layouts:
            self._layouts[history.bounty] = layout(self._setup.files.manifest(history.posted.terms))
        return self._layouts[history.bounty]

    def _before(self, history: BountyHistory, merged: Merged) -> NDArray[np.int32]:
        """The state that a merge builds on: one's own where it was found right, else from its file."""
        previous = history.rounds[merged.previous].merged if merged.previous else None
        key, planes_PD = self._right.get(merged.bounty, (None, None))
        if previous is not None and planes_PD is not None and key == key_of(previous):
            return planes_PD
        return self._setup.files.state(previous, history.posted.terms)

    def _accept(self, case: Case) -> None:
        self._setup.journal.record(key_of(case.merged), Verdict(RIGHT))
        if case.ours is not None:
            self._right[case.merged.bounty] = (key_of(case.merged), case.ours.planes_PD)
            if self._setup.scores is not None:
                self._setup.scores.measure(case.merged.bounty, case.terms, case.round, case.ours.planes_PD[0])
        self._case = None

    # --- effects ---

    def _prove(self, case: Case, fault: Proven) -> None:
        """Send the proof. A faulty update is proven first; the merge that accepted it at the next turn."""
        try:
            receipt = prove(self._proofs, self._masks(), case, fault)
        except Reverted as error:
            if self._has_fallen(case.merged):
                return
            self._setup.journal.record(key_of(case.merged), Verdict(UNPROVABLE, str(fault)))
            log.error("proof_refused", bounty=case.merged.bounty, round=case.round, error=str(error))
            return
        if not isinstance(fault, FaultyLeaf):
            self._setup.journal.record(key_of(case.merged), Verdict(PROVEN, str(fault)))
        log.info("proven", bounty=case.merged.bounty, round=case.round, sentence=str(fault), **spent(receipt))
        self._count(receipt, str(fault))

    def _masks(self) -> MaskProofWriter:
        """The contract that judges masks; it never changes."""
        if self._mask_proofs is None:
            proofs = self._setup.proofs
            masks = MaskProofs(proofs.chain, proofs.masks())
            self._mask_proofs = MaskProofWriter(masks, self._setup.account.transactor)
        return self._mask_proofs

    def _has_fallen(self, merged: Merged) -> bool:
        """Whether another party was faster."""
        kept = self._setup.market.merge(merged.bounty, merged.round)
        return kept is None or bytes(kept.record_hash) != bytes(merged.record_hash)

    def _demand(self, case: Case, fault: Withheld) -> None:
        """Demand a chunk, unless somebody has; files that are only late are waited for first."""
        merged, terms = case.merged, case.terms
        window = merged.vests_at - merged.merged_at
        since = merged.merged_at + min(self._setup.grace_seconds, window // GRACE_PART)
        if self._now < since:
            self._later[key_of(merged)] = min(since, self._now + LATER_SECONDS)
            log.info("not_yet", sentence=str(fault), seconds=since - self._now)
            return
        what = Demanded(merged.bounty, merged.round, fault.kind, fault.key, fault.index)
        self._wanted[key_of(merged)] = what
        asked = about(self._asked, merged)
        if any(one.demanded == what and one.is_open for one in asked):
            return
        if len(asked) >= self._setup.most_demands:
            self._later[key_of(merged)] = merged.vests_at
            log.error("too_many_demands", sentence=str(fault), demands=len(asked))
            return
        token = Token(self._setup.market.chain, terms.token)
        transactor, fee = self._setup.account.transactor, terms.demand_fee
        log_approval(token.ensure_allowance(transactor, self._setup.demands.address, fee), fee)
        receipt = self._demands.demand(what, record_of(merged))
        log.warning("demanded", sentence=str(fault), bounty=merged.bounty, fee=fee, **spent(receipt))

    def _count(self, receipt: Receipt, sentence: str) -> None:
        market = self._setup.market
        events = [market.decode(one) for one in receipt.logs if one.address == market.address]
        self.taken.found.append(sentence)
        for event in events:
            if isinstance(event, MergeVoided):
                self.taken.bonds += event.bond
                self._took("bond_taken", event.bounty, event.round, event.reward)
            elif isinstance(event, UpdateDisqualified):
                self._took("stake_taken", event.bounty, event.round, event.reward)

    def _took(self, what: str, bounty: BountyId, number: int, reward: Wei) -> None:
        self.taken.rewards += reward
        log.info(what, bounty=bounty, round=number, reward=reward)
        self._setup.tell(RewardTaken(bounty, reward))
