"""A look at how a bounty's rounds are divided by contribution: events and clocks at one block, and what is due."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from incentives.score_settlement import Division, ScoredRound, divide
from ledger.chain import Block
from ledger.history import BountyHistory, accepted
from ledger.market import Market
from ledger.records import Address, Merged, Revealed, RewardRule, Terms, Wei
from ledger.score_history import ScoreHistory
from ledger.score_records import Panel, ScoreClock, ScorePhase, unpack
from ledger.scores import Scores


@dataclass(frozen=True)
class Scoring:
    """What an observer sees of a bounty's scoring at one block.

    clocks: of every round whose merge stands.
    """

    history: ScoreHistory
    clocks: Mapping[int, ScoreClock]

    @property
    def panel(self) -> Panel | None:
        return self.history.appointed.panel if self.history.appointed else None

    def rounds_in(self, phase: ScorePhase) -> list[int]:
        return [number for number, clock in sorted(self.clocks.items()) if clock.phase == phase]

    @property
    def is_settled(self) -> bool:
        """Whether every merged round is divided."""
        return all(clock.phase == ScorePhase.SETTLED for clock in self.clocks.values())


def scores_of(market: Market, terms: Terms) -> Scores | None:
    """The contract that divides the bounty's rounds; None where its reward rule needs none."""
    return Scores(market.chain, market.scores()) if terms.reward_rule == RewardRule.CONTRIBUTION else None


def observe_scoring(scores: Scores, history: BountyHistory, at: Block) -> Scoring:
    bounty = history.bounty
    merged = [one.number for one in history.merged_rounds]
    return Scoring(scores.history(bounty, at), {number: scores.clock(bounty, number, at) for number in merged})


@dataclass(frozen=True)
class Due:
    """What a settled round's update may take."""

    round: int
    revealed: Revealed
    amount: Wei


def dues(scoring: Scoring, history: BountyHistory, account: Address) -> list[Due]:
    """The account's updates of settled rounds that can be claimed."""
    found = []
    for one in history.merged_rounds:
        mine, scored = one.reveal_of(account), scoring.history.round(one.number)
        if mine is None or mine.update_root in scored.claims:
            continue
        amount = amount_of(scoring.history, one.number, mine)
        if amount:
            found.append(Due(one.number, mine, amount))
    return found


def pending(scoring: Scoring, history: BountyHistory, account: Address) -> dict[int, ScorePhase]:
    """Rounds that count an update of the account and are not settled, and where they stand."""
    found: dict[int, ScorePhase] = {}
    for one in history.merged_rounds:
        assert one.merged is not None
        phase, mine = scoring.clocks[one.number].phase, one.reveal_of(account)
        if phase != ScorePhase.SETTLED and mine in accepted(one.merged, one.reveals):
            found[one.number] = phase
    return found


def amount_of(history: ScoreHistory, number: int, revealed: Revealed) -> Wei:
    """What an update of a settled round gets by what the contract recorded; 0 where it is not settled. Floored."""
    scored = history.round(number).scored
    if scored is None:
        return Wei(0)
    weights = unpack(scored.weights, 8 * len(scored.weights))
    total = sum(weights)
    return Wei(scored.pot * weights[revealed.index] // total if total else 0)


def expected_division(history: ScoreHistory, merged: Merged, released: Wei) -> Division:
    """What a round's settlement must be, from what evaluators committed to and opened.

    released: what the market handed over.
    Raises: ValueError for a report that the contract would have refused.
    """
    panel = history.appointed.panel if history.appointed else None
    one = history.round(merged.round)
    evaluators = panel.evaluators if panel else ()
    counts = [not merged.claim.rejected >> index & 1 for index in range(merged.reveals)]
    reports = [unpack(one.reveals[who].report, merged.reveals) if who in one.reveals else None for who in evaluators]
    silent = [who in one.commits and who not in one.reveals for who in evaluators]
    return divide(ScoredRound(released, counts, reports, silent), panel)


def panel_rows(panel: Panel | None, tokens: Callable[[int], str]) -> dict[str, object]:
    """What a provider must know of how its pay is divided. tokens: writes an amount as people read it."""
    if panel is None:
        return {"pay by contribution": "no panel was appointed: every round is divided equally"}
    few = (len(panel.evaluators) - 1) // 2
    return {
        "pay by contribution": f"the median of {len(panel.evaluators)} evaluators, whom the owner chose",
        "what to trust": f"that at most {few} of them lie; more than half can divide a round as they like",
        "evaluators": ", ".join(panel.evaluators),
        "quorum": f"{panel.quorum} reports; with fewer a round is divided equally",
        "evaluators' fee": f"{panel.fee_share / 100:g} % of a round",
        "bond of each": f"{tokens(panel.bond)} tokens; {tokens(panel.forfeit)} lost for a report that is not opened",
        "validation data": f"sha2-256 0x{panel.validation.hex()}",
    }
