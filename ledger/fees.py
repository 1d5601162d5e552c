"""What a transaction offers for its gas, and how much more a replacement offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.chain import Chain
from ledger.errors import ChainError
from ledger.journal import Fees


@dataclass(frozen=True)
class FeePolicy:
    """Fees by today's prices. max_fee_per_gas: wei a unit of gas that is never exceeded; None for no limit."""

    chain: Chain
    max_fee_per_gas: int | None = None

    def suggested(self) -> Fees:
        """Twice the base fee and the node's tip: good for six full blocks."""
        eth: Any = self.chain.web3.eth
        base = self.chain.ask(lambda: eth.get_block("latest")).get("baseFeePerGas")
        if base is None:
            raise ChainError(f"The chain {self.chain.chain_id} has no EIP-1559 fees, which fedbounty needs.")
        tip = int(self.chain.ask(lambda: eth.max_priority_fee))
        return self._capped(Fees(2 * int(base) + tip, tip))

    def raised(self, fees: Fees) -> Fees:
        """An eighth more, which is what nodes ask for to replace a transaction, or today's fees if those are more."""
        today = self.suggested()
        return self._capped(Fees(max(-(-fees.max_fee * 9 // 8), today.max_fee), max(-(-fees.tip * 9 // 8), today.tip)))

    def _capped(self, fees: Fees) -> Fees:
        cap = self.max_fee_per_gas
        return fees if cap is None else Fees(min(fees.max_fee, cap), min(fees.tip, cap))
