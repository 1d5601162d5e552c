"""The contract that judges merges of masked updates, typed: one call a proof.

docs/PROTOCOL.md, section 16. The Solidity twins are `IMaskProofs` and `MaskLib`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.chain import Chain
from ledger.keccak import Hash32
from ledger.proofs import Disputed, Opening, judge_abi
from ledger.records import Address
from ledger.transactions import Receipt, Transactor


class MaskProofs:
    """The contract that judges masks; `FraudProofs.masks` names it.

    Raises: WrongChain where there is no contract at `address`.
    """

    def __init__(self, chain: Chain, address: Address) -> None:
        self.chain, self.address = chain, address
        self.contract = chain.contract(address, judge_abi("MaskProofs"))

    def board(self) -> Address:
        """Where members announce their unmasking files."""
        return Address(self.chain.call(self.contract.functions.board()))


class MaskProofWriter:
    """One account's proofs about masks. Each is tried before it is sent: one that shows no fault costs nothing.

    Raises: Reverted with the contract's own error (`NoFault` above all), TooLittleFunds, StuckTransaction,
    ChainUnreachable.
    """

    def __init__(self, masks: MaskProofs, transactor: Transactor) -> None:
        self.masks = masks
        self._transactor = transactor

    def prove_coordinate(
        self,
        disputed: Disputed,
        place: tuple[int, int],
        states: tuple[Opening, Opening],
        updates: Sequence[Opening],
        table: bytes,
    ) -> Receipt:
        """place: chunk, and coordinate within it. states: the chunk before the merge and after it."""
        before, after = (state.solidity() for state in states)
        arguments = (*place, before, after, pack_masked(updates), table)
        return self._prove("state", "proveMaskedCoordinate", disputed, *arguments)

    def prove_table(self, disputed: Disputed, table: bytes) -> Receipt:
        return self._prove("mask table", "proveTable", disputed, table)

    def prove_seed(
        self, disputed: Disputed, place: tuple[int, int], update_root: Hash32, keys: Opening, table: bytes
    ) -> Receipt:
        """place: the update's position among the accepted, and which of its masks. keys: its key leaf."""
        return self._prove("seeds", "proveSeed", disputed, *place, update_root, keys.solidity(), table)

    def prove_masks(
        self, disputed: Disputed, position: int, update_roots: Sequence[Hash32], keys: Opening, table: bytes
    ) -> Receipt:
        """position: the update's among the accepted, whose roots are given. keys: its key leaf."""
        arguments = (position, list(update_roots), keys.solidity(), table)
        return self._prove("masks", "proveMasks", disputed, *arguments)

    def _prove(self, what: str, name: str, disputed: Disputed, *arguments: Any) -> Receipt:
        action = f"prove the {what} of round {disputed.round} of bounty {disputed.bounty} wrong"
        call = getattr(self.masks.contract.functions, name)(disputed.solidity(), *arguments)
        return self._transactor.send(action, call)


def pack_masked(updates: Sequence[Opening]) -> bytes:
    """The masked chunks of all accepted updates as a proof carries them, by rising reveal index."""
    return b"".join(update.content + update.siblings for update in updates)
