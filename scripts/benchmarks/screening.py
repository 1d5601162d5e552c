"""Screening: how often honest updates are taken for copies or replays, and which copies are found.

Providers train the demo's network on digits with its settings, in plain torch; their updates are put on the grid and
screened as an aggregator does it. Splits: drawn evenly, by Dirichlet 0.5 and 0.1, one class a provider, and, hardest,
one class for two providers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from ledger.cid import Digest
from ledger.commitments import CHUNK, update_tree
from ledger.keccak import ZERO_HASH
from ledger.records import Address, BountyId, Position, Revealed
from node.distances import inner_products
from node.manifest_sections import ScreeningSection, UpdateSection
from node.screening import Background, screen
from node.updates import quantise
from node.verification import VerifiedUpdate
from scripts.benchmarks.measure import Figures, console
from scripts.demo_model import CLASSES, FIELDS, Digits

PROVIDERS = 10
ROUNDS = 20
SEEDS = (0, 1, 2)
COSINES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
NOISES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
GRID = UpdateSection(**FIELDS["update"])

Round: TypeAlias = list[VerifiedUpdate]
Shards: TypeAlias = list[NDArray[np.int64]]
Split: TypeAlias = Callable[[NDArray[np.int64], np.random.Generator], Shards]


def run(quick: bool) -> Figures:
    """Honest updates left out by mistake (target: 0.1 %), and copies found, by the cosine that is asked for."""
    seeds, rounds = (SEEDS[:1], 4) if quick else (SEEDS, ROUNDS)
    figures: Figures = {}
    copied: list[Round] = []
    for name, split in SPLITS.items():
        played = [_play(split, seed, rounds, f"{name}, seed {seed}") for seed in seeds]
        figures[f"honest, {name}"] = _alarms(played)
        copied += [one for game in played for one in game]
    for noise in NOISES:
        figures[f"copies, noise {noise:.0%} of the norm"] = _finds(copied, noise)
    return figures


# --- honest rounds ---


def _even(labels: NDArray[np.int64], rng: np.random.Generator) -> Shards:
    return list(np.array_split(rng.permutation(len(labels)), PROVIDERS))


def _dirichlet(alpha: float, labels: NDArray[np.int64], rng: np.random.Generator) -> Shards:
    shards: list[list[int]] = [[] for _ in range(PROVIDERS)]
    for label in range(CLASSES):
        rows = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.cumsum(rng.dirichlet([alpha] * PROVIDERS))[:-1] * len(rows)
        for shard, part in zip(shards, np.split(rows, cuts.astype(int)), strict=True):
            shard.extend(int(row) for row in part)
    return [np.array(shard) for shard in shards if len(shard) >= 2]


def _by_class(providers_each: int, labels: NDArray[np.int64], rng: np.random.Generator) -> Shards:
    rows = [rng.permutation(np.flatnonzero(labels == label)) for label in range(CLASSES)]
    return [part for one in rows for part in np.array_split(one, providers_each)]


SPLITS: dict[str, Split] = {
    "even": _even,
    "Dirichlet 0.5": lambda labels, rng: _dirichlet(0.5, labels, rng),
    "Dirichlet 0.1": lambda labels, rng: _dirichlet(0.1, labels, rng),
    "one class each": lambda labels, rng: _by_class(1, labels, rng),
    "one class, two providers each": lambda labels, rng: _by_class(2, labels, rng),
}


def _play(split: Split, seed: int, rounds: int, label: str) -> list[Round]:
    """Rounds of honest training from one model on; the merge is a mean."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    pixels, digits = load_digits(return_X_y=True)
    images, labels = torch.tensor(pixels, dtype=torch.float32), torch.tensor(digits)
    shards = split(digits, rng)
    model = Digits()
    weights_D = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    played = []
    for number in range(1, rounds + 1):
        deltas = [_train(model, weights_D, images[rows], labels[rows]) for rows in shards]
        updates = [quantise(_padded(delta_D), GRID, rng).update for delta_D in deltas]
        played.append([verified(index, number, update_D) for index, update_D in enumerate(updates)])
        mean_D = np.mean([update_D[: len(weights_D)] for update_D in updates], axis=0) / 2**GRID.bits
        weights_D = weights_D + torch.tensor(mean_D, dtype=torch.float32)
        console.print(f"[dim]{label}: round {number}/{rounds}[/dim]   ", end="\r")
    return played


