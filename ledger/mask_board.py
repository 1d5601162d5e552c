"""Where members of masked rounds announce their unmasking files, typed. docs/PROTOCOL.md, section 16; `IMaskBoard`."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from ledger.artifacts import artifact
from ledger.chain import Chain
from ledger.cid import Digest
from ledger.decoding import event_topic
from ledger.market import Market
from ledger.proofs import FraudProofs
from ledger.records import Address, BountyId, Position
from ledger.transactions import Receipt, Transactor

_WORD = 32


@dataclass(frozen=True)
class Announced:
    """Somebody says that its unmasking file of a round is published; anyone can say anything.

    cid: of the file.
    """

    at: Position
    sender: Address
    cid: Digest


class MaskBoard:
    """Reads of the board.

    Raises: WrongChain where there is no contract at `address`.
    """

    def __init__(self, chain: Chain, address: Address) -> None:
        abi = artifact("MaskBoard")["abi"]
        self.chain, self.address = chain, address
        self.contract = chain.contract(address, abi)
        (self._topic,) = (event_topic(item) for item in abi if item["type"] == "event")

    def announced(self, bounty: BountyId, round_number: int, last: int | None = None) -> list[Announced]:
        """What was announced for a round up to block `last`, in the order of the chain."""
        topics = [self._topic, bounty.to_bytes(_WORD, "big"), round_number.to_bytes(_WORD, "big")]
        logs = self.chain.logs(self.address, topics, 0, last)
        return [Announced(log.at, _address(log.topics[3]), Digest(log.data[:_WORD])) for log in logs]


def _address(topic: bytes) -> Address:
    return Address(to_checksum_address(topic[12:]))


class MaskBoardWriter:
    """One account's announcements.

    Raises: TooLittleFunds, StuckTransaction, ChainUnreachable.
    """

    def __init__(self, board: MaskBoard, transactor: Transactor) -> None:
        self.board, self._transactor = board, transactor

    def announce(self, bounty: BountyId, round_number: int, cid: Digest) -> Receipt:
        call = self.board.contract.functions.announce(bounty, round_number, cid)
        return self._transactor.send(f"announce the unmasking of round {round_number}", call)


def board_of(market: Market) -> MaskBoard:
    """The board that a market's judges name."""
    judge, _ = market.judges()
    masks = market.chain.contract(FraudProofs(market.chain, judge).masks(), artifact("MaskProofs")["abi"])
    return MaskBoard(market.chain, Address(to_checksum_address(market.chain.call(masks.functions.board()))))
