"""`fedbounty watch` as a real process: killed around its proof, started again, stopped by a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ledger.processes import ROOT
from ledger.records import BountyId, MergeVoided
from tests.canary import UPDATES, Canary, Kind
from tests.canary_game import build_packages, gather_cast, merge_once, with_package
from tests.integration.test_kill import run
from tests.integration.world import PURSE, TOKEN, Party, World

pytestmark = pytest.mark.integration

_MAIN = "from node.cli.app import main; main()"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build_packages(tmp_path_factory.mktemp("watched"))


def lied_to(world: World, package: dict[str, Path]) -> BountyId:
    cast, liar = gather_cast(world, package), world.party("liar")
    changes: dict[str, Any] = {"rounds": 1, "min_updates": UPDATES, "max_updates": UPDATES}
    bounty = with_package(world, package["mean"]).post(cast.owner, liar, **changes)
    work: Any = Canary(world.merge_work(liar, bounty), Kind.UNIT, 3, liar.home)
    merge_once(cast, bounty, world.aggregator(liar, bounty, work), 3)
    return bounty


def voided(world: World, bounty: BountyId) -> list[MergeVoided]:
    return [one for one in world.history(bounty).events if isinstance(one, MergeVoided)]


def watch_until_voided(world: World, party: Party, bounty: BountyId) -> tuple[int, str]:
    """Run the command until the merge has fallen, then stop it as Ctrl-C does; exit code and output."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TERM": "dumb"}
    command = [sys.executable, "-c", _MAIN, "--config", str(party.config), "--log-json", "watch", "--grace", "0"]
    log = party.home / "watch.log"
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if voided(world, bounty) and b"Watching" in log.read_bytes():
                break
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
    finally:
        process.kill()
    return process.returncode, log.read_text()


@pytest.mark.parametrize("moment", ["signed", "sent"])
def test_watch__when_killed_around_its_proof__then_started_again_it_has_the_bond_once(
    world: World, package: dict[str, Path], moment: str
) -> None:
    bounty = lied_to(world, package)
    watcher = world.party("watcher")
    code = run(watcher, ["watch", str(bounty), "--grace", "0"], (moment, "prove"), lambda: None)
    assert code == -signal.SIGKILL
    code, said = watch_until_voided(world, watcher, bounty)
    assert code == 0, said
    assert [one.prover for one in voided(world, bounty)] == [watcher.address]
    assert world.balance(watcher) == PURSE + 7 * TOKEN // 2
    assert [json.loads(line) for line in said.splitlines()][-1]["sentence"] == "stopped"
