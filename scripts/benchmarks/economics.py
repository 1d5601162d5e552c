"""What each strategy is worth under each reward rule, and under which parameters honest work is the best reply.

Bounties are played once (`strategy_games`), on real vectors; prices are swept over them afterwards. All amounts are in
an honest update's pay of a round where everyone is honest. `economics_page` shows the figures.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import torch

from incentives.inspection import (
    auditing_pays,
    chance_of_a_look,
    least_bond,
    lies_in_balance,
    lying_pays,
    own_look_pays,
)
from incentives.payoffs import Played, Prices, best_reply, identity_cost_in_balance, training_price_in_balance
from scripts.benchmarks.contribution_players import Task, digits_task
from scripts.benchmarks.lying_money import exposure, left_out, proven
from scripts.benchmarks.measure import Figures, console
from scripts.benchmarks.strategies import HONEST, HONEST_GROUP, STRATEGIES
from scripts.benchmarks.strategy_games import PERSONS, SCREENINGS, SPLITS, Game, Round, play
from scripts.benchmarks.strategy_money import RULES, settle_game

DONE = Path(__file__).parents[2] / "build" / "economics"
"""Games that an interrupted run has played; the next one goes on from there."""
SEEDS = 5

TRAININGS = (0.05, 0.2, 0.5, 0.8)
GWEI = (0.02, 1.0, 5.0)
STAKES = (1.0, 10.0)
CAPITAL = (0.0, 0.001, 0.01)
PAY_IN_ETHER = 0.001
"""What an honest update earns, for the price of gas."""
REFERENCE = (0.2, 0.02, 1.0, 0.001)
"""Training, gwei, stake, capital: the parameters of the payoff tables."""
NOTICED = 0.02
"""What a strategy must pay beyond honest work to be called better."""

AWAY = "stays away"

BONDS = (6.0, 30.0, 120.0)
AUDITORS = (1, 3, 10)
LOOKS = (0.05, 0.2, 0.5)
AUDIT_COSTS = (0.01, 0.1)
LIES = (0.0, 0.01, 0.1)
PROOF_GAS = 1_127_000
"""The dearest proof with 32 updates: contracts/README.md."""

Place = tuple[str, str, str]
"""Strategy, screening, how the data are dealt."""


@dataclass(frozen=True)
class Setting:
    """One point of the sweep; its fields are those of `REFERENCE`, in its order."""

    training: float
    gwei: float
    stake: float
    capital: float

    @property
    def prices(self) -> Prices:
        return Prices(self.training, gas_price(self.gwei), self.capital)


def gas_price(gwei: float) -> float:
    return gwei * 1e-9 / PAY_IN_ETHER


def run(quick: bool) -> Figures:
    """Payoffs of strategies x reward rules x prices on digits; the best replies; what bonds and auditors have to be."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = DONE / ("quick" if quick else "whole")
    try:
        games = _play_all(folder, range(1 if quick else SEEDS))
    finally:
        torch.set_num_threads(threads)
    figures = _figures(games)
    shutil.rmtree(folder)
    return figures


# --- games ---


def _play_all(done: Path, seeds: Sequence[int]) -> dict[Place, list[Game]]:
    """Every strategy's games by strategy, screening and split, one a seed."""
    games: dict[Place, list[Game]] = {}
    plan = list(product(seeds, SPLITS, ("copies", "none", "copies and harm")))
    assert {screening for _, _, screening in plan} == set(SCREENINGS), "every way to screen is played"
    with TemporaryDirectory(prefix="fedbounty-economics-") as name:
        task = digits_task(Path(name) / "digits")
        for number, (seed, split, screening) in enumerate(plan):
            follows = screening == "none"  # from what was screened for copies, where nothing was left out
            known = {name: games[name, "copies", split][-1] for name in STRATEGIES} if follows else {}
            for strategy, game in _cell_games(done, task, (split, screening, seed), known).items():
                games.setdefault((strategy, screening, split), []).append(game)
            console.print(f"[dim]{number + 1}/{len(plan)} {split}, screening: {screening}[/dim]   ", end="\r")
    return games


