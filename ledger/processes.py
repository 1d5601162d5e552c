"""Child processes that end with us: by order, and by themselves when we are gone without a word.

They have sessions of their own, so that Ctrl-C reaches us alone and we stop them in our order.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
"""Where `ledger` is importable from."""

STOP_SECONDS = 5.0
GUARDED_STOP_SECONDS = 12.0
"""Less than whoever stops the guard waits, or nobody would be left to end the program."""
PARENT_CHECK_S = 0.5
MAX_LOG_BYTES = 16 << 20
"""A log that grows over this is started anew."""


def start_module(module: str, arguments: list[str], said: IO[str]) -> subprocess.Popen[str]:
    """Run one of our modules; what it writes to standard error goes to `said`."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
        text=True,
        start_new_session=True,
    )


def start_guarded(command: list[str], output: Path, said: IO[str]) -> subprocess.Popen[str]:
    """Run a program that knows nothing of us, with a guard between that stops it when this process is gone."""
    return start_module("ledger.processes", [str(os.getpid()), str(output), *command], said)


def stop(process: subprocess.Popen[str], seconds: float = STOP_SECONDS) -> None:
    """Ask the process to end, and end it if it does not."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def guard(parent: int, output: Path, command: list[str]) -> int:
    """Run `command` until it ends, until SIGTERM, or until `parent` is no longer our parent."""
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: stopping.append(received))
    with output.open("ab") as file:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, text=True)
    try:
        while child.poll() is None and not stopping and os.getppid() == parent:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(PARENT_CHECK_S)
            with contextlib.suppress(FileNotFoundError):
                if output.stat().st_size > MAX_LOG_BYTES:
                    os.truncate(output, 0)
        ended = child.poll()
    finally:
        stop(child, GUARDED_STOP_SECONDS)
    return 0 if ended is None else ended


if __name__ == "__main__":
    sys.exit(guard(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
