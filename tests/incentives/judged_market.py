"""The market in miniature, with what proven frauds and demands do to it."""

from __future__ import annotations

from dataclasses import dataclass

from ledger.keccak import Hash32
from ledger.records import Address, MergeVoided, Timestamp, UpdateDisqualified, VestingExtended, Wei
from tests.incentives.market import Market


@dataclass
class JudgedMarket(Market):
    """A market whose merges can be voided and whose updates can be disqualified."""

    def void(self, prover: Address, number: int) -> None:
        voided = self.merges[number]
        bond = self.bonds.pop(voided.aggregator, 0)
        self.balance -= bond // 2
        self.emit(MergeVoided, number, voided.aggregator, prover, self.round, Wei(bond), Wei(bond // 2))
        for later in sorted(self.merges):
            if later >= number:
                made = self.merges.pop(later)
                for provider, pay in made.pays.items():
                    self.earned[provider] -= pay
                if later != number:
                    self._lapse(later, made.shown, 0)
        if self.round != number:
            if self.commit_end is None or self.now < self.reveal_end:
                self.interrupted.add(self.round)
            if self.phase == "running" and self.shown:
                self._lapse(self.round, self.shown, 0)
        if self.phase == "ended":
            self.reopened = self.goes_on_after or self.terms.rounds
        self.reopened, self.goes_on_after = self.reopened or self.round, 0
        self.phase, self.round, self.opened_at, self.shown = "running", number, self.now, voided.shown
        self.committers = [one.provider for one in voided.shown]
        self.commit_end = self.reveal_end = self.now
        terms = self.terms
        wait = terms.merge_seconds + terms.open_merge_seconds + terms.challenge_seconds
        self.held_until = max(self.held_until, self.now + wait)

    def disqualify(self, prover: Address, number: int, root: Hash32) -> None:
        who = self.providers[number, root]
        one = self.people[who]
        stake, one.stake = one.stake, 0
        if stake:
            if one.hidden and one.committed == self.round and self.commit_end is None:
                self.committers.remove(who)
            one.leaving_since, one.hidden = None, False
        self.balance -= stake // 2
        self.faulty.add((number, root))
        self.stuck += self.unclaimed.pop((number, root), (who, 0))[1]
        self.emit(UpdateDisqualified, number, who, root, prover, Wei(stake), Wei(stake // 2))

    def extend(self, number: int, until: int) -> None:
        for later, made in self.merges.items():
            if later >= number:
                made.vests_at = max(made.vests_at, until)
        self.vests_at, self.held_until = max(self.vests_at, until), max(self.held_until, until)
        self.emit(VestingExtended, number, Timestamp(until))
