"""Real processes, killed with SIGKILL at every moment that matters, and started again with the same home."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.processes import ROOT
from ledger.records import Address, BountyId, Merged, Phase
from node.auditor.report import Verdict
from tests.integration.world import PURSE, WINDOW, Party, World, step, write_data

pytestmark = pytest.mark.integration

PROVIDER_DIES = [
    ("journalled", ""),
    ("pinned", ""),
    ("signed", "commit"),
    ("sent", "commit"),
    ("signed", "reveal"),
    ("sent", "reveal"),
]
AGGREGATOR_DIES = [
    ("sent", "deposit the bond"),
    ("published", ""),
    ("signed", "record the merge"),
    ("sent", "record the merge"),
]
_MAIN = "from node.cli.app import main; main()"


def run(party: Party, arguments: list[str], moment: tuple[str, str] | None, meanwhile: Callable[[], object]) -> int:
    """Run the party's command until it ends, doing something meanwhile; its exit code."""
    start = ["-m", "tests.integration.killed", *moment] if moment else ["-c", _MAIN]
    command = [sys.executable, *start, "--config", str(party.config), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TERM": "dumb"}
    with (party.home / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < deadline:
                meanwhile()
                time.sleep(0.1)
        finally:
            process.kill()
    return process.wait()


def journalled(party: Party) -> dict[int, bytes]:
    """Update roots by round, as the provider's journal has them."""
    (path,) = party.home.glob("journal*.sqlite")
    database = sqlite3.connect(path)
    try:
        return dict(database.execute("SELECT round, root FROM update_made"))
    finally:
        database.close()


def sent(world: World, account: Address) -> int:
    return int(world.chain.web3.eth.get_transaction_count(account))


class Vesting:
    """Travels once, when the bounty has ended."""

    def __init__(self, world: World, bounty: BountyId) -> None:
        self.world, self.bounty, self.done = world, bounty, False

    def __call__(self) -> None:
        if not self.done and self.world.phase(self.bounty)[0] == Phase.ENDED:
            self.world.travel(WINDOW + 1)
            self.done = True


def test_provide__when_killed_after_each_step__then_it_goes_on_and_sends_nothing_twice(world: World) -> None:
    merger, party = world.party("merger"), world.party("p0")
    bounty = world.post(world.party("owner"), merger, min_updates=1, max_updates=1, rounds=1)
    aggregator, vesting = world.aggregator(merger, bounty), Vesting(world, bounty)
    data = write_data(party.home / "data.csv", seed=1)
    command = ["provide", str(bounty), "--data", str(data), "--yes"]
    made: list[dict[int, bytes]] = []
    for moment in PROVIDER_DIES:
        assert run(party, command, moment, lambda: step(aggregator)) == -signal.SIGKILL, log_of(party)
        made.append(journalled(party))
    assert list(made[0]) == [1]
    assert made == [made[0]] * len(made), "an update was made anew"

    assert run(party, command, None, lambda: [step(aggregator), vesting()]) == 0, log_of(party)
    (one,) = world.history(bounty).rounds.values()
    assert [reveal.update_root for reveal in one.reveals] == [made[0][1]]
    assert sent(world, party.address) == 6, "approve, join, commit, reveal, claim, withdraw"
    assert world.balance(party) == PURSE + world.terms(bounty).pot
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK


def test_aggregate__when_killed_around_a_merge__then_it_goes_on_and_merges_once(world: World) -> None:
    merger, party = world.party("merger"), world.party("p0")
    bounty = world.post(world.party("owner"), merger, min_updates=1, max_updates=1, rounds=1)
    provider, vesting = world.provider(party, bounty), Vesting(world, bounty)
    command = ["aggregate", str(bounty), "--yes"]
    for moment in AGGREGATOR_DIES:
        assert run(merger, command, moment, lambda: step(provider)) == -signal.SIGKILL, log_of(merger)

    assert run(merger, command, None, lambda: [step(provider), vesting()]) == 0, log_of(merger)
    merges = [event for event in world.history(bounty).events if isinstance(event, Merged)]
    assert [event.round for event in merges] == [1]
    assert sent(world, merger.address) == 4, "approve, bond, merge, withdraw"
    assert world.balance(merger) == PURSE
    assert world.audit(world.party("auditor"), bounty).verdict == Verdict.OK


def log_of(party: Party) -> str:
    return Path(party.home / "log").read_text()[-3000:]
