"""Bounties in which one player follows a strategy: real updates, screened, merged and measured as the product does it.

Money comes after it, in `strategy_money`: what is accepted here depends on no price and on no reward rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ledger.records import MergeRule
from node.aggregator.harm import harmful
from node.contribution import Holdout, assess
from node.evaluation import evaluate
from node.manifest import merge_parameters
from node.manifest_sections import ScreeningSection
from node.screening import screen
from node.verification import VerifiedUpdate
from scripts.benchmarks.contribution_players import Task, deal
from scripts.benchmarks.screening import GRID, behind, verified
from scripts.benchmarks.strategies import HONEST, STRATEGIES, Strategy, Turn, Update, merged
from tests import builders as make

PERSONS = 6
ROUNDS = 5
QUORUM = 4
SCREENINGS: Mapping[str, ScreeningSection | None] = {
    "none": None,
    "copies": ScreeningSection(),
    "copies and harm": ScreeningSection(harm=0.01),
}
SPLITS: Mapping[str, float | None] = {"IID": None, "Dirichlet 0.5": 0.5}


@dataclass(frozen=True)
class Round:
    """reveals: whether each account reveals, the others' first. rejected: reveal indices.

    weights: by contribution, of the accepted updates in the order of their indices.
    """

    reveals: Sequence[bool]
    rejected: Sequence[int]
    weights: Sequence[int]


@dataclass(frozen=True)
class Game:
    """One bounty, played. accounts: of the player; they come after everybody else's. accuracy: after the last round."""

    others: int
    accounts: int
    persons: int
    trainings: float
    rounds: Sequence[Round]
    accuracy: float


def play(task: Task, strategy: Strategy, split: str, screening: str, seed: int) -> Game:
    """Play a bounty; the others' data and their training do not depend on what the player does in round 1."""
    rng, others_rng = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
    deal_rng = np.random.default_rng([seed, 3])
    holdout, rows = task.split(deal_rng)
    hands = deal(task.labels, rows, PERSONS, SPLITS[split], deal_rng)
    own, rest = hands[: strategy.persons], hands[strategy.persons :]
    state_D = task.start().state_D
    before: list[Update] = []
    rounds, trainings, accounts = [], 0.0, 0
    for number in range(1, ROUNDS + 1):
        at = partial(Turn, task, holdout, state_D, before=before, number=number)
        honest = STRATEGIES[HONEST].play(at(hands=rest, others=(), rng=others_rng)).updates
        others = [one for one in honest if one is not None]
        move = strategy.play(at(hands=own, others=others, rng=rng))
        trainings, accounts = trainings + move.trainings, len(move.updates)
        shown = [*others, *(one for one in move.updates if one is not None)]
        updates = [verified(index, number, one) for index, one in enumerate(shown)]
        known = [verified(index, number - 1, one) for index, one in enumerate(before)]
        rejected = _rejected(task, holdout, state_D, updates, known, SCREENINGS[screening])
        accepted = [one for place, one in enumerate(shown) if place not in rejected]
        merge = merged(task, state_D, accepted)
        reveals = [True] * len(others) + [one is not None for one in move.updates]
        rounds.append(Round(reveals, sorted(rejected), assess(merge, holdout, before).weights))
        if accepted:
            state_D, before = merge.state_D, accepted
    accuracy = evaluate(task.evaluator, task.manifest, holdout.weights(state_D), holdout.examples)["accuracy"]
    return Game(len(rest), accounts, strategy.persons, trainings, rounds, accuracy)


def _rejected(
    task: Task,
    holdout: Holdout,
    state_D: NDArray[np.int32],
    updates: Sequence[VerifiedUpdate],
    known: Sequence[VerifiedUpdate],
    section: ScreeningSection | None,
) -> set[int]:
    """Reveal indices that the aggregator leaves out."""
    if section is None:
        return set()
    alike = {one.revealed.index for one in screen(section, GRID.bits, updates, behind(list(known), list(updates)))}
    rest = [one for one in updates if one.revealed.index not in alike]
    if section.harm is None:
        return alike
    terms = make.terms(merge_rule=MergeRule.MEAN, merge_parameters=merge_parameters(task.manifest).pack())
    found = harmful(terms, state_D[np.newaxis], rest, None, holdout.loss, section.harm)
    return alike | {one.revealed.index for one in found}
