"""What running daemons show: metrics that agree with the chain, logs that programs can read, curves that stay."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from ledger.notices import Notice
from ledger.processes import ROOT
from ledger.records import BountyId
from node.challenger.scores import Scores
from node.notices import StateScored
from node.telemetry.curves import Run
from tests.integration.commands import fedbounty
from tests.integration.world import PASSWORD, PURSE, WINDOW, Party, World, write_data

pytestmark = pytest.mark.integration

_MAIN = "from node.cli.app import main; main()"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass
class Running:
    """A daemon as a process of its own."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def lines(self) -> list[dict[str, Any]]:
        """Its log so far; each line must be one JSON object."""
        return [json.loads(line) for line in self.err.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [one for one in self.lines() if one["event"] == name]

    def metrics(self) -> Samples:
        (served,) = self.events("metrics")
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(served["sentence"].split()[-1], timeout=5)
        families = text_string_to_metric_families(answer.text)
        return {(s.name, tuple(sorted(s.labels.items()))): s.value for one in families for s in one.samples}


@contextmanager
def running(party: Party, *arguments: str) -> Iterator[Running]:
    """Run a command with JSON logs; at the end it gets a SIGTERM."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "FEDBOUNTY_LOG_JSON": "1"}
    command = [sys.executable, "-c", _MAIN, "--verbose", "--config", str(party.config), *arguments]
    out, err = party.home / "out", party.home / "err"
    with out.open("wb") as said, err.open("wb") as logged:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=logged)
        try:
            yield Running(process, out, err)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)


def wait(until: Callable[[], object], *daemons: Running) -> None:
    deadline = time.monotonic() + 60
    while not until():
        said = [one.err.read_text()[-2000:] for one in daemons]
        assert time.monotonic() < deadline, said
        assert all(one.process.poll() is None for one in daemons), said
        time.sleep(0.1)


def phases(daemon: Running) -> list[str]:
    return [one["phase"] for one in daemon.events("phase")]


def value(samples: Samples, name: str, **labels: object) -> float:
    return samples[f"fedbounty_{name}", tuple(sorted((key, str(given)) for key, given in labels.items()))]


def gas_of(world: World, daemon: Running) -> int:
    """Gas of the transactions in a daemon's log, by the chain."""
    hashes = {one["transaction"] for one in daemon.lines() if "transaction" in one}
    return sum(world.chain.gas_used(one) for one in hashes)


def assert_provider_shows(world: World, bounty: BountyId, party: Party, provider: Running) -> None:
    samples, mined = provider.metrics(), world.history(bounty)
    assert value(samples, "round", bounty=bounty) == 1
    assert value(samples, "phase", bounty=bounty, phase="ended") == 1
    assert value(samples, "phase", bounty=bounty, phase="commit") == 0
    assert value(samples, "stake_wei", bounty=bounty) == world.terms(bounty).stake
    assert value(samples, "transactions_pending") == 0
    assert value(samples, "transactions_sent_total") == 4, "approve, join, commit, reveal"
    assert value(samples, "transactions_settled_total", outcome="mined") == 4
    assert value(samples, "gas_used_total") == gas_of(world, provider)
    assert value(samples, "balance_wei", asset="ether") == float(world.chain.balance(party.address))
    assert value(samples, "balance_wei", asset="token") == PURSE - world.terms(bounty).stake
    assert value(samples, "fetch_seconds_count") >= 2, "manifest, programs"
    assert value(samples, "training_examples", bounty=bounty) == 24
    assert value(samples, "training_loss", bounty=bounty) == provider.events("epoch")[-1]["loss"]
    assert abs(value(samples, "loop_last_success_timestamp_seconds") - time.time()) < 10
    assert value(samples, "build_info", version="0.1.0", role="provider") == 1
    assert not [key for key in samples if any(member.provider in str(key) for member in mined.members)]


def assert_aggregator_shows(world: World, bounty: BountyId, aggregator: Running) -> None:
    samples = aggregator.metrics()
    assert value(samples, "bond_wei", bounty=bounty) == world.terms(bounty).bond
    assert value(samples, "updates_verified_total", bounty=bounty) == 1
    assert value(samples, "merges_total", bounty=bounty) == 1
    assert value(samples, "verification_seconds_count") == 1
    assert value(samples, "holdout_round", bounty=bounty) == 1
    assert value(samples, "gas_used_total") == gas_of(world, aggregator)
    (merged,) = aggregator.events("merged")
    assert value(samples, "holdout", bounty=bounty, metric="accuracy") == merged["metrics"]["accuracy"]


def assert_logs_tell(daemon: Running, *effects: str) -> None:
    """One line an effect, with its transaction, what it cost and how long it took; and no secrets."""
    for effect in effects:
        (line,) = daemon.events(effect)
        assert line["transaction"].startswith("0x"), line
        assert line["gas"] > 21_000
        assert line["fee_wei"] >= line["gas"]
        assert line["seconds"] >= 0
    assert PASSWORD not in daemon.err.read_text()
    assert "Ctrl-C" not in daemon.out.read_text(), "what a daemon says is in the log"
    assert any("Ctrl-C" in one.get("sentence", "") for one in daemon.lines())


def curve(folder: Path, part: str, tag: str) -> dict[int, float]:
    (found,) = folder.glob(part)
    with closing(Run(found)) as run:
        return run.points(tag)


def test_daemons__while_a_bounty_runs__then_metrics_logs_and_curves_are_right(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    merger, party = world.party("merger"), world.party("p0")
    bounty = world.post(world.party("owner"), merger, min_updates=1, max_updates=1, rounds=1)
    data = write_data(party.home / "data.csv", seed=1)
    with ExitStack() as ending:
        mine = ("--metrics-port", "0", "--yes")
        aggregator = ending.enter_context(running(merger, "aggregate", str(bounty), *mine))
        provider = ending.enter_context(running(party, "provide", str(bounty), "--data", str(data), *mine))
        wait(lambda: all(phases(one)[-1:] == ["ended"] for one in (aggregator, provider)), aggregator, provider)
        time.sleep(0.5)  # both balances are read again, one a turn
        assert_provider_shows(world, bounty, party, provider)
        assert_aggregator_shows(world, bounty, aggregator)
        world.travel(WINDOW + 1)
        for daemon in (provider, aggregator):
            assert daemon.process.wait(timeout=30) == 0, daemon.err.read_text()
    assert_logs_tell(provider, "joined", "committed", "revealed", "claimed", "stake_withdrawn")
    assert_logs_tell(aggregator, "bonded", "merged", "bond_withdrawn")
    assert phases(provider)[-4:] == ["commit", "reveal", "merge", "ended"]
    assert world.balance(party) > PURSE
    losses = [one["loss"] for one in provider.events("epoch")]
    folder = f"*/{bounty}/provider-{party.address[2:10].lower()}"
    epochs = curve(party.home / "curves", f"{folder}/epochs", "local/epoch_loss")
    assert epochs == {500: pytest.approx(losses[0]), 1000: pytest.approx(losses[1])}
    assert curve(party.home / "curves", folder, "local/loss") == {1: pytest.approx(losses[1])}
    (merged,) = aggregator.events("merged")
    folder = f"*/{bounty}/aggregator-{merger.address[2:10].lower()}"
    scores = curve(merger.home / "curves", folder, "holdout/accuracy")
    assert scores == {1: pytest.approx(merged["metrics"]["accuracy"])}

    auditor, heard = world.party("auditor"), list[Notice]()
    for _ in range(2):
        assert fedbounty(capsys, auditor, "audit", str(bounty), "--curves", str(auditor.home / "drawn")).code == 0
    audited = curve(auditor.home / "drawn", f"*/{bounty}/auditor", "holdout/accuracy")
    assert audited.keys() == {0, 1}
    assert audited[1] == scores[1]
    files, terms = world.files(auditor), world.terms(bounty)
    recomputed = Scores(files, (bounty,), heard.append)
    recomputed.measure(bounty, terms, 1, files.state(world.merged(bounty, 1), terms)[0])
    recomputed.measure(BountyId(bounty + 1), terms, 1, np.zeros(1, dtype=np.int32))
    assert heard == [StateScored(bounty, 1, merged["metrics"])]


@pytest.mark.parametrize("as_json", [True, False])
def test_provide__when_its_metrics_port_is_taken__then_says_so_before_anything_else(
    world: World, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    party = world.party("p0")
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        command = [*(["--log-json"] if as_json else []), "provide", "1", "--data", "x", "--metrics-port", str(port)]
        done = fedbounty(capsys, party, *command)
    assert done.code == 2
    (line,) = done.err.splitlines()
    said = json.loads(line)["error"] if as_json else line
    assert f"127.0.0.1:{port}" in said
