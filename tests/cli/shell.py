"""A party at its terminal, and what a command cost it."""

from __future__ import annotations

import re

import pytest

from tests.integration.commands import Done, fedbounty
from tests.integration.world import Party, World

_LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\dT.*\n", re.MULTILINE)


class Shell:
    """A party at its terminal, and what it has spent there."""

    def __init__(self, world: World, party: Party, capsys: pytest.CaptureFixture[str]) -> None:
        self.world, self.party, self.capsys = world, party, capsys
        self.before = self.possessions()

    def possessions(self) -> tuple[int, int, int]:
        """Transactions sent, tokens, ether."""
        eth, account = self.world.chain.web3.eth, self.party.address
        return eth.get_transaction_count(account), self.world.balance(self.party), eth.get_balance(account)

    def run(self, *arguments: str) -> Done:
        return fedbounty(self.capsys, self.party, *arguments)

    def refused(self, code: int, *arguments: str) -> str:
        """Run a command that must be refused with this exit code, one sentence, and no costs; the sentence."""
        done = self.run(*arguments)
        assert done.code == code, done
        assert "Traceback" not in done.err
        said = _LOG_LINE.sub("", done.err)
        assert said.startswith("fedbounty: "), done.err
        assert self.possessions() == self.before, "something was spent"
        return said
