"""Flower in a virtual environment of its own: its dependencies contradict the project's."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

from scripts.benchmarks.measure import console

FOLDER = Path("build/bench-venvs/flwr")


def flower_python() -> Path:
    """The interpreter of the environment, which is made on the first call."""
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    python = FOLDER / "bin/python"
    ready = FOLDER / "ready"
    with (FOLDER.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            console.print(f"making {FOLDER} with the newest flwr that installs")
            subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True)
            install = [python, "-m", "pip", "install", "--quiet", "--quiet", "flwr", "numpy"]
            if subprocess.run(install, check=False).returncode:
                raise SystemExit("flwr could not be installed; the comparison needs pip's package index, once.")
            ready.touch()
    return python
