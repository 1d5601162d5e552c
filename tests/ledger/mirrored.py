"""A real market on a devnet whose blocks a test can undo, and mirrors of it that are held to each other."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from web3.types import RPCEndpoint

from ledger.artifacts import artifact
from ledger.chain import Chain
from ledger.commitments import commitment_hash
from ledger.decoding import camel
from ledger.devnet import Deployed, Devnet, deploy_contracts
from ledger.evaluation_records import EvaluationTerms
from ledger.keccak import Hash32
from ledger.market import Market
from ledger.mirror import Mirror
from ledger.records import Address, BountyId, MergeClaim, Terms, Wei
from ledger.score_records import Panel
from ledger.transactions import Transactor
from ledger.trees import sum_node
from tests import builders as make

SALT = bytes(32)
SECONDS = 30
"""How long each window is."""
_files = itertools.count()


PHASES = ["joining", "commit", "reveal", "merge", "open_merge", "ended"]


class Undoable:
    """A market, and bounties in it one after the other.

    Accounts are the devnet's own, so that nothing here remembers what was undone.
    """

    def __init__(self, chain: Chain, devnet: Devnet, folder: Path) -> None:
        self.chain, self.folder = chain, folder
        self.owner, self.aggregator, *self.people = (key.address for key in devnet.keys)
        transactor = Transactor(chain, devnet.keys[0], folder / "state")
        self.deployed: Deployed = deploy_contracts(transactor)
        transactor.close()
        self.market = Market(chain, self.deployed.market)
        token = chain.contract(self.deployed.token, artifact("DevToken")["abi"])
        for account in (self.owner, self.aggregator, *self.people):
            self.send(self.owner, self.deployed.token, token.encode_abi("mint", [account, 10**6]))
            self.send(account, self.deployed.token, token.encode_abi("approve", [self.market.address, 10**6]))
        self.terms = make.terms(
            token=self.deployed.token, aggregator=self.aggregator, rounds=1, min_updates=2, pot=Wei(900),
            commit_seconds=SECONDS, reveal_seconds=SECONDS, merge_seconds=SECONDS, open_merge_seconds=SECONDS,
        )  # fmt: skip
        self.bounty = BountyId(0)
        self.members = self.people[:3]
        self.mine(30)

    def begin(self, phase: str) -> None:
        """A new bounty, and on to the phase."""
        for one in PHASES[: PHASES.index(phase) + 1]:
            getattr(self, one)()

    @property
    def contracts(self) -> list[Address]:
        return [self.market.address, *self.market.judges()]

    # --- the chain ---

    def ask(self, method: str, *arguments: Any) -> Any:
        return self.chain.ask(lambda: self.chain.web3.manager.request_blocking(RPCEndpoint(method), list(arguments)))

    def send(self, sender: Address, to: Address, data: str) -> None:
        """A transaction in a block of its own."""
        call = {"from": sender, "to": to, "data": data, "gas": hex(3_000_000)}
        transaction = self.ask("eth_sendTransaction", call)
        receipt = self.chain.web3.eth.wait_for_transaction_receipt(transaction, timeout=10, poll_latency=0.01)
        assert receipt["status"] == 1

    def call(self, sender: Address, name: str, *arguments: Any) -> None:
        """A transaction to the market."""
        self.send(sender, self.market.address, self.data(name, *arguments))

    def data(self, name: str, *arguments: Any) -> str:
        return str(self.market.contract.encode_abi(name, list(arguments)))

    def wait(self, seconds: int) -> None:
        self.ask("evm_increaseTime", seconds)
        self.mine(1)

    def mine(self, blocks: int) -> None:
        self.ask("anvil_mine", hex(blocks))

    def reorganise(self, depth: int, calls: Sequence[tuple[Address, str]] = ()) -> None:
        """Replace the last `depth` blocks by others; the calls to the market go into the first of them."""
        pairs = [
            ({"from": sender, "to": self.market.address, "data": data, "gas": hex(3_000_000)}, 0)
            for sender, data in calls
        ]
        self.ask("anvil_reorg", depth, pairs)

    # --- the bounty ---

    def root(self, who: Address) -> Hash32:
        return sum_node(make.word(f"root {who}"), 7)

    def joining(self) -> None:
        self.call(self.owner, "post", struct(self.terms))
        self.bounty = BountyId(self.market.bounty_count())
        for who in self.members:
            self.call(who, "join", self.bounty, self.terms.stake, bytes(32), "/ip4/127.0.0.1/tcp/4001")

    def commit(self) -> None:
        self.call(self.aggregator, "depositBond", self.bounty)
        self._commit(self.members[0])

    def reveal(self) -> None:
        for who in self.members[1:]:
            self._commit(who)
        self._reveal(self.members[0])

    def merge(self) -> None:
        for who in self.members[1:]:
            self._reveal(who)

    def open_merge(self) -> None:
        self.wait(SECONDS)

    def ended(self) -> None:
        claim = make.claim(1, paid=Wei(900), payout_leaves=len(self.members))
        self.call(self.aggregator, "merge", self.bounty, 1, struct(claim))

    def _commit(self, who: Address) -> None:
        opening = (self.root(who), SALT)
        hidden = commitment_hash(self.chain.chain_id, self.market.address, self.bounty, 1, who, opening)
        self.call(who, "commit", self.bounty, 1, hidden)

    def _reveal(self, who: Address) -> None:
        self.call(who, "reveal", self.bounty, 1, self.terms.manifest, self.root(who), SALT)

    # --- mirrors ---

    def mirror(self) -> Mirror:
        """A new, empty one."""
        return Mirror.open(self.folder / f"mirror-{next(_files)}.sqlite", self.chain.chain_id, self.contracts)

    def fresh_dump(self, confirmations: int = 0) -> str:
        """All that a new mirror of the chain as it is now holds."""
        mirror = self.mirror()
        mirror.sync(self.chain, confirmations=confirmations)
        held = dump(mirror)
        mirror.close()
        return held


def dump(mirror: Mirror) -> str:
    """Everything in a mirror's file, row for row."""
    database = sqlite3.connect(mirror.path)
    text = "\n".join(database.iterdump())
    database.close()
    return text


def struct(record: Terms | MergeClaim | Panel | EvaluationTerms) -> dict[str, Any]:
    """A record as web3.py takes a struct."""
    return {camel(field.name): getattr(record, field.name) for field in fields(record)}
