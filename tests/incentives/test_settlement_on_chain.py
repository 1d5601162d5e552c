"""The contract against the market in miniature and the replay: random histories, the same events, the same money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any

import pytest
from web3.types import RPCEndpoint

from incentives.payouts import cumulative_payouts, entitlement, pay_round
from incentives.settlement import settle
from ledger.accounts import Key, new_key
from ledger.chain import Chain
from ledger.commitments import commitment_hash, payout_root, payout_tree
from ledger.devnet import Devnet, DevnetSettings, deploy_contracts, fund_ether, mint_tokens, start_devnet
from ledger.erc20 import Token
from ledger.history import build_history
from ledger.keccak import Hash32
from ledger.market import Market, MarketWriter
from ledger.merge_records import record_hash, record_of
from ledger.records import Address, BountyId, Event, MergeClaim, Merged, RewardRule, Wei
from ledger.transactions import Transactor
from ledger.trees import sum_node
from tests import builders as make
from tests.incentives.judged_market import JudgedMarket

pytestmark = pytest.mark.chain

STEPS = 120
LIKELY = {
    "commit": 8,
    "reveal": 8,
    "merge": 8,
    "join": 3,
    "deposit_bond": 3,
    "claim": 2,
    "claim_lapsed": 2,
    "release": 2,
    "void": 0.04,
    "disqualify": 0.02,
    "extend": 0.05,
}
"""How often an action is taken when it is allowed; others are rare, so that bounties get far."""

QUICK, SLOW = [1, 1, 1, 1, 1, 2, 12], [1, 1, 1, 8, 16]
"""Seconds between actions; when people are slow, rounds lapse and aggregators are late."""

SALT = bytes(32)
SQUARED_NORM = 7
NUMBERS = {
    "round",
    "index",
    "stake",
    "amount",
    "share",
    "weight",
    "paid",
    "reveals",
    "previous",
    "interrupted",
    "metric",
}
MARKS = {"rejected", "reasons", "bond", "reward"}
TARGET = 7
PEOPLE = {"provider", "account", "aggregator", "owner", "prover"}
TIMES = {"opened_at", "ended_at", "unlocks_at", "vests_at", "merged_at", "until"}


class Stage:
    """One bounty twice: on chain and in miniature. Every action is done in both, at the same second."""

    def __init__(self, chain: Chain, keys: list[Key], state: Path, seed: int, changes: Mapping[str, Any]) -> None:
        self.chain, self.random = chain, Random(seed)  # noqa: S311 - not for secrets
        transactors = {key.address: Transactor(chain, key, state) for key in keys}
        self.transactors = list(transactors.values())
        self.accounts = list(transactors)
        self.owner, aggregator, self.stranger, *self.people = transactors
        deployed = deploy_contracts(transactors[self.owner])
        self.market = Market(chain, deployed.market)
        self.token = Token(chain, deployed.token)
        for account, transactor in transactors.items():
            mint_tokens(transactors[self.owner], deployed.token, account, 10**6)
            self.token.ensure_allowance(transactor, deployed.market, Wei(10**6))
        self.writers = {account: MarketWriter(self.market, each) for account, each in transactors.items()}
        self.terms = make.terms(
            token=deployed.token, aggregator=aggregator, rounds=4, min_updates=2, pot=Wei(1003), forfeit=Wei(60),
            commit_seconds=30, reveal_seconds=30, merge_seconds=30, open_merge_seconds=30, challenge_seconds=40,
            **changes,
        )  # fmt: skip
        self.bounty: BountyId = self.writers[self.owner].post(self.terms)
        self.mini = JudgedMarket(self.terms, now=chain.block().timestamp, owner=self.owner)
        for contract in (self.market.judges()[0], self.market.scores()):
            self._devnet("anvil_impersonateAccount", contract)
            self._devnet("anvil_setBalance", contract, hex(10**19))

    def close(self) -> None:
        for transactor in self.transactors:
            transactor.close()

    def pass_time(self, seconds: int) -> None:
        """Let time pass in both, with a block at its end: calls are simulated there before they are sent."""
        self.mini.wait(seconds)
        self._devnet("evm_setNextBlockTimestamp", self.mini.now)
        self._devnet("evm_mine")

    def _devnet(self, method: str, *arguments: object) -> None:
        self._ask(method, *arguments)

    def _ask(self, method: str, *arguments: object) -> Any:
        return self.chain.ask(lambda: self.chain.web3.manager.request_blocking(RPCEndpoint(method), list(arguments)))

    def settle(self) -> None:
        """Have written down on chain what time has decided in the miniature."""
        self.mini.wait(1)
        self._devnet("evm_setNextBlockTimestamp", self.mini.now)
        self.writers[self.owner].settle(self.bounty)

    # --- actions ---

    def actions(self) -> set[tuple[str, Address]]:
        """What the miniature allows now, and by or for whom."""
        mini, found = self.mini, set()
        for who in self.people:
            one = mini.people.get(who)
            hidden_now = one is not None and one.hidden and one.committed == mini.round
            allowed = {
                "join": mini.phase in ("joining", "running") and (one is None or one.stake == 0),
                "leave": mini.phase in ("joining", "running") and who in mini.active
                and not (hidden_now and mini.committing),
                "withdraw_stake": one is not None and mini.stake_free(who),
                "forfeit": one is not None and mini.overdue(who),
                "commit": mini.can_commit(who),
                "reveal": mini.revealing and hidden_now,
                "claim": mini.now >= mini.vests_at and mini.owed_to(who) > 0,
                "void": bool(mini.unvested),
                "extend": bool(mini.unvested),
                "disqualify": bool(self.updates_of(who)),
                "claim_lapsed": any(owner == who and share for owner, share in mini.unclaimed.values()),
            }  # fmt: skip
            found |= {(name, who) for name, yes in allowed.items() if yes}
        for who in (self.terms.aggregator, self.stranger):
            allowed = {
                "deposit_bond": mini.phase in ("joining", "running") and who not in mini.bonds,
                "withdraw_bond": mini.bond_free(who),
                "merge": mini.can_merge(who),
            }
            found |= {(name, who) for name, yes in allowed.items() if yes}
        if mini.phase == "ended" and mini.now >= mini.vests_at and mini.refundable > 0:
            found.add(("refund", self.owner))
        if mini.undivided:
            found.add(("release", self.owner))
        return found

    def act(self, name: str, who: Address) -> None:
        """Do one action in both; the miniature's second has begun, the chain's block is still to come."""
        writer, bounty, number = self.writers[who], self.bounty, self.mini.round
        self._devnet("evm_setNextBlockTimestamp", self.mini.now)
        match name:
            case "join":
                stake = self.random.choice([100, 150, 250, 400])
                writer.join(bounty, Wei(stake), bytes(32), "")
                self.mini.join(who, stake)
            case "forfeit":
                writer.forfeit(bounty, who)
                self.mini.forfeit(who)
            case "commit":
                opening = (root_of(who, number), SALT)
                hidden = commitment_hash(self.chain.chain_id, self.market.address, bounty, number, who, opening)
                writer.commit(bounty, number, hidden)
                self.mini.commit(who)
            case "reveal":
                writer.reveal(bounty, number, make.posted().terms.manifest, root_of(who, number), SALT)
                self.mini.reveal(who)
            case "merge":
                rejected = self.random.getrandbits(len(self.mini.shown)) & self.random.getrandbits(4)
                metric = self.random.choice([0, TARGET - 1, TARGET])
                writer.merge(bounty, number, self._merge_claim(number, rejected, metric))
                self.mini.merge(who, rejected, metric)
            case "claim":
                self.settle()  # a claim does not write down what time has decided; the miniature always does
                history = build_history(self.market.events(bounty))
                merged = history.latest_merge()
                assert merged is not None
                self._devnet("evm_setNextBlockTimestamp", self.mini.now + 1)
                due = entitlement(cumulative_payouts(history, merged.round), who)
                writer.claim(bounty, merged, due.cumulative, due.proof)
                self.mini.claim(who)
                self.mini.wait(1)
            case "claim_lapsed":
                key = next(key for key, (owner, share) in self.mini.unclaimed.items() if owner == who and share)
                writer.claim_lapsed(bounty, key[0], root_of(who, key[0]))
                self.mini.claim_lapsed(*key)
            case "void" | "disqualify" | "extend":
                self._prove(name, who)
            case "release":
                released = self.random.choice(self.mini.undivided)
                self._call_as(self.market.scores(), "release", released)
                self.mini.release(released)
            case "refund":
                writer.refund(bounty)
                self.mini.refund()
            case _:
                getattr(writer, name)(bounty)
                getattr(self.mini, name)(who)

    def _merge_claim(self, number: int, rejected: int, metric: int) -> MergeClaim:
        paid, payouts = pay_round(build_history(self.market.events(self.bounty)), number, rejected)
        reasons = make.reasons(*[4] * rejected.bit_count())
        root = payout_root(payout_tree(payouts))
        return make.claim(
            number, payout_root=root, paid=paid, payout_leaves=len(payouts), rejected=rejected, reasons=reasons,
            metric=metric,
        )  # fmt: skip

    def _judge(self, name: str, *arguments: object) -> None:
        """A call that only a judge may make, from the address of one."""
        self._call_as(self.market.judges()[0], name, *arguments)

    def _call_as(self, contract: Address, name: str, *arguments: object) -> None:
        data = self.market.contract.encode_abi(name, [self.bounty, *arguments])
        call = {"from": contract, "to": self.market.address, "data": data, "gas": hex(3_000_000)}
        transaction = self._ask("eth_sendTransaction", call)
        receipt = self.chain.web3.eth.wait_for_transaction_receipt(transaction, timeout=10, poll_latency=0.01)
        assert receipt["status"] == 1, f"{name} was refused"

    def _prove(self, name: str, who: Address) -> None:
        """Void a merge, disqualify an update, or extend a vesting."""
        mini = self.mini
        if name == "disqualify":
            number, root = self.random.choice(self.updates_of(who))
            self._judge("disqualify", number, root_of(who, number), self.stranger)
            mini.disqualify(self.stranger, number, root)
            return
        number = self.random.choice([one for one in mini.unvested if mini.merges[one].vests_at > mini.now])
        if name == "void":
            self._judge("voidMerge", number, who)
            mini.void(who, number)
        else:
            until = mini.now + self.random.choice([10, 60, 200])
            self._judge("extend", number, until)
            mini.extend(number, until)

    def updates_of(self, who: Address) -> list[tuple[int, Hash32]]:
        """The updates of a provider that are not disqualified."""
        return sorted(key for key, one in self.mini.providers.items() if one == who and key not in self.mini.faulty)

    def step(self, seconds: int) -> None:
        """Time passes; then one of the actions that are allowed both at the simulation's and at the block's second."""
        self.pass_time(seconds)
        before = self.actions()
        self.mini.wait(1)
        allowed = sorted(before & self.actions(), key=lambda action: (action[0], self.accounts.index(action[1])))
        if allowed:
            weights = [LIKELY.get(name, 0.4) for name, _ in allowed]
            self.act(*self.random.choices(allowed, weights)[0])


def root_of(who: Address, number: int) -> Hash32:
    return sum_node(make.word(f"root {who} {number}"), SQUARED_NORM)


def figures(event: Event) -> dict[str, object]:
    """What of an event the miniature and the contract must agree on."""
    shown = {"event": type(event).__name__, **_figures(event)}
    return {**shown, **_figures(event.claim)} if isinstance(event, Merged) else shown


def _figures(record: Event | MergeClaim) -> dict[str, object]:
    names = {field.name for field in fields(record)} & (NUMBERS | MARKS | PEOPLE | TIMES)
    return {name: getattr(record, name) for name in names}


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devnet]:
    """A chain of its own, as these tests move its clock."""
    with start_devnet(tmp_path_factory.mktemp("devnet"), DevnetSettings(block_seconds=0)) as running:
        yield running


@pytest.fixture
def keys(chain: Chain) -> list[Key]:
    made = [new_key() for _ in range(8)]
    for key in made:
        fund_ether(chain, key.address, 10**19)
    return made


BY_STAKE = {"reward_rule": RewardRule.STAKE, "max_weight": 3}
BY_CONTRIBUTION = {"reward_rule": RewardRule.CONTRIBUTION}


@pytest.mark.parametrize(
    ("seed", "pauses", "changes"),
    [
        (1, QUICK, BY_STAKE),
        (2, QUICK, BY_CONTRIBUTION),
        (3, SLOW, {**BY_CONTRIBUTION, "target": TARGET}),
        (4, SLOW, {**BY_STAKE, "target": TARGET}),
    ],
)
def test_settle__when_a_contract_lives_through_a_random_history__then_all_three_agree(
    chain: Chain, keys: list[Key], state: Path, seed: int, pauses: list[int], changes: Mapping[str, Any]
) -> None:
    stage = Stage(chain, keys, state, seed, changes)
    for number in range(STEPS):
        stage.step(stage.random.choice(pauses))
        if number % 8 == 0:
            agree(stage)
    while stage.mini.balance > stage.mini.stuck:
        stage.step(100)
    agree(stage)
    stage.close()


def agree(stage: Stage) -> None:
    """Chain, miniature and replay tell one story, to the unit."""
    stage.settle()
    events = stage.market.events(stage.bounty)
    assert [figures(event) for event in events] == [figures(event) for event in stage.mini.events]
    replayed = settle(events)
    money = stage.market.money(stage.bounty)
    assert replayed.faults == []
    assert (replayed.owed, replayed.free) == (money.owed, money.free)
    assert replayed.held == stage.mini.balance == stage.token.balance(stage.market.address)
    assert stage.market.held_until(stage.bounty) == stage.mini.held_until
    history = build_history(events)
    for one in history.rounds.values():
        kept, merged = stage.market.merge(stage.bounty, one.number), one.merged
        assert (kept is None) == (merged is None)
        if kept is not None and merged is not None:
            assert kept.record_hash == merged.record_hash == record_hash(record_of(merged))
            assert (kept.vests_at, kept.previous, kept.paid) == (merged.vests_at, merged.previous, merged.claim.paid)
    for member in history.members:
        assert stage.market.seat(stage.bounty, member.provider) == member.index
        due = member.provider in stage.mini.people and stage.mini.overdue(member.provider)
        assert stage.market.is_forfeit_due(stage.bounty, member.provider) == due
