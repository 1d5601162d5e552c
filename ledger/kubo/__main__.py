"""`python -m ledger.kubo --repo DIR`: run the embedded IPFS node until SIGTERM, or until its parent is gone.

Once it answers, it writes one JSON object to standard output and to the ready file:
{"api": "http://127.0.0.1:PORT", "peer": "/ip4/127.0.0.1/tcp/PORT/p2p/ID", "pid": PID}.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import os
import socket
import sys
from pathlib import Path

import uvicorn

from ledger.errors import BadInput, FedbountyError
from ledger.kubo.blocks import Blocks, Pins, in_thread
from ledger.kubo.library import KuboNode, LibraryFailed, quieten
from ledger.kubo.routes import Rpc
from ledger.locks import Lock

PARENT_CHECK_S = 0.5
REDIAL_S = 3.0
LOCK = "node.lock"
LOG = "node.log"
"""What the library writes to standard error, its last words before a crash included."""
LIBRARY_LOG = "kubo.log"
MAX_LOG_BYTES = 4 << 20


def main(arguments: list[str] | None = None) -> int:
    """Run the node; the exit code is 0 after an orderly stop."""
    options = _parser().parse_args(arguments)
    repo: Path = options.repo
    complain = os.fdopen(os.dup(2), "w", buffering=1)
    try:
        repo.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.closing(Lock(repo / LOCK, _runs_already(repo))):  # the library's own comes after its changes
            os.chdir(repo)  # the library writes its log into the working directory
            quieten(Path(LOG))
            return asyncio.run(_serve(options))
    except FedbountyError as error:
        complain.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        complain.write(f"The IPFS node could not be started: {error}.\n")
        return 2


def _runs_already(repo: Path) -> str:
    return f"An IPFS node runs in {repo} already. Use it, stop it first, or name another folder with --repo."


async def _serve(options: argparse.Namespace) -> int:
    listener = _listener(options.api)
    node = KuboNode(options.repo, options.listen)
    folder = options.repo / "incoming"
    for leftover in folder.glob("*"):
        leftover.unlink()
    rpc = Rpc(node, Blocks(node, folder), Pins(options.repo / "pinned-roots"), folder)
    server = uvicorn.Server(
        uvicorn.Config(
            rpc.application(), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2
        )
    )
    watch = asyncio.create_task(_watch(server, options.parent_pid))
    peers = asyncio.create_task(_keep_peers(node))
    _announce(listener, node, options.ready_file)
    await server.serve(sockets=[listener])
    watch.cancel()
    peers.cancel()
    node.close()
    return 0


def _listener(api: str) -> socket.socket:
    host, _, port = api.rpartition(":")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise BadInput(
            f"Another program, an IPFS node perhaps, answers at {api} already. Use it, stop it, or take another "
            f"address with --api (port 0: any free one)."
        ) from error
    listener.listen(128)
    return listener


def _announce(listener: socket.socket, node: KuboNode, ready_file: Path | None) -> None:
    host, port = listener.getsockname()
    ready = json.dumps({"api": f"http://{host}:{port}", "peer": node.addresses()[0], "pid": os.getpid()})
    sys.stdout.write(ready + "\n")
    sys.stdout.flush()
    if ready_file is not None:
        temporary = ready_file.with_suffix(".new")
        temporary.write_text(ready)
        temporary.replace(ready_file)


async def _watch(server: uvicorn.Server, parent: int | None) -> None:
    """Stop with the parent, and keep the library's logs short."""
    while not server.should_exit:
        await asyncio.sleep(PARENT_CHECK_S)
        for log in (Path(LOG), Path(LIBRARY_LOG)):
            if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
                os.truncate(log, 0)
        if parent is not None and os.getppid() != parent:
            server.should_exit = True


async def _keep_peers(node: KuboNode) -> None:
    while True:
        await asyncio.sleep(REDIAL_S)
        with contextlib.suppress(LibraryFailed):
            await in_thread(node.redial)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ledger.kubo", description="Run the embedded IPFS node.")
    parser.add_argument("--repo", type=_folder, required=True, help="the repository's folder, made if it is not there")
    parser.add_argument("--api", default="127.0.0.1:0", help="address of the RPC interface; port 0 takes a free one")
    parser.add_argument("--listen", default="127.0.0.1", help="IPv4 address on which other nodes may connect")
    parser.add_argument("--ready-file", type=_folder, help="where to write the actual addresses")
    parser.add_argument("--parent-pid", type=int, help="stop when this process is no longer the parent")
    return parser


def _folder(text: str) -> Path:
    return Path(text).resolve()


if __name__ == "__main__":
    sys.exit(main())
