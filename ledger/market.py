"""The market contract, typed: reads pinned to a block, and writes that name what they do.

Reads go through `Chain`; writes go through a `Transactor`, which simulates before it signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ledger.artifacts import artifact
from ledger.batches import Batches
from ledger.chain import Block, Chain
from ledger.cid import Digest
from ledger.decoding import EventDecoder, Log, camel, terms_from
from ledger.errors import BadInput, Reverted
from ledger.keccak import Hash32
from ledger.merge_records import KeptMerge
from ledger.past_calls import call_at
from ledger.records import (
    Address,
    BountyId,
    Clock,
    Event,
    MergeClaim,
    Merged,
    Money,
    Phase,
    Posted,
    Provider,
    Terms,
    Timestamp,
    Wei,
)
from ledger.transactions import Receipt, Transactor

_GENESIS = 0
_NOBODY = Address("0x" + "00" * 20)


class UnknownBounty(BadInput):
    def __init__(self, bounty: int, market: str) -> None:
        self.bounty, self.market = bounty, market
        super().__init__(
            f"There is no bounty {bounty} in the market {market}. `fedbounty bounty list` shows those that there are."
        )


class Market:
    """Reads of one market contract.

    Raises: WrongChain where there is no contract at `address`.
    """

    def __init__(self, chain: Chain, address: Address) -> None:
        abi = artifact("TrainingMarket")["abi"]
        self.chain = chain
        self.address = address
        self.contract = chain.contract(address, abi)
        self._decoder = EventDecoder(abi)

    def bounty_count(self, at: Block | None = None) -> int:
        return int(self._call("bountyCount", at=at))

    def terms(self, bounty: BountyId, at: Block | None = None) -> Terms:
        names = [camel(field.name) for field in fields(Terms)]
        found = terms_from(dict(zip(names, self._call("terms", bounty, at=at), strict=True)))
        if not found.chunks:
            raise UnknownBounty(bounty, self.address)
        return found

    def owner(self, bounty: BountyId, at: Block | None = None) -> Address:
        return Address(self._call("ownerOf", bounty, at=at))

    def clock(self, bounty: BountyId, at: Block | None = None) -> Clock:
        phase, *rest = self._call("clock", bounty, at=at)
        if phase == Phase.NONE:
            raise UnknownBounty(bounty, self.address)
        return Clock(Phase(phase), *rest)

    def money(self, bounty: BountyId, at: Block | None = None) -> Money:
        owed, free = self._call("money", bounty, at=at)
        return Money(Wei(owed), Wei(free))

    def money_at(self, bounty: BountyId, blocks: Sequence[int]) -> dict[int, Money]:
        """The purses after each of `blocks`, which rise; without those whose state the node no longer has."""
        found = call_at(Batches(self.chain), self.contract.functions.money(bounty), blocks)
        return {block: Money(Wei(owed), Wei(free)) for block, (owed, free) in found.items()}

    def provider(self, bounty: BountyId, account: Address, at: Block | None = None) -> Provider:
        return Provider(*self._call("provider", bounty, account, at=at))

    def commitment(self, bounty: BountyId, account: Address, at: Block | None = None) -> Hash32:
        """The first 31 bytes of the commitment that waits to be opened, then a zero byte; all zero if none does."""
        return Hash32(self._call("commitmentOf", bounty, account, at=at))

    def seat(self, bounty: BountyId, account: Address, at: Block | None = None) -> int | None:
        """The account's leaf in payout trees; None if it never joined."""
        joined, index = self._call("seatOf", bounty, account, at=at)
        return int(index) if joined else None

    def merge(self, bounty: BountyId, round_number: int, at: Block | None = None) -> KeptMerge | None:
        """What the chain keeps of a round's merge; None if it has none, or it was voided."""
        kept = KeptMerge(*self._call("mergeOf", bounty, round_number, at=at))
        return kept if any(kept.payout_root) else None

    def judges(self) -> tuple[Address, Address]:
        """The contracts that may void a merge: `FraudProofs` and `ChunkDemands`."""
        return Address(self._call("proofs", at=None)), Address(self._call("demands", at=None))

    def scores(self) -> Address:
        """The contract that divides what is paid by contribution."""
        return Address(self._call("scores", at=None))

    def lapsed_share(self, bounty: BountyId, round_number: int, at: Block | None = None) -> Wei:
        return Wei(self._call("lapsedShare", bounty, round_number, at=at))

    def bond(self, bounty: BountyId, account: Address, at: Block | None = None) -> tuple[Wei, Timestamp]:
        amount, locked_until = self._call("bondOf", bounty, account, at=at)
        return Wei(amount), Timestamp(locked_until)

    def held_until(self, bounty: BountyId, at: Block | None = None) -> Timestamp:
        """No stake and no bond leaves before: a proof or a demand is, or may still come, under way."""
        _, free_at = self.bond(bounty, _NOBODY, at)  # what frees the bond of an account that has none
        return free_at

    def is_forfeit_due(self, bounty: BountyId, account: Address, at: Block | None = None) -> bool:
        """Whether a commitment of the account waits although its reveal window is over, and was no interrupted one."""
        try:
            self._call("forfeit", bounty, account, at=at)
        except Reverted as error:
            if error.name == "NothingToForfeit":
                return False
            raise
        return True

    def join_gas(self, bounty: BountyId, account: Address, stake: Wei, encryption_key: bytes, multiaddr: str) -> int:
        """Gas that joining would take; the account must hold the stake, and have approved it.

        Raises: Reverted.
        """
        join = self.contract.functions.join(bounty, stake, encryption_key, multiaddr)
        return self.chain.estimate_gas(join, account)

    def events(self, bounty: BountyId | None, first: int = _GENESIS, last: int | None = None) -> list[Event]:
        """The market's events in the order of execution.

        bounty: only that bounty's; None for all.
        first, last: block numbers, inclusive; `last` None for the newest block.
        """
        topics = None if bounty is None else [None, bounty.to_bytes(32, "big")]
        logs = self.chain.logs(self.address, topics, first, last)
        return [event for event in map(self.decode, logs) if event is not None]

    def decode(self, log: Log) -> Event | None:
        """The market's event in a log; None for a foreign one."""
        return self._decoder.decode(log)

    def posted(self, bounty: BountyId) -> Posted:
        """The event that opened a bounty.

        Raises: UnknownBounty.
        """
        for event in self.events(bounty):
            if isinstance(event, Posted):
                return event
        raise UnknownBounty(bounty, self.address)

    def _call(self, name: str, *arguments: Any, at: Block | None) -> Any:
        return self.chain.call(getattr(self.contract.functions, name)(*arguments), at)


