"""The demo's bounty, audited from the chain and a fresh IPFS node, as a whole process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.benchmarks.measure import Figures

QUICK_ROUNDS = 2
ROUNDS = 8


def run(quick: bool) -> Figures:
    """Run the demo and audit its bounty: start of the command to its verdict (target: 10 s)."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    with TemporaryDirectory(prefix="fedbounty-bench-") as folder:
        command = [sys.executable, "-m", "scripts.demo_run", "--rounds", str(rounds), "--out", folder]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        result = json.loads(done.stdout.splitlines()[-1])
        timings = json.loads((Path(folder) / "timings.json").read_text())
    assert result["audit"] == "ok"
    return {
        "audit": {"seconds": timings["audit"], "rounds": result["rounds"], "updates": result["updates"]},
        "whole demo": {"seconds": result["seconds"], "accuracy_final": result["accuracy_final"]},
    }
