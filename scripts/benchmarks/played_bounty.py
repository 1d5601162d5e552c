"""A whole bounty of a given size on a real chain, played by rule with made-up updates; its files lie in one folder.

Only local training is left out: what a provider's data would give comes from a random generator. Everything that an
audit recomputes is there: commitments, reveals, merges, payouts, claims, refunds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from incentives.payouts import entitlement, leaf_members, pay_round
from ledger.accounts import new_key
from ledger.chain import Chain
from ledger.cid import Digest, to_cid
from ledger.commitments import CHUNK, commitment_hash, payout_root, payout_tree, update_tree
from ledger.devnet import Devnet, deploy_contracts, fund_ether, mint_tokens
from ledger.erc20 import Token
from ledger.history import build_history
from ledger.keccak import ZERO_HASH, Hash32
from ledger.market import Market, MarketWriter
from ledger.records import Address, BountyId, MergeClaim, RewardRule, Terms, Wei
from ledger.transactions import Patience, Transactor
from ledger.unixfs import digest_of
from node.merged_states import merge_accepted
from node.package.export import export_package
from node.posting import Offer, publish_package, read_package, terms_for
from node.state_files import encode_state
from node.updates import encode_update
from tests.door import rpc
from tests.integration.package import FIELDS
from tests.integration.world import CLASSES, COLUMNS, write_data

TOKEN = 10**18
WINDOW = 3600
REPORT = b"{}"
"""Of every merge."""
SALT = bytes(32)
"""Nobody is there to look at a commitment too early."""


@dataclass(frozen=True)
class Size:
    """rounds x updates x (about) parameters."""

    rounds: int
    updates: int
    width: int
    """Of the hidden layers; the model has about width squared parameters."""


@dataclass(frozen=True)
class Played:
    """Where the bounty can be audited."""

    rpc_url: str
    market: Address
    bounty: BountyId
    coordinates: int


class Shelf:
    """Files by their CID in one folder: a cache in which everything already is."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder

    def add(self, data: bytes | Path) -> Digest:
        content = data.read_bytes() if isinstance(data, Path) else data
        digest = digest_of(content)
        (self._folder / to_cid(digest)).write_bytes(content)
        return digest


def play(devnet: Devnet, chain: Chain, folder: Path, shelf: Shelf, size: Size, told: Callable[[int], None]) -> Played:
    """Play the bounty from its posting to the last refund.

    told: called with the number of rounds that are merged.
    """
    with _stage(devnet, chain, folder, size.updates) as stage:
        bounty = stage.post(_package(folder / "package", size.width), shelf, size)
        terms = stage.market.terms(bounty)
        state_PD = np.zeros((1, terms.chunks * CHUNK), dtype=np.int32)
        coordinates = int(_parameters(size.width))
        for number in range(1, size.rounds + 1):
            updates = [_update(terms, coordinates, number, index) for index in range(size.updates)]
            stage.reveal(bounty, number, updates, shelf)
            merged = merge_accepted(terms, state_PD, updates, None)
            state_PD = merged.planes_PD
            stage.merge(bounty, number, merged.root, shelf.add(encode_state(state_PD)))
            told(number)
        stage.settle(bounty)
        return Played(devnet.rpc_url, stage.market.address, bounty, coordinates)


def _parameters(width: int) -> int:
    return (len(COLUMNS) + 1) * width + (width + 1) * width + (width + 1) * len(CLASSES)