def _train(model: Digits, weights_D: Tensor, images: Tensor, labels: Tensor) -> NDArray[np.float32]:
    torch.nn.utils.vector_to_parameters(weights_D.clone(), model.parameters())
    given = FIELDS["training"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=given["learning_rate"], weight_decay=given["weight_decay"])
    for _ in range(given["local_epochs"]):
        for rows in torch.randperm(len(labels)).split(given["batch_size"]):
            optimizer.zero_grad()
            F.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
    return (torch.nn.utils.parameters_to_vector(model.parameters()).detach() - weights_D).numpy()


def _padded(delta_D: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.pad(delta_D, (0, -len(delta_D) % CHUNK))


def verified(index: int, number: int, update_D: NDArray[np.int16]) -> VerifiedUpdate:
    """An update as an aggregator has it once its file was checked; Shapes: update_D (D,) int16."""
    tree = update_tree(update_D)
    at, provider = Position(number, index, "0x"), Address(f"0x{index:040x}")
    shown = Revealed(at, BountyId(1), number, provider, index, Digest(ZERO_HASH), tree.root, tree.total, 1)
    return VerifiedUpdate(shown, update_D, 2 * update_D.size)


# --- what screening makes of them ---


def _alarms(games: Sequence[list[Round]]) -> dict[str, float | int | str]:
    honest = sum(len(one) for game in games for one in game)
    found: dict[str, float | int | str] = {"updates": honest, "greatest cosine": round(max(map(_closest, games)), 4)}
    for cosine in COSINES:
        section = ScreeningSection(copy_cosine=cosine)
        alarms = sum(
            len(screen(section, GRID.bits, updates, behind(before, updates)))
            for game in games
            for before, updates in pairwise([[], *game])
        )
        found[f"left out at {cosine:g}"] = f"{alarms / honest:.2%}"
    return found


def behind(before: Round, updates: Round) -> Background:
    """What a round is screened against: commits in the order of reveals, and the round before."""
    return Background(
        order={one.revealed.index: one.revealed.index for one in updates},
        roots={one.revealed.update_root: one.revealed.round for one in before},
        round=before[0].revealed.round if before else 0,
        updates=before,
    )


def _closest(game: list[Round]) -> float:
    """The greatest cosine of two updates of a round, or of a round and the one before."""
    greatest = -1.0
    for before, updates in pairwise([[], *game]):
        others = [*updates, *before]
        products_NM = inner_products([one.update for one in updates], [one.update for one in others]).astype(np.float64)
        own_N, all_M = (np.sqrt([one.revealed.squared_norm for one in group]) for group in (updates, others))
        cosines_NM = products_NM / np.outer(own_N, all_M)
        np.fill_diagonal(cosines_NM, -1.0)
        greatest = max(greatest, float(cosines_NM.max()))
    return greatest


def _finds(rounds: Sequence[Round], noise: float) -> dict[str, str]:
    """One copy a round, of its first update: scaled by 0.5 .. 2, with noise of so much of its norm."""
    rng = np.random.default_rng(0)
    found = dict.fromkeys(COSINES, 0)
    for updates in rounds:
        first = updates[0]
        size = first.revealed.squared_norm**0.5 / first.update.size**0.5
        noisy_D = first.update + noise * size * rng.standard_normal(first.update.size)
        copy_D = np.clip(np.round(rng.uniform(0.5, 2.0) * noisy_D), -32767, 32767).astype(np.int16)
        copy = verified(len(updates), first.revealed.round, copy_D)
        for cosine in COSINES:
            section = ScreeningSection(copy_cosine=cosine)
            left_out = screen(section, GRID.bits, [first, copy], behind([], [first, copy]))
            found[cosine] += bool(left_out)
    return {f"found at {cosine:g}": f"{count / len(rounds):.1%}" for cosine, count in found.items()}
