"""A canary: an aggregator that lies in a chosen way, to see that challengers still sing. For tests and benchmarks only.

One game is one bounty of one round: a liar (or an honest party) merges it, a challenger looks, and where the merge
falls another party merges the round again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
from torch import nn

from incentives.payouts import pay_round
from ledger.cid import Digest, to_cid
from ledger.commitments import payout_root, payout_tree, update_tree
from ledger.demands import ChunkDemands
from ledger.history import BountyHistory
from ledger.keccak import Hash32, keccak
from ledger.kubo import IpfsDaemon
from ledger.merge_records import GivenReason, Reason, pack_reasons
from ledger.proofs import FraudProofs
from ledger.records import BountyId, MergeClaim, MergeVoided, Wei
from ledger.unixfs import digest_of
from node.aggregator.daemon import AggregatorDaemon
from node.aggregator.merge_work import MadeMerge, MergeWork
from node.bounty_files import BountyFiles, planes_of, write_atomically
from node.challenger.daemon import ChallengerDaemon, ChallengerSetup
from node.challenger.journal import ChallengeJournal
from node.clip_files import Clipping, clip_file_bytes, clip_hashes, decode_clip, encode_clip, pack_scales
from node.journal import MadeUpdate
from node.merged_states import MergedState, merge_accepted, parameters_of
from node.package.export import export_package
from node.provider.daemon import ProviderDaemon
from node.provider.decisions import Train
from node.round_updates import check_updates
from node.state_files import decode_state, encode_state, state_file_bytes
from node.updates import encode_update
from node.verification import VerifiedUpdate
from tests.integration.package import FIELDS
from tests.integration.world import CLASSES, COLUMNS, Party, World, step, write_data

HIDDEN = 80
COORDINATES = (len(COLUMNS) + 1) * HIDDEN + (HIDDEN + 1) * len(CLASSES)
CHUNKS = -(-COORDINATES // 128)
UPDATES = 3
FETCH_SECONDS = 1.0
MEAN: dict[str, Any] = {"rule": "mean", "learning_rate": 1.0}
CLIP: dict[str, Any] = {"rule": "centered_clip", "learning_rate": 1.0, "bucket": 2, "iterations": 2, "radius": 0.02}


class Kind(StrEnum):
    """What the canary lies about."""

    HONEST = "honest"
    UNIT = "one unit in one coordinate"
    DROPPED = "an accepted update left out of the sum"
    SCALE = "a clipping scale off by one"
    WEI = "one wei moved between two providers"
    REJECTED = "a good update rejected"
    WITHHELD = "a wrong state behind a file that nobody has"
    HOARDED = "a wrong state that is shown only on demand"
    DISTANCE = "a squared distance off by one, shown only on demand"


LIES = tuple(kind for kind in Kind if kind != Kind.HONEST)

RULES: dict[Kind, str] = {Kind.SCALE: "centered_clip", Kind.DISTANCE: "centered_clip"}
"""The merge rule that a kind of lie needs; `mean` for the others."""


# --- lies ---


@dataclass(frozen=True)
class Told:
    """What a lie starts from: the honest claim and all that it was made of."""

    work: MergeWork
    history: BountyHistory
    number: int
    claim: MergeClaim
    rng: np.random.Generator
    home: Path

    def with_state(self, planes_PD: Any) -> MergeClaim:
        state = MergedState(planes_PD)
        return replace(self.claim, state_root=state.root, state_cid=self.work.files.publish(encode_state(planes_PD)))

    def hoard(self, data: bytes) -> Digest:
        """Keep a file at hand, to answer from it, and publish it nowhere."""
        digest = digest_of(data)
        write_atomically(self.home / "cache" / to_cid(digest), data)
        return digest

    def moved(self) -> Any:
        """The honest state, one unit off at one coordinate."""
        terms = self.history.posted.terms
        path = self.work.files.file(self.claim.state_cid, state_file_bytes(terms.chunks, planes_of(terms)))
        planes_PD = decode_state(path.read_bytes(), terms.chunks, planes_of(terms)).copy()
        planes_PD[0, int(self.rng.integers(COORDINATES))] += int(self.rng.choice((-1, 1)))
        return planes_PD

    def merged_without(self, index: int) -> Any:
        """The state without one update."""
        terms, reveals = self.history.posted.terms, self.history.rounds[self.number].reveals
        checked = check_updates(self.work.files, terms, reveals, COORDINATES)
        counted = [one.update for one in checked if isinstance(one, VerifiedUpdate) and one.revealed.index != index]
        before_PD = self.work.files.state(self.history.latest_merge(before_round=self.number), terms)
        return merge_accepted(terms, before_PD, counted, None).planes_PD


def _unit(told: Told) -> MergeClaim:
    return told.with_state(told.moved())


def _dropped(told: Told) -> MergeClaim:
    return told.with_state(told.merged_without(int(told.rng.integers(UPDATES))))


def _clipping(told: Told) -> Clipping:
    """The honest clipping."""
    terms, parameters = told.history.posted.terms, parameters_of(told.history.posted.terms)
    pairs = -(-UPDATES // parameters.bucket) * parameters.iterations
    path = told.work.files.file(told.claim.clip_cid, clip_file_bytes(pairs, terms.chunks))
    return decode_clip(path.read_bytes(), pairs, terms.chunks)


def _with_clipping(told: Told, wrong: Clipping, digest: Digest) -> MergeClaim:
    hashes = clip_hashes(pack_scales(wrong.scales), [tree.root for tree in wrong.trees()])
    return replace(told.claim, scales_hash=hashes[0], distances_hash=hashes[1], clip_cid=digest)


def _scale(told: Told) -> MergeClaim:
    clipping = _clipping(told)
    scales = list(clipping.scales)
    scales[int(told.rng.integers(len(scales)))] -= 1
    wrong = replace(clipping, scales=tuple(scales))
    return _with_clipping(told, wrong, told.work.files.publish(encode_clip(wrong)))


def _distance(told: Told) -> MergeClaim:
    clipping = _clipping(told)
    sums_PC = clipping.distances_PC.copy()
    sums_PC[int(told.rng.integers(len(sums_PC))), int(told.rng.integers(CHUNKS))] += 1
    wrong = replace(clipping, distances_PC=sums_PC)
    return _with_clipping(told, wrong, told.hoard(encode_clip(wrong)))


def _wei(told: Told) -> MergeClaim:
    """The report lists what the wrong tree holds: nobody has to demand it."""
    _, payouts = pay_round(told.history, told.number, told.claim.rejected)
    giver, taker = (int(one) for one in told.rng.choice(len(payouts), 2, replace=False))
    moved = dict(enumerate(payouts))
    moved[giver] = (payouts[giver][0], Wei(payouts[giver][1] - 1))
    moved[taker] = (payouts[taker][0], Wei(payouts[taker][1] + 1))
    wrong = [moved[seat] for seat in range(len(payouts))]
    report = orjson.loads(told.work.files.file(told.claim.report_cid, 256 * 1024).read_bytes())
    report["payouts"] = [str(amount) for _, amount in wrong]
    digest = told.work.files.publish(orjson.dumps(report))
    return replace(told.claim, payout_root=payout_root(payout_tree(wrong)), report_cid=digest)


def _rejected(told: Told) -> MergeClaim:
    """All the rest follows from the rejection."""
    index = int(told.rng.integers(UPDATES))
    paid, payouts = pay_round(told.history, told.number, 1 << index)
    given = GivenReason(Reason.WRONG_NORM, int(told.rng.integers(CHUNKS)))
    return replace(
        told.with_state(told.merged_without(index)),
        paid=paid,
        payout_root=payout_root(payout_tree(payouts)),
        rejected=1 << index,
        reasons=pack_reasons([given]),
    )


def _withheld(told: Told) -> MergeClaim:
    state = MergedState(told.moved())
    return replace(told.claim, state_root=state.root, state_cid=Digest(keccak(told.rng.bytes(32))))


def _hoarded(told: Told) -> MergeClaim:
    planes_PD = told.moved()
    return replace(told.claim, state_root=MergedState(planes_PD).root, state_cid=told.hoard(encode_state(planes_PD)))


_TELL: dict[Kind, Callable[[Told], MergeClaim]] = {
    Kind.HONEST: lambda told: told.claim,
    Kind.UNIT: _unit,
    Kind.DROPPED: _dropped,
    Kind.SCALE: _scale,
    Kind.WEI: _wei,
    Kind.REJECTED: _rejected,
    Kind.WITHHELD: _withheld,
    Kind.HOARDED: _hoarded,
    Kind.DISTANCE: _distance,
}


class Canary:
    """Stands where an aggregator's `MergeWork` would."""

    def __init__(self, honest: MergeWork, kind: Kind, seed: int, home: Path) -> None:
        self.files, self._honest, self._kind, self._home = honest.files, honest, kind, home
        self._rng = np.random.default_rng(seed)

    def prefetch(self, reveals: Any) -> None:
        self._honest.prefetch(reveals)

    def merge(self, history: BountyHistory, number: int, seed: Hash32 | None = None) -> MadeMerge:
        made = self._honest.merge(history, number, seed)
        told = Told(self._honest, history, number, made.claim, self._rng, self._home)
        return replace(made, claim=_TELL[self._kind](told))


# --- the game ---


class RandomWork:
    """Stands where a provider's `LocalWork` would: an update of noise, without any training."""

    def __init__(self, party: Party, seed: int) -> None:
        self.store, self._rng = party.store, np.random.default_rng(seed)

    def make_update(self, task: Train) -> MadeUpdate:
        update_D = np.zeros(CHUNKS * 128, dtype=np.int16)
        update_D[:COORDINATES] = self._rng.integers(-300, 300, COORDINATES)
        root = Hash32(update_tree(update_D).root)
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


def build_packages(folder: Path) -> dict[str, Path]:
    """A model of several chunks under each rule that is played."""
    made = {}
    for merge in (MEAN, CLIP):
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
    merge_once(cast, bounty, aggregator, seed)
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


def merge_once(cast: Cast, bounty: BountyId, aggregator: AggregatorDaemon, seed: int) -> None:
    world = cast.world
    daemons = []
    for number, party in enumerate(cast.providers):
        daemon = world.provider(party, bounty, number)
        random: Any = RandomWork(party, seed * UPDATES + number)
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

    Where nobody answers, the time for that passes.
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