def _package(folder: Path, width: int) -> Path:
    """A network of two hidden layers, with a hold-out."""
    torch.manual_seed(0)
    layers = [nn.Linear(len(COLUMNS), width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    module = nn.Sequential(*layers, nn.Linear(width, len(CLASSES)))
    export_package(module, torch.zeros(2, len(COLUMNS)), folder, FIELDS)
    write_data(folder / "holdout.csv", seed=999, rows=60)
    return folder


def _update(terms: Terms, coordinates: int, number: int, index: int) -> NDArray[np.int16]:
    """An update within the norm bound, padding 0."""
    rng = np.random.default_rng((number, index))
    most = int((terms.squared_norm_bound / coordinates) ** 0.5)
    update_D = np.zeros(terms.chunks * CHUNK, dtype=np.int16)
    update_D[:coordinates] = rng.integers(-most, most + 1, coordinates, dtype=np.int16)
    return update_D


class _Stage:
    """A market with its owner, who merges too, and providers."""

    def __init__(self, market: Market, token: Token, owner: Transactor, providers: list[Transactor]) -> None:
        self.market, self._token, self._owner, self._providers = market, token, owner, providers
        self._writers = [MarketWriter(market, provider) for provider in providers]
        self._merger = MarketWriter(market, owner)

    def post(self, package: Path, shelf: Shelf, size: Size) -> BountyId:
        manifest = read_package(package)
        offer = Offer(
            token=self._token.address,
            pot=Wei(1000 * TOKEN + 7),
            aggregator=Address(self._owner.address),
            bond=Wei(50 * TOKEN),
            stake=Wei(10 * TOKEN),
            rounds=size.rounds,
            min_updates=size.updates,
            max_updates=size.updates,
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
        shelf.add(REPORT)
        terms = terms_for(offer, manifest, publish_package(shelf, package, manifest))  # type: ignore[arg-type]
        self._token.ensure_allowance(self._owner, self.market.address, Wei(terms.pot + terms.bond))
        bounty = self._merger.post(terms)
        self._merger.deposit_bond(bounty)
        for transactor, writer in zip(self._providers, self._writers, strict=True):
            self._token.ensure_allowance(transactor, self.market.address, terms.stake)
            writer.join(bounty, terms.stake, bytes(32), "")
        return bounty

    def reveal(self, bounty: BountyId, number: int, updates: list[NDArray[np.int16]], shelf: Shelf) -> None:
        """Commit to every update, publish it and open the commitment."""
        roots = [Hash32(update_tree(update_D).root) for update_D in updates]
        chain_id, market = self.market.chain.chain_id, self.market.address
        for writer, root in zip(self._writers, roots, strict=True):
            hidden = commitment_hash(chain_id, market, bounty, number, writer.account, (root, SALT))
            writer.commit(bounty, number, hidden)
        for writer, root, update_D in zip(self._writers, roots, updates, strict=True):
            writer.reveal(bounty, number, shelf.add(encode_update(update_D)), root, SALT)

    def merge(self, bounty: BountyId, number: int, state_root: Hash32, state_cid: Digest) -> None:
        history = build_history(self.market.events(bounty))
        paid, payouts = pay_round(history, number, 0)
        claim = MergeClaim(
            state_root=state_root,
            state_cid=state_cid,
            report_cid=digest_of(REPORT),
            payout_root=payout_root(payout_tree(payouts)),
            paid=paid,
            payout_leaves=len(leaf_members(history, number)),
            metric=0,
            rejected=0,
            reasons=b"",
            scales_hash=ZERO_HASH,
            distances_hash=ZERO_HASH,
            clip_cid=Digest(ZERO_HASH),
        )
        self._merger.merge(bounty, number, claim)

    def settle(self, bounty: BountyId) -> None:
        """Wait until all has vested; everybody takes what is theirs."""
        rpc(self.market.chain, "evm_increaseTime", 2 * WINDOW)
        rpc(self.market.chain, "evm_mine")
        history = build_history(self.market.events(bounty))
        last = history.latest_merge()
        assert last is not None
        _, payouts = pay_round(history, last.round, 0)
        for writer in self._writers:
            due = entitlement(payouts, writer.account)
            writer.claim(bounty, last, due.cumulative, due.proof)
            writer.withdraw_stake(bounty)
        self._merger.withdraw_bond(bounty)
        self._merger.refund(bounty)


@contextmanager
def _stage(devnet: Devnet, chain: Chain, folder: Path, providers: int) -> Iterator[_Stage]:
    with ExitStack() as stack:

        def actor(name: str, key: Any) -> Transactor:
            made = Transactor(chain, key, folder / name, Patience(poll_seconds=0.005))
            stack.callback(made.close)
            return made

        owner = actor("owner", devnet.keys[0])
        deployed = deploy_contracts(owner)
        mint_tokens(owner, deployed.token, Address(owner.address), 2000 * TOKEN)
        people = []
        for index in range(providers):
            key = new_key()
            fund_ether(chain, key.address, 10**20)
            mint_tokens(owner, deployed.token, key.address, 10 * TOKEN)
            people.append(actor(f"provider-{index}", key))
        yield _Stage(Market(chain, deployed.market), Token(chain, deployed.token), owner, people)
