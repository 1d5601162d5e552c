"""Audits as whole processes: of the demo's bounty with a fresh IPFS node, and of a large one whose files are local."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from ledger.chain import connect
from ledger.devnet import DevnetSettings, start_devnet
from scripts.benchmarks.measure import Figures, console

QUICK_ROUNDS = 2
ROUNDS = 8
TARGET_SECONDS = 60.0


def run(quick: bool) -> Figures:
    """The demo's audit (target: 10 s), and one of 50 rounds x 20 updates x 1 M parameters (target: 60 s)."""
    return _demo(QUICK_ROUNDS if quick else ROUNDS) | _large(quick)


def _demo(rounds: int) -> Figures:
    with TemporaryDirectory(prefix="fedbounty-bench-") as folder:
        command = [sys.executable, "-m", "scripts.demo_run", "--rounds", str(rounds), "--out", folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        result = json.loads(done.stdout.splitlines()[-1])
        timings = json.loads((Path(folder) / "timings.json").read_text())
    assert result["audit"] == "ok"
    return {
        "demo: audit": {"seconds": timings["audit"], "rounds": result["rounds"], "updates": result["updates"]},
        "demo: all of it": {"seconds": result["seconds"], "accuracy_final": result["accuracy_final"]},
    }


def _large(quick: bool) -> Figures:
    """Play the bounty (not counted), then run `fedbounty audit` with no IPFS node within reach."""
    from scripts.benchmarks.played_bounty import Shelf, Size, play

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    size = Size(5, 4, 1000) if quick else Size(50, 20, 1000)
    with TemporaryDirectory(prefix="fedbounty-bench-") as name:
        folder = Path(name)
        with start_devnet(folder / "devnet", DevnetSettings(block_seconds=0)) as devnet:
            chain = connect(devnet.rpc_url, devnet.chain_id)
            with console.status("playing the bounty") as status:
                tell = lambda number: status.update(f"playing the bounty: round {number} of {size.rounds}")  # noqa: E731
                played = play(devnet, chain, folder, Shelf(folder / "home" / "cache"), size, tell)
            chain.close()
            config = folder / "fedbounty.toml"
            config.write_text(
                f'home = "{folder / "home"}"\n[chain]\nrpc_url = "{played.rpc_url}"\nmarket = "{played.market}"\n'
                '[ipfs]\napi = "http://127.0.0.1:1"\n'
            )
            fedbounty = str(Path(sys.executable).with_name("fedbounty"))
            command = [fedbounty, "--config", str(config), "audit", str(played.bounty), "--json"]
            seconds, cpu, output = _timed(command)
    report = json.loads(output)
    assert report["verdict"] == "ok", report
    assert report["books"]["checked"] == report["books"]["changed"]
    updates = size.rounds * size.updates
    return {
        "large: audit": {
            "seconds": round(seconds, 1),
            "cpu_seconds": round(cpu, 1),
            "cores_used": round(cpu / seconds, 2),
            "target_seconds": TARGET_SECONDS if not quick else None,
            "rounds": size.rounds,
            "updates": updates,
            "parameters": played.coordinates,
            "Mparam/s": round(updates * played.coordinates / seconds / 1e6, 1),
            "blocks_checked": report["books"]["checked"],
        }
    }


def _timed(command: list[str]) -> tuple[float, float, bytes]:
    """Wall-clock and CPU seconds of a command with all processes of its session, and what it wrote."""
    began = time.perf_counter()
    spent: dict[int, float] = {}
    with TemporaryDirectory() as folder, (Path(folder) / "out").open("w+b") as out:
        process = subprocess.Popen(command, stdout=out, start_new_session=True)
        while process.poll() is None:
            spent |= _cpu_seconds(process.pid)
            time.sleep(0.1)
        seconds = time.perf_counter() - began
        out.seek(0)
        output = out.read()
    if process.returncode:
        raise RuntimeError(f"the audit ended with {process.returncode}: {output[-2000:].decode()}")
    return seconds, sum(spent.values()), output


def _cpu_seconds(session: int) -> dict[int, float]:
    """CPU seconds so far of each process of a session."""
    found: dict[int, float] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields: list[Any] = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == session:
            found[int(place.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found
