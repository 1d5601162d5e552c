"""The ERC-20 token that a bounty is paid in: what we hold, what the market may take."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.artifacts import artifact
from ledger.batches import Batches
from ledger.chain import Chain
from ledger.errors import TooLittleFunds
from ledger.past_calls import call_at
from ledger.records import Address, Wei
from ledger.transactions import Receipt, Transactor


class Token:
    """Reads and approvals of one ERC-20 token.

    Raises: WrongChain where there is no contract at `address`.
    """

    def __init__(self, chain: Chain, address: Address) -> None:
        self.chain = chain
        self.address = address
        self._contract = chain.contract(address, artifact("DevToken")["abi"])

    def balance(self, account: Address) -> Wei:
        return Wei(self.chain.call(self._contract.functions.balanceOf(account)))

    def balances_at(self, account: Address, blocks: Sequence[int]) -> dict[int, Wei]:
        """An account's balance after each of `blocks`, which rise; without those that the node does not answer for."""
        found = call_at(Batches(self.chain), self._contract.functions.balanceOf(account), blocks)
        return {block: Wei(balance) for block, (balance,) in found.items()}

    def allowance(self, owner: Address, spender: Address) -> Wei:
        return Wei(self.chain.call(self._contract.functions.allowance(owner, spender)))

    def ensure_allowance(self, transactor: Transactor, spender: Address, amount: Wei) -> Receipt | None:
        """Let `spender` take exactly `amount`; None if it may already.

        Raises: TooLittleFunds if the account holds less than that; nothing is sent then.
        """
        account = Address(transactor.address)
        balance = self.balance(account)
        if balance < amount:
            raise TooLittleFunds(account, f"tokens ({self.address})", amount, balance)
        if self.allowance(account, spender) >= amount:
            return None
        return transactor.send(f"approve {amount} of {self.address}", self._contract.functions.approve(spender, amount))