def _cell_games(done: Path, task: Task, cell: tuple[str, str, int], known: Mapping[str, Game]) -> dict[str, Game]:
    """Play what is not on disk yet. known: games screened for copies; where nothing was left out, they stand."""
    split, screening, seed = cell
    file = done / f"{split}-{screening}-{seed}.json".replace(" ", "-")
    if not file.exists():
        same = {name: game for name, game in known.items() if not any(one.rejected for one in game.rounds)}
        played = {
            name: asdict(same[name] if name in same else play(task, one, split, screening, seed))
            for name, one in STRATEGIES.items()
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(played))
        partial.replace(file)
    read = json.loads(file.read_text())
    return {name: Game(**{**one, "rounds": [Round(**part) for part in one["rounds"]]}) for name, one in read.items()}


def _figures(games: Mapping[Place, list[Game]]) -> Figures:
    figures: Figures = {}
    for rule, screening, split in product(RULES, SCREENINGS, SPLITS):
        by_stake = {
            stake: {
                name: [settle_game(game, rule, stake) for game in games[name, screening, split]] for name in STRATEGIES
            }
            for stake in STAKES
        }
        label = f"{rule}, screening {screening}, {split}"
        figures[f"payoffs: {label}"] = dict(_payoffs(by_stake[REFERENCE[2]]))
        figures[f"sweep: {label}"] = _sweep(by_stake)
        figures[f"replies: {label}"] = dict(_replies(by_stake))
    for screening, split in product(SCREENINGS, SPLITS):
        accuracy = {name: fmean(game.accuracy for game in games[name, screening, split]) for name in STRATEGIES}
        figures[f"accuracy: screening {screening}, {split}"] = accuracy
    return figures | _identities() | _aggregators() | _auditors()


# --- providers ---


def _mean(played: Sequence[Played]) -> Played:
    return Played(
        *(fmean(values) for values in zip(*((p.earned, p.trainings, p.gas, p.locked) for p in played), strict=True))
    )


def compared_with(name: str) -> str:
    """The honest strategy of as many persons."""
    return HONEST if STRATEGIES[name].persons == 1 else HONEST_GROUP


