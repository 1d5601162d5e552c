"""The contract that pays for evaluations, on a real chain: its story, its money and its refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from incentives.evaluations import settle_evaluation
from ledger.accounts import Key, new_key
from ledger.chain import Chain
from ledger.cid import Digest
from ledger.devnet import deploy_contracts, fund_ether, mint_tokens
from ledger.erc20 import Token
from ledger.errors import Reverted
from ledger.evaluation_history import opens
from ledger.evaluation_records import (
    EvaluationId,
    EvaluationPhase,
    EvaluationTerms,
    Metric,
    ReportScope,
    ReportState,
    Units,
    list_tree,
    report_commitment,
    report_salt_message,
)
from ledger.evaluations import EvaluationMarket, EvaluationWriter, UnknownEvaluation
from ledger.keccak import ZERO_HASH, keccak
from ledger.records import Address, Wei
from ledger.transactions import Patience, Transactor
from tests.door import rpc

pytestmark = pytest.mark.chain

PURSE = 1000


@dataclass
class Party:
    key: Key
    writer: EvaluationWriter

    def scope(self, evaluation: EvaluationId) -> ReportScope:
        market = self.writer.market
        return ReportScope(market.chain.chain_id, market.address, evaluation, self.key.address)

    def commit(self, evaluation: EvaluationId, value: int, place: int = 0, siblings: list[bytes] | None = None) -> None:
        commitment = report_commitment(self.scope(evaluation), Units(value), self.salt(evaluation, value))
        self.writer.commit(evaluation, commitment, place, siblings or [])

    def reveal(self, evaluation: EvaluationId, value: int) -> None:
        self.writer.reveal(evaluation, Units(value), self.salt(evaluation, value))

    def salt(self, evaluation: EvaluationId, value: int) -> bytes:
        return self.key.derive(report_salt_message(self.scope(evaluation), Units(value)))


@dataclass
class Stage:
    market: EvaluationMarket
    token: Token
    owner: Party
    parties: list[Party]

    def balances(self) -> list[int]:
        return [self.token.balance(party.key.address) for party in [self.owner, *self.parties]]

    def travel(self, evaluation: EvaluationId) -> None:
        """To the end of the present phase."""
        chain = self.market.chain
        rpc(chain, "evm_setNextBlockTimestamp", self.market.clock(evaluation).ends_at)
        rpc(chain, "evm_mine")

    def terms(self, **changes: object) -> EvaluationTerms:
        base = EvaluationTerms(
            token=self.token.address,
            payment=Wei(7),
            stake=Wei(3),
            min_reports=2,
            max_reports=4,
            commit_seconds=1000,
            reveal_seconds=1000,
            metric=Metric.MEAN_ABSOLUTE_ERROR,
            decimals=3,
            low=Units(-2000),
            high=Units(5000),
            noise=4,
            manifest=Digest(keccak(b"manifest")),
            state_root=keccak(b"state"),
            state_cid=Digest(keccak(b"cid")),
            list_root=ZERO_HASH,
            list_cid=Digest(ZERO_HASH),
        )
        return replace(base, **changes)


@pytest.fixture
def stage(chain: Chain, funded_key: Key, state: Path) -> Iterator[Stage]:
    deployer = Transactor(chain, funded_key, state, Patience(poll_seconds=0.01))
    deployed = deploy_contracts(deployer)
    market, token = EvaluationMarket(chain, deployed.evaluations), Token(chain, deployed.token)
    transactors, parties = [deployer], []
    for _ in range(4):
        key = new_key()
        fund_ether(chain, key.address, 10**18)
        mint_tokens(deployer, token.address, key.address, PURSE)
        transactor = Transactor(chain, key, state, Patience(poll_seconds=0.01))
        token.ensure_allowance(transactor, market.address, Wei(PURSE))
        transactors.append(transactor)
        parties.append(Party(key, EvaluationWriter(market, transactor)))
    yield Stage(market, token, parties[0], parties[1:])
    for transactor in transactors:
        transactor.close()


def assert_replayed(stage: Stage, evaluation: EvaluationId) -> None:
    """The story that the events tell is what the contract stores, to the wei."""
    history, market = stage.market.history(evaluation), stage.market
    settlement = settle_evaluation(history)
    assert settlement.faults == ()
    assert settlement.held == market.money(evaluation)
    clock = market.clock(evaluation)
    counts = (len(history.commits), len(history.reports), len(history.payments))
    assert counts == (clock.commits, clock.reports, clock.claims)
    assert history.terms == market.terms(evaluation)
    for account, committed in history.commits.items():
        kept = market.report(evaluation, account)
        if kept.state == ReportState.COMMITTED:
            assert kept.commitment == committed.commitment
        else:
            assert kept.value == history.reports[account].value
            assert opens(history, history.reports[account], market.chain.chain_id, market.address)


def test_evaluation__when_it_runs__then_its_events_replay_to_the_wei(stage: Stage) -> None:
    evaluation, parties = stage.owner.writer.post(stage.terms()), stage.parties
    for party, value in zip(parties, (-2000, 17, 4999), strict=True):
        party.commit(evaluation, value)
        assert_replayed(stage, evaluation)
    stage.travel(evaluation)
    parties[0].reveal(evaluation, -2000)
    parties[2].reveal(evaluation, 4999)
    assert_replayed(stage, evaluation)
    parties[2].writer.claim(evaluation)
    stage.travel(evaluation)
    assert stage.market.clock(evaluation).phase == EvaluationPhase.ENDED
    stage.owner.writer.refund(evaluation)
    assert_replayed(stage, evaluation)
    parties[0].writer.claim(evaluation)
    assert_replayed(stage, evaluation)
    settlement = settle_evaluation(stage.market.history(evaluation))
    assert (settlement.paid, settlement.returned, settlement.forfeited) == (14, 17, 3)
    assert stage.balances() == [PURSE - 14 + 3, PURSE + 7, PURSE - 3, PURSE + 7]
    assert stage.token.balance(stage.market.address) == 0


def test_evaluation__when_cancelled__then_its_events_replay_to_the_wei(stage: Stage) -> None:
    evaluation = stage.owner.writer.post(stage.terms())
    stage.owner.writer.cancel(evaluation)
    assert_replayed(stage, evaluation)
    assert stage.market.clock(evaluation).phase == EvaluationPhase.CANCELLED
    assert stage.balances() == [PURSE] * 4


def test_commit__with_a_list__then_the_listed_alone_get_in(stage: Stage) -> None:
    listed: list[Address] = [*(party.key.address for party in stage.parties[:2]), new_key().address]
    tree = list_tree(listed)
    terms = stage.terms(list_root=tree.root, list_cid=Digest(keccak(b"list")))
    evaluation = stage.owner.writer.post(terms)
    with pytest.raises(Reverted) as refused:
        stage.parties[2].commit(evaluation, 1, 2, tree.proof(2))
    assert refused.value.name == "NotListed"
    for place in (1, 0):
        stage.parties[place].commit(evaluation, place, place, tree.proof(place))
    assert stage.market.clock(evaluation).commits == 2


def test_reveal__when_refused__then_the_contracts_own_words_arrive(stage: Stage) -> None:
    evaluation = stage.owner.writer.post(stage.terms(max_reports=2))
    stage.parties[0].commit(evaluation, 5001)
    stage.parties[1].commit(evaluation, 5000)
    with pytest.raises(Reverted) as refused:
        stage.parties[0].reveal(evaluation, 5001)
    assert (refused.value.name, refused.value.arguments) == ("ValueOutOfRange", {"low": -2000, "high": 5000})
    with pytest.raises(Reverted) as refused:
        stage.parties[1].reveal(evaluation, 4)
    assert refused.value.name == "WrongOpening"
    stage.parties[1].reveal(evaluation, 5000)


def test_terms__of_an_evaluation_that_is_not__then_says_so(stage: Stage) -> None:
    for ask in (stage.market.terms, stage.market.clock, stage.market.history):
        with pytest.raises(UnknownEvaluation, match="no evaluation 1"):
            ask(EvaluationId(1))
