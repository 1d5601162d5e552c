"""A game with a canary: one bounty of one round that a liar (or an honest party) merges, and a challenger looks at.

Where the merge falls, another party merges the round again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ledger.commitments import chunk_squares
from ledger.demands import ChunkDemands
from ledger.keccak import Hash32
from ledger.kubo import IpfsDaemon
from ledger.proofs import FraudProofs
from ledger.records import BountyId, MergeVoided
from ledger.trees import SumTree, Tag, leaf_hashes
from node.aggregator.daemon import AggregatorDaemon
from node.bounty_files import BountyFiles
from node.challenger.daemon import ChallengerDaemon, ChallengerSetup
from node.challenger.journal import ChallengeJournal
from node.journal import MadeUpdate
from node.package.export import export_package
from node.provider.daemon import ProviderDaemon
from node.provider.decisions import Train
from node.updates import encode_update
from tests.canary import CHUNKS, CLIP, COORDINATES, HIDDEN, MEAN, RULES, UPDATES, Canary, Kind
from tests.integration.package import FIELDS
from tests.integration.world import CLASSES, COLUMNS, Party, World, step, write_data

FETCH_SECONDS = 1.0


class RandomWork:
    """Stands where a provider's `LocalWork` would: an update of noise, without any training.

    lies: whether its tree claims less at one chunk than the squares there add up to.
    """

    def __init__(self, party: Party, seed: int, lies: bool = False) -> None:
        self.store, self._rng, self._lies = party.store, np.random.default_rng(seed), lies

    def make_update(self, task: Train, seat: object = None) -> MadeUpdate:
        update_D = np.zeros(CHUNKS * 128, dtype=np.int16)
        update_D[:COORDINATES] = self._rng.integers(-300, 300, COORDINATES)
        sums = chunk_squares(update_D)
        sums[int(self._rng.integers(CHUNKS))] -= 7 if self._lies else 0
        root = Hash32(SumTree(leaf_hashes(Tag.UPDATE, update_D.data, 256), sums).root)
        digest = self.store.add(encode_update(update_D))
        return MadeUpdate(task.round, digest, root, root, "{}")

    def keep(self, made: MadeUpdate) -> None:
        pass


@dataclass(frozen=True)
class Game:
    """How a game went.

    sentences: what the challenger proved.
    seconds:   from the start of the challenge to its verdict.
    answered:  demands that the liar answered, each for a fee.
    """

    kind: Kind
    bounty: BountyId
    sentences: list[str]
    voided: MergeVoided | None
    reward: int
    seconds: float
    gas: int
    merged_again: bool
    answered: int


@dataclass
class Cast:
    """Who plays, in a world of their own; each lie ruins another liar."""

    world: World
    owner: Party
    providers: list[Party]
    second: Party
    challenger: Party
    packages: dict[str, Path]
    games: int = 0


def build_packages(folder: Path, merges: Sequence[dict[str, Any]] = (MEAN, CLIP)) -> dict[str, Path]:
    """A model of several chunks under each rule that is played."""
    made = {}
    for merge in merges:
        path = folder / str(merge["rule"])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = nn.Sequential(nn.Linear(len(COLUMNS), HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, len(CLASSES)))
        export_package(module, torch.zeros(2, len(COLUMNS)), path, {**FIELDS, "merge": merge})
        write_data(path / "holdout.csv", seed=999, rows=6)
        made[str(merge["rule"])] = path
    return made


def gather_cast(world: World, packages: dict[str, Path], ipfs: IpfsDaemon | None = None) -> Cast:
    providers = [world.party(f"provider{number}", ipfs, tokens=10**24) for number in range(UPDATES)]
    rich = [world.party(name, ipfs, tokens=10**24) for name in ("owner", "second", "challenger")]
    return Cast(world, rich[0], providers, rich[1], rich[2], packages)


def play(cast: Cast, kind: Kind, seed: int, rule: str = "") -> Game:
    """One bounty: merged by a canary, looked at by a challenger, merged again if it fell."""
    world, cast.games = cast.world, cast.games + 1
    liar = world.party(f"liar{cast.games}")
    package = cast.packages[rule or RULES.get(kind, "mean")]
    changes = {"rounds": 1, "min_updates": UPDATES, "max_updates": UPDATES}
    bounty = with_package(world, package).post(cast.owner, liar, **changes)
    work: Any = Canary(world.merge_work(liar, bounty), kind, seed, liar.home)
    aggregator = world.aggregator(liar, bounty, work)
    merge_once(cast, bounty, aggregator, seed, faulty=kind == Kind.ACCEPTED)
    watcher, journal = challenger_of(world, cast.challenger, bounty)
    before, started = world.balance(cast.challenger), time.monotonic()
    gas = challenge(world, watcher, bounty, None if kind == Kind.WITHHELD else aggregator)
    seconds = time.monotonic() - started
    voided = next((one for one in world.history(bounty).events if isinstance(one, MergeVoided)), None)
    again = voided is not None and merge_again(cast, bounty)
    journal.close()
    reward = world.balance(cast.challenger) - before
    asked = ChunkDemands(world.chain, world.market.judges()[1]).of(bounty)
    answered = sum(one.answer is not None for one in asked)
    return Game(kind, bounty, list(watcher.taken.found), voided, reward, seconds, gas, again, answered)


def with_package(world: World, package: Path) -> World:
    """The same world with another package to post."""
    return replace(world, stage=replace(world.stage, package=package))


def merge_once(cast: Cast, bounty: BountyId, aggregator: AggregatorDaemon, seed: int, faulty: bool = False) -> None:
    world = cast.world
    daemons = []
    for number, party in enumerate(cast.providers):
        daemon = world.provider(party, bounty, number)
        random: Any = RandomWork(party, seed * UPDATES + number, lies=faulty and number == 1)
        daemons.append(ProviderDaemon(replace(daemon._setup, work=random)))
    world.play(bounty, [*daemons, aggregator], until=lambda: bool(world.history(bounty).merged_rounds))


def challenger_of(world: World, party: Party, bounty: BountyId) -> tuple[ChallengerDaemon, ChallengeJournal]:
    """A challenger of one bounty, as the command line puts it together; with little patience for files."""
    judge, desk = world.market.judges()
    journal = ChallengeJournal(party.home / "challenges.sqlite", world.market.address)
    setup = ChallengerSetup(
        market=world.market,
        proofs=FraudProofs(world.chain, judge),
        demands=ChunkDemands(world.chain, desk),
        files=BountyFiles(party.store, party.home / "cache", FETCH_SECONDS),
        account=world.account(party),
        journal=journal,
        bounties=(bounty,),
        once=True,
    )
    return ChallengerDaemon(setup), journal


def challenge(
    world: World, watcher: ChallengerDaemon, bounty: BountyId, answerer: AggregatorDaemon | None = None
) -> int:
    """Step a challenger until it has decided, and the merger where it waits for answers; gives the proof's gas.

    Where nobody answers, the time for that passes. A merge that fell can be followed by another when this returns.
    """
    stepped: Any = watcher
    for _ in range(100):
        done = step(stepped)
        if "Finish" in done:
            break
        if not done and (answerer is None or "Answer" not in step(answerer)):
            world.travel(world.terms(bounty).answer_seconds + 1)
    else:
        raise AssertionError(f"the challenge of bounty {bounty} does not end")
    events = [one for one in world.history(bounty).events if isinstance(one, MergeVoided)]
    world.travel(1)  # no round is merged again in the second of its void
    return world.chain.gas_used(events[-1].at.transaction) if events else 0


def merge_again(cast: Cast, bounty: BountyId) -> bool:
    """Another party merges the round that fell; whether a challenger finds nothing wrong with that."""
    world = cast.world
    second = world.aggregator(cast.second, bounty)
    for _ in range(4):
        if world.history(bounty).merged_rounds:
            break
        step(second)
    watcher, journal = challenger_of(world, cast.challenger, bounty)
    challenge(world, watcher, bounty)
    journal.close()
    merged = world.history(bounty).rounds[1].merged
    return merged is not None and merged.aggregator == cast.second.address and not watcher.taken.found
