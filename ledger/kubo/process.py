"""Start and stop the embedded IPFS node's process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from time import monotonic, sleep
from typing import IO

from ledger.errors import BadInput
from ledger.processes import start_module, stop


@dataclass(frozen=True)
class IpfsDaemon:
    """A running embedded node."""

    api: str
    """Where its RPC interface answers, as `http://host:port`."""
    peer: str
    """The multiaddress at which other nodes reach it."""
    pid: int


@contextlib.contextmanager
def start_ipfs(
    repo: Path, *, api: str = "127.0.0.1:0", listen: str = "127.0.0.1", wait_seconds: float = 30.0
) -> Iterator[IpfsDaemon]:
    """Run an IPFS node on the repository in `repo`, made if need be, while the context is open.

    The node also stops by itself when this process ends in whatever way.
    Raises: BadInput if it does not start, with its own words.
    """
    repo = repo.resolve()
    try:
        repo.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"The folder {repo} for the IPFS repository cannot be made: {error.strerror}.") from error
    with TemporaryFile("w+") as said, TemporaryDirectory() as folder:
        ready_file = Path(folder, "ready.json")
        arguments = ["--repo", str(repo), "--api", api, "--listen", listen]
        arguments += ["--ready-file", str(ready_file), "--parent-pid", str(os.getpid())]
        process = start_module("ledger.kubo", arguments, said)
        try:
            yield _wait(process, ready_file, wait_seconds, said)
        finally:
            stop(process)


def _wait(process: subprocess.Popen[str], ready_file: Path, seconds: float, said: IO[str]) -> IpfsDaemon:
    deadline = monotonic() + seconds
    while not ready_file.exists():
        if process.poll() is not None:
            said.seek(0)
            words = said.read().strip().splitlines()
            raise BadInput(words[-1] if words else f"The IPFS node ended at once (exit code {process.returncode}).")
        if monotonic() > deadline:
            raise BadInput(f"The IPFS node did not start within {seconds:.0f} s.")
        sleep(0.01)
    return IpfsDaemon(**json.loads(ready_file.read_text()))
