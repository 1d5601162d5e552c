"""The replay against a market that lives through random histories: never a fault, and the same money everywhere."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from incentives.settlement import settle
from ledger.records import Address, RewardRule, Wei
from tests import builders as make
from tests.incentives.judged_market import JudgedMarket

pytestmark = pytest.mark.machine

PEOPLE = [Address("0x" + f"{digit:X}{digit:X}" * 20) for digit in range(1, 6)]
STRANGER = Address("0x" + "5A" * 20)
WHO = st.sampled_from(PEOPLE)
MERGERS = st.sampled_from([make.AGGREGATOR, STRANGER])


class BountyMachine(RuleBasedStateMachine):
    """Anyone does anything that the market allows, at any time."""

    @initialize(
        pot=st.integers(1, 10**6),
        rounds=st.integers(1, 4),
        quorum=st.integers(1, 3),
        forfeit=st.sampled_from([0, 30, 60, 100]),
        rewards=st.sampled_from(RewardRule),
        goal=st.sampled_from([0, 0, 7]),
        stakes=st.lists(st.integers(100, 450), max_size=len(PEOPLE)),
    )
    def post(
        self, pot: int, rounds: int, quorum: int, forfeit: int, rewards: RewardRule, goal: int, stakes: list[int]
    ) -> None:
        reward = {"reward_rule": rewards, "max_weight": 3 if rewards == RewardRule.STAKE else 1, "target": goal}
        terms = make.terms(pot=Wei(pot), rounds=rounds, min_updates=quorum, forfeit=Wei(forfeit), **reward)
        self.market = JudgedMarket(terms)
        for who, stake in zip(PEOPLE, stakes, strict=False):
            self.market.join(who, stake)
        if stakes:
            self.market.deposit_bond(make.AGGREGATOR)

    @rule(seconds=st.integers(0, 25))
    def time_passes(self, seconds: int) -> None:
        self.market.wait(seconds)

    @rule(who=WHO, stake=st.integers(100, 450))
    def join(self, who: Address, stake: int) -> None:
        one = self.market.people.get(who)
        if self.market.phase in ("joining", "running") and (one is None or one.stake == 0):
            self.market.join(who, stake)

    @rule(who=WHO)
    def leave(self, who: Address) -> None:
        market = self.market
        if market.phase not in ("joining", "running") or who not in market.active:
            return
        one = market.people[who]
        if not (one.hidden and one.committed == market.round and market.committing):
            market.leave(who)

    @rule(who=WHO)
    def withdraw_stake(self, who: Address) -> None:
        if who in self.market.people and self.market.stake_free(who):
            self.market.withdraw_stake(who)

    @precondition(lambda self: self.market.committing)
    @rule(who=WHO)
    def commit(self, who: Address) -> None:
        if self.market.can_commit(who):
            self.market.commit(who)

    @precondition(lambda self: self.market.committing)
    @rule(absent=st.sets(WHO, max_size=2), seconds=st.sampled_from([0, 0, 0, 10]))
    def all_commit(self, absent: set[Address], seconds: int) -> None:
        for who in self.market.active:
            if self.market.can_commit(who) and who not in absent:
                self.market.commit(who)
        self.market.wait(seconds)

    @precondition(lambda self: self.market.revealing)
    @rule(who=WHO)
    def reveal(self, who: Address) -> None:
        one = self.market.people.get(who)
        if one and one.hidden and one.committed == self.market.round:
            self.market.reveal(who)

    @precondition(lambda self: self.market.revealing)
    @rule(absent=st.sets(WHO, max_size=2), seconds=st.sampled_from([0, 0, 0, 10]))
    def all_reveal(self, absent: set[Address], seconds: int) -> None:
        for who in list(self.market.committers):
            if self.market.revealing and self.market.people[who].hidden and who not in absent:
                self.market.reveal(who)
        self.market.wait(seconds)

    @rule(who=WHO)
    def forfeit(self, who: Address) -> None:
        if who in self.market.people and self.market.overdue(who):
            self.market.forfeit(who)

    @rule(who=MERGERS)
    def deposit_bond(self, who: Address) -> None:
        if self.market.phase in ("joining", "running") and who not in self.market.bonds:
            self.market.deposit_bond(who)

    @rule(who=MERGERS)
    def withdraw_bond(self, who: Address) -> None:
        if self.market.bond_free(who):
            self.market.withdraw_bond(who)

    @precondition(lambda self: self.market.merging)
    @rule(who=MERGERS, mask=st.integers(0, 15), metric=st.sampled_from([0, 0, 6, 7, 8]))
    def merge(self, who: Address, mask: int, metric: int) -> None:
        if who in self.market.bonds:
            self.market.merge(who, mask & (1 << len(self.market.shown)) - 1, metric)

    @precondition(lambda self: self.market.unvested)
    @rule(data=st.data(), doubts=st.integers(0, 2))
    def void(self, data: st.DataObject, doubts: int) -> None:
        number = data.draw(st.sampled_from(self.market.unvested))
        if doubts == 0:
            self.market.void(STRANGER, number)

    @precondition(lambda self: self.market.providers)
    @rule(data=st.data(), doubts=st.integers(0, 4))
    def disqualify(self, data: st.DataObject, doubts: int) -> None:
        what = data.draw(st.sampled_from(sorted(self.market.providers)))
        if doubts == 0 and what not in self.market.faulty:
            self.market.disqualify(STRANGER, *what)

    @precondition(lambda self: self.market.unvested)
    @rule(data=st.data(), seconds=st.integers(1, 60))
    def extend(self, data: st.DataObject, seconds: int) -> None:
        self.market.extend(data.draw(st.sampled_from(self.market.unvested)), self.market.now + seconds)

    @rule(who=WHO)
    def claim(self, who: Address) -> None:
        market = self.market
        if (
            market.now >= market.vests_at and market.earned.get(who, 0) > market.people[who].taken
            if who in market.people
            else False
        ):
            market.claim(who)

    @precondition(lambda self: self.market.undivided)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.market.release(data.draw(st.sampled_from(self.market.undivided)))

    @precondition(lambda self: self.market.unclaimed)
    @rule(data=st.data())
    def claim_lapsed(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.market.unclaimed)))
        if self.market.unclaimed[key][1] > 0:
            self.market.claim_lapsed(*key)

    @precondition(lambda self: self.market.phase == "joining")
    @rule(doubts=st.integers(0, 9))
    def cancel(self, doubts: int) -> None:
        if doubts == 9:
            self.market.cancel()

    @precondition(lambda self: self.market.phase == "ended")
    @rule()
    def refund(self) -> None:
        if self.market.now >= self.market.vests_at and self.market.refundable > 0:
            self.market.refund()

    @invariant()
    def the_replay_finds_no_fault_and_the_same_money(self) -> None:
        if not hasattr(self, "market"):
            return
        market, state = self.market, settle(self.market.events)
        assert state.faults == []
        assert state.status == market.phase
        assert state.held == market.balance
        assert state.free == market.refundable
        assert state.members == len(market.active)
        assert state.claimed == {who: one.taken for who, one in market.people.items() if one.taken}
        for who, one in market.people.items():
            assert (state.seats[who].stake, state.seats[who].index) == (one.stake, one.index)

    def teardown(self) -> None:
        """Whatever happened, everybody gets out what is theirs: no state in which money is stuck."""
        if not hasattr(self, "market"):
            return
        market = self.market
        if market.phase == "joining":
            market.cancel()
        for _ in range(2 * market.terms.rounds):
            market.wait(1000)
        for who in PEOPLE:
            if market.owed_to(who) > 0:
                market.claim(who)
        for number, root in list(market.unclaimed):
            market.claim_lapsed(number, root)
        for number in market.undivided:
            market.release(number)
        for who in list(market.people):
            if market.stake_free(who):
                market.withdraw_stake(who)
        for who in list(market.bonds):
            market.withdraw_bond(who)
        if market.refundable > 0:
            market.refund()
        self.the_replay_finds_no_fault_and_the_same_money()
        assert market.balance == market.stuck


TestBountyMachine = BountyMachine.TestCase
TestBountyMachine.settings = settings(max_examples=300, stateful_step_count=40)
