"""Which opening of which round masks belong to: every seed, key and ciphertext is bound to it."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.address import to_canonical_address

from ledger.keccak import Hash32, keccak
from ledger.records import Address, BountyId


@dataclass(frozen=True)
class RoundContext:
    """One opening of a round. A reorganisation that opens it in another block makes another context.

    opened_in: hash of the block that opened the round.
    """

    chain_id: int
    market: Address
    bounty: BountyId
    round: int
    opened_in: Hash32

    @property
    def groups_seed(self) -> Hash32:
        """What the groups are drawn from."""
        return keccak(b"fedbounty/groups/1" + self._place + self.opened_in)

    @property
    def label(self) -> bytes:
        """What every secret of the round is bound to."""
        return self._place + self.groups_seed

    @property
    def _place(self) -> bytes:
        market = to_canonical_address(self.market)
        numbers = self.bounty.to_bytes(32, "big") + self.round.to_bytes(32, "big")
        return self.chain_id.to_bytes(32, "big") + market + numbers
