"""What providers can do in a round, from honest work to fraud: the updates that someone commits, and what it trained.

One person plays, or a group; it may have several accounts. Everyone else is honest. Nothing of a round can be copied in
the same round, for commitments hide it; what was revealed before is public, and so is the hold-out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from node.contribution import Holdout
from node.made_merges import MadeMerge
from node.model import layout
from node.updates import LIMIT
from scripts.benchmarks.contribution_players import CLASSES, Kind, Player, Task, trained

Update = NDArray[np.int16]
Rows = NDArray[np.int64]

HIDING = 0.2
"""Noise, of an update's norm, that hides a copy from screening at its default (docs/benchmarks)."""
IDENTITIES = 3
GROUP = 3
LITTLE = 10
"""A lazy provider trains on one of so many parts of its data."""


@dataclass(frozen=True)
class Turn:
    """What a player knows when it has to commit, and when it has to reveal.

    hands:  the data of the persons that play together, one each.
    before: the updates that the latest merge accepted; empty before the first.
    others: the honest updates of this round; known only after everyone has committed.
    """

    task: Task
    holdout: Holdout
    state_D: NDArray[np.int32]  # noqa: N815 - shape suffix
    hands: Sequence[Rows]
    before: Sequence[Update]
    others: Sequence[Update]
    number: int
    rng: np.random.Generator

    @cached_property
    def _weights_D(self) -> NDArray[np.float32]:  # noqa: N802 - shape suffix
        return self.holdout.weights(self.state_D)

    def train(self, rows: Rows, kind: Kind = Kind.HONEST, task: Task | None = None) -> Update:
        made = trained(task or self.task, self._weights_D, Player(kind, rows), self.rng)
        assert made is not None, "these kinds train"
        return made

    @property
    def length(self) -> float:
        """An honest update's, as the round before showed it."""
        known = self.before or self.others
        return float(np.median([np.linalg.norm(one.astype(np.float64)) for one in known]))

    def noise(self, length: float) -> NDArray[np.float64]:
        used, size = layout(self.task.manifest).used, len(self.state_D)
        noise_D = np.zeros(size)
        noise_D[:used] = self.rng.standard_normal(used)
        return noise_D * (length / np.linalg.norm(noise_D))

    def hidden(self, update: NDArray[np.float64] | Update) -> Update:
        """A copy under enough noise to pass screening."""
        values_D = update.astype(np.float64)
        return on_grid(values_D + self.noise(HIDING * max(1.0, float(np.linalg.norm(values_D)))))


@dataclass(frozen=True)
class Move:
    """updates: one an account; None: it commits to something and never reveals it. trainings: honest updates' worth."""

    updates: tuple[Update | None, ...]
    trainings: float


@dataclass(frozen=True)
class Strategy:
    """persons: how many of the honest players it replaces, with their data."""

    play: Callable[[Turn], Move]
    persons: int = 1


def on_grid(values_D: NDArray[np.float64]) -> Update:
    return np.clip(np.rint(values_D), -LIMIT, LIMIT).astype(np.int16)


def merged(task: Task, state_D: NDArray[np.int32], updates: Sequence[Update]) -> MadeMerge:
    return replace(task.start(), before_PD=state_D[np.newaxis], updates=list(updates))


# --- work, all of it or some ---


def honest(turn: Turn) -> Move:
    return Move(tuple(turn.train(hand) for hand in turn.hands), len(turn.hands))