class MarketWriter:
    """One account's transactions to the market. Each returns when it is mined and succeeded.

    Raises: Reverted with the contract's own error, TooLittleFunds, StuckTransaction, ChainUnreachable.
    """

    def __init__(self, market: Market, transactor: Transactor) -> None:
        self.market = market
        self._transactor = transactor

    @property
    def account(self) -> Address:
        return Address(self._transactor.address)

    def post(self, terms: Terms) -> BountyId:
        receipt = self._send("post the bounty", "post", {camel(f.name): getattr(terms, f.name) for f in fields(Terms)})
        own = (log for log in receipt.logs if log.address == self.market.address)
        return next(event.bounty for event in map(self.market.decode, own) if isinstance(event, Posted))

    def cancel(self, bounty: BountyId) -> Receipt:
        return self._send(f"cancel bounty {bounty}", "cancel", bounty)

    def join(self, bounty: BountyId, stake: Wei, encryption_key: bytes, multiaddr: str) -> Receipt:
        return self._send(f"join bounty {bounty}", "join", bounty, stake, encryption_key, multiaddr)

    def leave(self, bounty: BountyId) -> Receipt:
        return self._send(f"leave bounty {bounty}", "leave", bounty)

    def withdraw_stake(self, bounty: BountyId) -> Receipt:
        return self._send(f"withdraw the stake from bounty {bounty}", "withdrawStake", bounty)

    def commit(self, bounty: BountyId, round_number: int, commitment: Hash32) -> Receipt:
        return self._send(
            f"commit to round {round_number} of bounty {bounty}", "commit", bounty, round_number, commitment
        )

    def reveal(self, bounty: BountyId, round_number: int, cid: Digest, update_root: Hash32, salt: bytes) -> Receipt:
        action = f"reveal the update of round {round_number} of bounty {bounty}"
        return self._send(action, "reveal", bounty, round_number, cid, update_root, salt)

    def forfeit(self, bounty: BountyId, provider: Address) -> Receipt:
        return self._send(f"forfeit part of {provider}'s stake", "forfeit", bounty, provider)

    def deposit_bond(self, bounty: BountyId) -> Receipt:
        return self._send(f"deposit the bond of bounty {bounty}", "depositBond", bounty)

    def withdraw_bond(self, bounty: BountyId) -> Receipt:
        return self._send(f"withdraw the bond of bounty {bounty}", "withdrawBond", bounty)

    def merge(self, bounty: BountyId, round_number: int, claim: MergeClaim) -> Receipt:
        values = {camel(f.name): getattr(claim, f.name) for f in fields(MergeClaim)}
        return self._send(
            f"record the merge of round {round_number} of bounty {bounty}", "merge", bounty, round_number, values
        )

    def claim(self, bounty: BountyId, merged: Merged, cumulative: Wei, proof: Sequence[Hash32]) -> Receipt:
        """Claim the pay that has vested with `merged`."""
        return self._send(f"claim pay of bounty {bounty}", "claim", bounty, merged.round, cumulative, list(proof))

    def claim_lapsed(self, bounty: BountyId, round_number: int, update_root: Hash32) -> Receipt:
        action = f"claim the share of lapsed round {round_number} of bounty {bounty}"
        return self._send(action, "claimLapsed", bounty, round_number, update_root)

    def settle(self, bounty: BountyId) -> Receipt:
        return self._send(f"settle bounty {bounty}", "settle", bounty)

    def refund(self, bounty: BountyId) -> Receipt:
        return self._send(f"refund the owner of bounty {bounty}", "refund", bounty)

    def _send(self, action: str, name: str, *arguments: Any) -> Receipt:
        return self._transactor.send(action, getattr(self.market.contract.functions, name)(*arguments))