def _payoffs(played: Mapping[str, list[Played]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """At the reference prices: payoff, difference to honest and its standard error, training price in balance."""
    prices = Setting(*REFERENCE).prices
    for name, games in played.items():
        base = played[compared_with(name)]
        gaps = [one.net(prices) - other.net(prices) for one, other in zip(games, base, strict=True)]
        mean, honest = _mean(games), _mean(base)
        yield (
            name,
            {
                "payoff": round(mean.net(prices), 4),
                "to honest": round(fmean(gaps), 4),
                "error": round(stdev(gaps) / len(gaps) ** 0.5, 4) if len(gaps) > 1 else 0.0,
                "trainings": round(mean.trainings, 3),
                "training price in balance": training_price_in_balance(honest, mean, prices),
            },
        )


def _settings() -> list[Setting]:
    return [Setting(*point) for point in product(TRAININGS, GWEI, STAKES, CAPITAL)]


def best_at(by_stake: Mapping[float, Mapping[str, list[Played]]], setting: Setting) -> tuple[str, float]:
    """The best reply, and by how much it pays more than honest work (0 for honest itself)."""
    played, prices = by_stake[setting.stake], setting.prices
    gaps = {
        name: _mean(games).net(prices) - _mean(played[compared_with(name)]).net(prices)
        for name, games in played.items()
        if name != HONEST_GROUP
    }
    gaps[AWAY] = -_mean(played[HONEST]).net(prices)
    best = best_reply(HONEST, gaps, NOTICED)
    return best, gaps[best]


def _sweep(by_stake: Mapping[float, Mapping[str, list[Played]]]) -> dict[str, Any]:
    """How often honest work is the best reply, and what is where it is not."""
    replies = [best_at(by_stake, setting) for setting in _settings()]
    counts: dict[str, int] = {}
    for name, _ in replies:
        counts[name] = counts.get(name, 0) + 1
    return {
        "parameter sets": len(replies),
        "honest is the best reply": counts.get(HONEST, 0) / len(replies),
        "most to gain by anything else": max(gap for _, gap in replies),
        "best replies": dict(sorted(counts.items(), key=lambda item: -item[1])),
    }


def _replies(by_stake: Mapping[float, Mapping[str, list[Played]]]) -> Iterator[tuple[str, str]]:
    """The best reply of every parameter set."""
    for setting in _settings():
        best, gap = best_at(by_stake, setting)
        prices = f"training {setting.training:g}, {setting.gwei:g} gwei"
        deposits = f"stake {setting.stake:g}, capital {setting.capital:g}"
        yield f"{prices}, {deposits}", best if best == HONEST else f"{best} (+{gap:.2f})"


def _identities() -> Figures:
    """What another account must cost a round under equal pay, in honest pays; and the stake that costs so much."""
    rows = {}
    for others, identities in product((5, 20, 100), (1, 3)):
        cost = identity_cost_in_balance(others, identities) * PERSONS
        stakes = ", ".join(f"{cost / rate:,.0f} at {rate:.1%}" for rate in CAPITAL if rate)
        rows[f"{others} others, {identities} own"] = f"{cost:.3f}; stake {stakes}"
    return {"identities under equal pay: the cost a round at which one more does not pay": rows}


# --- aggregators and auditors ---


def _aggregators() -> Figures:
    """Lies that can be proven, and the one that can't."""
    taken = {
        "everyone claims each round": exposure(claims_each_round=True),
        "nobody claims": exposure(claims_each_round=False),
    }
    bonds: dict[str, Any] = {}
    for label, gain in taken.items():
        for auditors, look in [(0, 0.0), *product(AUDITORS, LOOKS)]:
            seen = chance_of_a_look(look, auditors)
            pays = {f"bond {bond:g}": round(lying_pays(gain, bond, seen), 3) for bond in BONDS}
            bonds[f"{label}; {auditors} auditors, each looks at {look:.0%}"] = {
                "to take": gain,
                "seen": round(seen, 4),
                **pays,
                "least bond": round(least_bond(gain, seen), 3) if seen else "none is enough",
            }
    verdicts = {f"bond {bond:g}": asdict(proven(bond)) for bond in BONDS}
    unprovable = {
        f"{own} accounts of {PERSONS} are the aggregator's": dict(
            zip(("lying", "honest"), left_out(own_accounts=own), strict=True)
        )
        for own in (0, 1, 2)
    }
    return {
        "aggregator: what a provable lie pays a round": bonds,
        "aggregator: who has the bond after a proof": verdicts,
        "aggregator: all others called unavailable (no proof), pay a round": unprovable,
    }


def _auditors() -> Figures:
    """The lazy auditor's dilemma: what looking pays beyond not looking, for one without and with money at stake."""
    proof = PROOF_GAS * gas_price(REFERENCE[1])
    rows: dict[str, Any] = {}
    for bond, cost in product(BONDS, AUDIT_COSTS):
        row = {f"lies {lies:.0%}": round(auditing_pays(bond, lies, cost, proof), 4) for lies in LIES}
        row["lies in balance"] = round(lies_in_balance(bond, cost, proof), 5)
        row["with 3 rivals, lies 1%"] = round(auditing_pays(bond, 0.01, cost, proof, rivals=3), 4)
        row["a provider's own look, lies 1%"] = round(own_look_pays(1.0, 0.01, cost), 4)
        row["the owner's own look, lies 1%"] = round(own_look_pays(float(PERSONS), 0.01, cost), 4)
        rows[f"bond {bond:g}, a look costs {cost:g}"] = row
    return {"auditor: what a look pays more than none": rows}