def lazy(turn: Turn) -> Move:
    rows = turn.hands[0]
    return Move((turn.train(turn.rng.permutation(rows)[: max(2, len(rows) // LITTLE)]),), 1 / LITTLE)


# --- free riders ---


def zero(turn: Turn) -> Move:
    return Move((np.zeros(len(turn.state_D), np.int16),), 0)


def noise(turn: Turn) -> Move:
    return Move((on_grid(turn.noise(turn.length)),), 0)


def replay(turn: Turn) -> Move:
    """The last round's mean, which is public; noise where there is none yet."""
    return Move((on_grid(np.mean(turn.before, axis=0)),), 0) if turn.before else noise(turn)


def hidden_replay(turn: Turn) -> Move:
    return Move((turn.hidden(np.mean(turn.before, axis=0)),), 0) if turn.before else noise(turn)


def copycat(turn: Turn) -> Move:
    """The longest update of the last round, as it was."""
    return Move((_longest(turn),), 0) if turn.before else noise(turn)


def hidden_copycat(turn: Turn) -> Move:
    return Move((turn.hidden(_longest(turn)),), 0) if turn.before else noise(turn)


def _longest(turn: Turn) -> Update:
    return max(turn.before, key=lambda one: float(np.linalg.norm(one.astype(np.float64))))


# --- several accounts ---


def sybil_copies(turn: Turn) -> Move:
    """One update, scaled a little differently for each account."""
    made = turn.train(turn.hands[0])
    return Move(tuple(on_grid(made * (1 - 0.01 * place)) for place in range(IDENTITIES)), 1)


def sybil_hidden(turn: Turn) -> Move:
    made = turn.train(turn.hands[0])
    return Move((made, *(turn.hidden(made) for _ in range(IDENTITIES - 1))), 1)


def sybil_seeds(turn: Turn) -> Move:
    """The same data, trained with another seed for each account."""
    return Move(tuple(turn.train(turn.hands[0]) for _ in range(IDENTITIES)), IDENTITIES)


def sybil_split(turn: Turn) -> Move:
    """The data cut into as many parts as there are accounts."""
    return Move(tuple(turn.train(part) for part in np.array_split(turn.hands[0], IDENTITIES)), 1)


def colluding_group(turn: Turn) -> Move:
    """Several providers agree that one trains and the others hide copies of its update."""
    made = turn.train(turn.hands[0])
    return Move((made, *(turn.hidden(made) for _ in turn.hands[1:])), 1)


# --- reveals that depend ---


def every_second(turn: Turn) -> Move:
    return honest(turn) if turn.number % 2 else Move((None,), 0)


def better_of_two(turn: Turn) -> Move:
    """Two accounts commit; whichever makes the better merge with what the others revealed is shown."""
    made = [turn.train(turn.hands[0]) for _ in range(2)]
    merges = [merged(turn.task, turn.state_D, [*turn.others, one]) for one in made]
    best = int(np.argmin([turn.holdout.loss(merge.state_D) for merge in merges]))
    return Move(tuple(one if place == best else None for place, one in enumerate(made)), 2)


# --- poisoning ---


def flipped(turn: Turn) -> Move:
    """A third of the labels are wrong."""
    return Move((turn.train(turn.hands[0], Kind.FLIPPED),), 1)


def poisoned(turn: Turn) -> Move:
    """Every label is the next class's."""
    task = replace(turn.task, labels=(turn.task.labels + 1) % CLASSES)
    return Move((turn.train(turn.hands[0], task=task),), 1)


def reversed_update(turn: Turn) -> Move:
    """An honest update's negative, three times as long."""
    return Move((on_grid(-3.0 * turn.train(turn.hands[0])),), 1)


HONEST, HONEST_GROUP = "honest", "honest: three together"

STRATEGIES: Mapping[str, Strategy] = {
    HONEST: Strategy(honest),
    HONEST_GROUP: Strategy(honest, GROUP),
    "lazy: a tenth of its data": Strategy(lazy),
    "free rider: zero": Strategy(zero),
    "free rider: noise": Strategy(noise),
    "free rider: replay": Strategy(replay),
    "free rider: replay, hidden": Strategy(hidden_replay),
    "copycat of the last round": Strategy(copycat),
    "copycat, hidden": Strategy(hidden_copycat),
    "Sybil x3: copies": Strategy(sybil_copies),
    "Sybil x3: hidden copies": Strategy(sybil_hidden),
    "Sybil x3: trained three times": Strategy(sybil_seeds),
    "Sybil x3: data cut in three": Strategy(sybil_split),
    "selective reveal: every second round": Strategy(every_second),
    "selective reveal: better of two": Strategy(better_of_two),
    "poisoning: 30 % of labels": Strategy(flipped),
    "poisoning: all labels": Strategy(poisoned),
    "poisoning: reversed x3": Strategy(reversed_update),
    "colluding three: one trains": Strategy(colluding_group, GROUP),
}
