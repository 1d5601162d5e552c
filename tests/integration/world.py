"""A small world in which whole bounties run: a real chain, real IPFS, a tiny package; roles are stepped by hand.

Time stands on the chain's clock only: windows are long, and the world travels to their ends where it must.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ledger.accounts import Key, create_key
from ledger.chain import Chain
from ledger.content import ContentStore
from ledger.devnet import deploy_contracts, fund_ether, mint_tokens
from ledger.erc20 import Token
from ledger.history import BountyHistory, build_history
from ledger.kubo import IpfsDaemon
from ledger.market import Market, MarketWriter
from ledger.records import Address, BountyId, Merged, Phase, RewardRule, Terms, Wei
from ledger.transactions import Patience, Transactor
from node.aggregator.daemon import AggregatorDaemon, AggregatorSetup
from node.aggregator.merge_work import MergeWork
from node.aggregator.unmasking import open_unmasking
from node.auditor.audit import Auditor
from node.auditor.report import AuditReport
from node.bounty_files import BountyFiles
from node.connections import Account
from node.journal import Journal
from node.loop import Finish
from node.manifest import manifest_from
from node.posting import Offer, publish_package, read_package, terms_for
from node.privacy.purses import bounty_purse, open_book, place_of
from node.provider.daemon import ProviderDaemon, ProviderSetup
from node.provider.local_work import LocalWork, LocalWorkSetup
from node.provider.masking import MaskingPlace, open_masking
from node.scoring import open_scorer
from node.sealed_updates import Reader, Sealer
from node.sealing import exchange_key
from tests.door import rpc

TOKEN = 10**18
PURSE = 1000 * TOKEN
PASSWORD = "only for tests"
WINDOW = 1000
"""Seconds of every phase: longer than any test takes, shorter than a journey through time."""
FETCH_SECONDS = 3.0
COLUMNS = ("a", "b", "c", "d")
CLASSES = ("0", "1", "2")


@dataclass(frozen=True)
class Stage:
    """What the tests of one process share."""

    chain: Chain
    deployer: Transactor
    ipfs: IpfsDaemon
    package: Path


@dataclass(frozen=True)
class Party:
    """A participant with a home, a key and settings of its own."""

    name: str
    home: Path
    key: Key
    store: ContentStore
    config: Path

    @property
    def address(self) -> Address:
        return self.key.address


@dataclass
class World:
    """One market with a token of its own: what is in it came from this test."""

    stage: Stage
    folder: Path
    market: Market
    token: Token
    transactors: dict[Address, Transactor] = field(default_factory=dict)
    parties: dict[str, Party] = field(default_factory=dict)

    @property
    def chain(self) -> Chain:
        return self.stage.chain

    # --- parties ---

    def party(self, name: str, ipfs: IpfsDaemon | None = None, tokens: int = PURSE, ether: int = 10**20) -> Party:
        node = ipfs or self.stage.ipfs
        home = self.folder / name
        key = create_key(home / "keystore", name, PASSWORD, light=True)
        fund_ether(self.chain, key.address, ether)
        mint_tokens(self.stage.deployer, self.token.address, key.address, tokens)
        (home / "password").write_text(PASSWORD + "\n")
        config = home / "fedbounty.toml"
        config.write_text(
            f'home = "{home}"\n[chain]\nrpc_url = "{self.chain.rpc_url}"\nmarket = "{self.market.address}"\n'
            f'token = "{self.token.address}"\npoll_seconds = 0.1\n'
            f'[ipfs]\napi = "{node.api}"\nfetch_seconds = {FETCH_SECONDS}\n'
            f'[keys]\ndirectory = "{home / "keystore"}"\naccount = "{name}"\npassword_file = "{home / "password"}"\n'
        )
        self.parties[name] = Party(name, home, key, ContentStore(node.api), config)
        return self.parties[name]

    def account(self, party: Party) -> Account:
        """The party's account, opened anew; who had it before lost it."""
        self.release(party)
        transactor = Transactor(self.chain, party.key, party.home / "transactions", Patience(poll_seconds=0.01))
        self.transactors[party.address] = transactor
        return Account(party.key, transactor, MarketWriter(self.market, transactor))

    def release(self, party: Party) -> None:
        if party.address in self.transactors:
            self.transactors.pop(party.address).close()

    def close(self) -> None:
        for transactor in self.transactors.values():
            transactor.close()

    def files(self, party: Party) -> BountyFiles:
        reader = Reader(self.chain.chain_id, self.market.address, exchange_key(party.key.derive))
        return BountyFiles(party.store, party.home / "cache", FETCH_SECONDS, reader)

    def provider(self, party: Party, bounty: BountyId, seed: int = 0, stake: int | None = None) -> ProviderDaemon:
        """A provider's daemon, as the command line puts it together."""
        terms, files = self.market.terms(bounty), self.files(party)
        data = write_data(party.home / "data.csv", seed)
        manifest = files.manifest(terms)
        place = place_of(f"bounty {bounty}", self.market.address, "test", party.address)
        purse = bounty_purse(open_book(party.home), str(data), place, manifest)
        setup = LocalWorkSetup(bounty, party.home / "updates", files, terms, manifest, str(data), "cpu")
        setup = replace(setup, mark=purse.data.fingerprint)
        if manifest.encryption is not None:
            chain, recipients = self.chain.chain_id, manifest.encryption.recipients
            setup = replace(setup, seal=Sealer(chain, self.market.address, bounty, party.key, recipients).seal)
        work, journal = LocalWork(setup), Journal(party.home / "journal.sqlite")
        account, peer = self.account(party), party.store.addresses()[0]
        own = Wei(terms.stake if stake is None else stake)
        made = ProviderSetup(self.market, account, bounty, terms, work, journal, peer, own, purse)
        masking = open_masking(self.market, account, bounty, files, MaskingPlace(party.home))
        return ProviderDaemon(replace(made, masking=masking))

    def merge_work(self, party: Party, bounty: BountyId) -> MergeWork:
        terms, files = self.market.terms(bounty), self.files(party)
        manifest = files.manifest(terms)
        unmasking = open_unmasking(self.market, bounty, terms, manifest, files)
        return MergeWork(files, terms, manifest, open_scorer(files, manifest), unmasking=unmasking)

    def aggregator(self, party: Party, bounty: BountyId, work: MergeWork | None = None) -> AggregatorDaemon:
        work = work or self.merge_work(party, bounty)
        terms = self.market.terms(bounty)
        return AggregatorDaemon(AggregatorSetup(self.market, self.account(party), bounty, terms, work))

    # --- bounties ---

    def post(
        self, owner: Party, aggregator: Party, sections: Mapping[str, Any] | None = None, **changes: Any
    ) -> BountyId:
        """Post the stage's package; `changes` are those of the offer, `sections` those of the manifest."""
        manifest = read_package(self.stage.package)
        if sections:
            manifest = manifest_from({**manifest.model_dump(exclude_none=True), **sections})
        digest = publish_package(owner.store, self.stage.package, manifest)
        terms = terms_for(replace(self.offer(aggregator.address), **changes), manifest, digest)
        account = self.account(owner)
        self.token.ensure_allowance(account.transactor, self.market.address, terms.pot)
        return account.writer.post(terms)

    def offer(self, aggregator: Address) -> Offer:
        """Two rounds of two or three updates; a pot that does not divide evenly."""
        return Offer(
            token=self.token.address,
            pot=Wei(100 * TOKEN + 1),
            aggregator=aggregator,
            bond=Wei(7 * TOKEN),
            stake=Wei(10 * TOKEN),
            rounds=2,
            min_updates=2,
            max_updates=3,
            commit_seconds=WINDOW,
            reveal_seconds=WINDOW,
            merge_seconds=WINDOW,
            open_merge_seconds=WINDOW,
            challenge_seconds=WINDOW,
            demand_fee=Wei(TOKEN),
            answer_seconds=WINDOW,
            patience=3,
            reward_rule=RewardRule.EQUAL,
            max_weight=1,
        )

    def history(self, bounty: BountyId) -> BountyHistory:
        return build_history(self.market.events(bounty))

    def merged(self, bounty: BountyId, number: int) -> Merged:
        merged = self.history(bounty).rounds[number].merged
        assert merged is not None, f"round {number} was not merged"
        return merged

    def phase(self, bounty: BountyId) -> tuple[Phase, int]:
        clock = self.market.clock(bounty)
        return clock.phase, clock.round

    def terms(self, bounty: BountyId) -> Terms:
        return self.market.terms(bounty)

    def audit(self, auditor: Party, bounty: BountyId) -> AuditReport:
        return Auditor(self.market, self.files(auditor), bounty).run()

    def balance(self, account: Party | Address) -> int:
        return self.token.balance(account.address if isinstance(account, Party) else account)

    # --- time ---

    def travel(self, seconds: int) -> None:
        """Let time pass on the chain."""
        rpc(self.chain, "evm_increaseTime", seconds)
        rpc(self.chain, "evm_mine")

    def play(
        self,
        bounty: BountyId,
        daemons: Sequence[ProviderDaemon | AggregatorDaemon],
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        """Step everybody in turn until all have finished or `until`; where all wait, the phase's time passes."""
        running = list(daemons)
        for _ in range(200):
            idle = True
            for daemon in list(running):
                done = step(daemon)
                if "Finish" in done:
                    running.remove(daemon)
                if until():
                    return
                idle = idle and not set(done) - {"Prefetch", "Gather"}
            if not running:
                return
            if idle:
                self.travel(WINDOW + 1)
        raise AssertionError(f"bounty {bounty} is stuck in {self.phase(bounty)}")


def make_world(stage: Stage, folder: Path) -> World:
    deployed = deploy_contracts(stage.deployer)
    market = Market(stage.chain, deployed.market)
    return World(stage, folder, market, Token(stage.chain, deployed.token))


def step(daemon: ProviderDaemon | AggregatorDaemon) -> list[str]:
    """One turn of a daemon's loop; the names of what was done."""
    done = []
    for action in daemon.decide(daemon.observe()):
        done.append(type(action).__name__)
        if isinstance(action, Finish):
            break
        daemon.act(action)
    return done


def steps(daemon: ProviderDaemon | AggregatorDaemon, *names: str) -> None:
    """Turns of a daemon's loop that must do exactly these things, one a turn."""
    for name in names:
        done = step(daemon)
        assert done == [name], f"did {done} instead of {name}"


def write_data(path: Path, seed: int, rows: int = 24) -> Path:
    """A table that fits the package's schema; three clouds of points, others for each seed."""
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "label"])
        for row in range(rows):
            kind = row % len(CLASSES)
            point = rng.normal(0, 0.5, len(COLUMNS)) + np.eye(len(CLASSES), len(COLUMNS))[kind] * 2
            writer.writerow([*(f"{value:.4f}" for value in point.clip(-7, 7)), CLASSES[kind]])
    return path
