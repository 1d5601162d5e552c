"""Views at past blocks: a value a block, and as many as the node still knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ledger.accounts import new_key
from ledger.artifacts import artifact
from ledger.batches import Batches, Request
from ledger.chain import Chain, NodeRefused
from ledger.devnet import Devnet, mint_tokens
from ledger.past_calls import call_at
from ledger.records import Address
from ledger.transactions import Transactor

pytestmark = pytest.mark.chain


class Forgetful(Batches):
    """A node that keeps no states before a block."""

    def __init__(self, chain: Chain, first: int) -> None:
        super().__init__(chain)
        self.first, self.requests = first, 0

    def ask(self, questions: Sequence[Request]) -> list[Any]:
        self.requests += 1
        if any(int(parameters[1], 16) < self.first for _, parameters in questions):
            raise NodeRefused(self.chain.rpc_url, "missing trie node")
        return super().ask(questions)


@pytest.fixture
def balances(chain: Chain, devnet: Devnet, tmp_path: Path) -> tuple[Any, list[int]]:
    """The balance of an account, and blocks in which it grew by 1, 2, 3 … tokens."""
    owner = Transactor(chain, devnet.keys[3], tmp_path / "owner")
    token, _ = owner.deploy("deploy a token", artifact("DevToken"))
    account = new_key().address
    blocks = []
    for amount in range(1, 8):
        mint_tokens(owner, Address(token), account, amount)
        blocks.append(chain.block().number)
    owner.close()
    return chain.contract(token, artifact("DevToken")["abi"]).functions.balanceOf(account), blocks


def test_call_at__then_every_block_has_its_own_value(chain: Chain, balances: tuple[Any, list[int]]) -> None:
    view, blocks = balances
    found = call_at(Batches(chain), view, blocks)
    assert found == dict(zip(blocks, [(1,), (3,), (6,), (10,), (15,), (21,), (28,)], strict=True))


@pytest.mark.parametrize("kept", range(8))
def test_call_at__when_older_states_are_gone__then_those_that_are_left(
    chain: Chain, balances: tuple[Any, list[int]], kept: int
) -> None:
    view, blocks = balances
    first = blocks[-kept] if kept else blocks[-1] + 1
    node = Forgetful(chain, first)
    found = call_at(node, view, blocks)
    assert sorted(found) == [block for block in blocks if block >= first]
    assert node.requests <= 6, "the border is searched by halving"


def test_call_at__when_no_blocks_are_asked_for__then_nothing(chain: Chain, balances: tuple[Any, list[int]]) -> None:
    assert call_at(Batches(chain), balances[0], []) == {}


def test_call_at__when_the_contract_answers_nothing__then_there_is_no_value(
    chain: Chain, balances: tuple[Any, list[int]]
) -> None:
    view, blocks = balances
    assert sorted(call_at(Batches(chain), view, [0, *blocks])) == blocks, "at block 0 there was no contract"
