"""The embedded IPFS node: its routes as Kubo's, its limits, its end."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from ledger.cid import Digest, to_cid
from ledger.errors import BadInput
from ledger.kubo import IpfsDaemon, start_ipfs
from ledger.kubo.blocks import MAX_ABANDONED
from ledger.processes import ROOT
from ledger.unixfs import CHUNK_BYTES, Child, digest_of, encode_inner, encode_leaf

pytestmark = pytest.mark.integration

MISSING = to_cid(Digest(bytes(32)))


def post(daemon: IpfsDaemon, path: str, **options: Any) -> requests.Response:
    return requests.post(f"{daemon.api}/api/v0/{path}", timeout=30, **options)


def add(daemon: IpfsDaemon, data: bytes) -> str:
    return str(post(daemon, "add", files={"file": data}).json()["Hash"])


def message(response: requests.Response) -> str:
    assert response.status_code == 500
    return str(response.json()["Message"])


@pytest.fixture(scope="module")
def other(ipfs: IpfsDaemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IpfsDaemon]:
    """A second node, connected to the first."""
    with start_ipfs(tmp_path_factory.mktemp("other")) as running:
        assert post(running, "swarm/connect", params={"arg": ipfs.peer}).status_code == 200
        yield running


@pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 174 * 262_144 + 1])
def test_cat__when_another_node_has_the_file__then_returns_it(ipfs: IpfsDaemon, other: IpfsDaemon, size: int) -> None:
    data = os.urandom(4096) * (size // 4096 + 1)
    data = data[:size]
    cid = add(ipfs, data)
    assert cid == to_cid(digest_of(data))
    assert post(other, "files/stat", params={"arg": f"/ipfs/{cid}"}).json()["Size"] == size
    assert post(other, "cat", params={"arg": cid}).content == data


@pytest.mark.parametrize(("offset", "length"), [(0, 0), (0, 10), (262_140, 10), (299_990, 100), (400_000, 1)])
def test_cat__when_given_a_window__then_returns_that_part(ipfs: IpfsDaemon, offset: int, length: int) -> None:
    data = os.urandom(300_000)
    answer = post(ipfs, "cat", params={"arg": add(ipfs, data), "offset": offset, "length": length})
    assert answer.content == data[offset : offset + length]


def test_cat__when_nobody_has_it__then_ends_at_the_time_limit(ipfs: IpfsDaemon) -> None:
    started = time.monotonic()
    assert message(post(ipfs, "cat", params={"arg": MISSING, "timeout": "300ms"})) == "context deadline exceeded"
    assert time.monotonic() - started < 2


def plant(repo: Path, block: bytes) -> str:
    """Put a block that nobody can add by our routes into a repository, where Kubo would have put it."""
    digest = hashlib.sha256(block).digest()
    name = base64.b32encode(b"\x12\x20" + digest).decode().rstrip("=")
    folder = repo / "blocks" / name[-3:-1]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.data").write_bytes(block)
    return to_cid(Digest(digest))


def child(block: bytes, size: int) -> Child:
    return Child(Digest(hashlib.sha256(block).digest()), size, len(block))


def test_cat__when_blocks_are_hostile__then_refuses_or_breaks_off(tmp_path: Path) -> None:
    leaf = encode_leaf(b"x" * CHUNK_BYTES)
    lying_root = encode_inner((child(leaf, CHUNK_BYTES), child(leaf, 5)))
    missing_root = encode_inner((child(leaf, CHUNK_BYTES), Child(Digest(bytes(32)), 5, 13)))
    deep = encode_leaf(b"x")
    chain = [deep := encode_inner((child(deep, 1),)) for _ in range(10)]
    with start_ipfs(tmp_path) as daemon:
        for block in (leaf, lying_root, missing_root, encode_leaf(b"x"), *chain):
            plant(tmp_path, block)
        directory = plant(tmp_path, bytes.fromhex("0a020801"))
        garbage = plant(tmp_path, os.urandom(100))
        large = plant(tmp_path, os.urandom(1_500_000))
        for cid in (directory, garbage, large):
            assert message(post(daemon, "files/stat", params={"arg": cid})).startswith("not a")
            assert message(post(daemon, "pin/add", params={"arg": cid})).startswith("not a")
        for block in (lying_root, missing_root, chain[-1]):
            cid = to_cid(child(block, 0).digest)
            assert post(daemon, "pin/add", params={"arg": cid, "timeout": "300ms"}).status_code == 500
            with pytest.raises(requests.RequestException):
                post(daemon, "cat", params={"arg": cid, "timeout": "300ms"})
        assert post(daemon, "pin/ls").json() == {"Keys": {}}


def test_cat__when_many_wait_for_what_nobody_has__then_others_are_served(ipfs: IpfsDaemon, other: IpfsDaemon) -> None:
    missing = [to_cid(Digest(os.urandom(32))) for _ in range(MAX_ABANDONED + 40)]
    present = os.urandom(600_000)
    with ThreadPoolExecutor(64) as pool:
        waiting = [pool.submit(post, other, "cat", params={"arg": cid, "timeout": "200ms"}) for cid in missing]
        assert post(other, "cat", params={"arg": add(ipfs, present), "timeout": "20s"}).content == present
        assert {message(answer.result()) for answer in waiting} == {"context deadline exceeded"}
    late = os.urandom(600_000)  # after the node was restarted under its routes, its peers come back
    assert post(other, "cat", params={"arg": add(ipfs, late), "timeout": "20s"}).content == late


def test_pin__when_added_kept_and_let_go__then_the_list_follows(tmp_path: Path) -> None:
    with start_ipfs(tmp_path) as daemon:
        first, second = add(daemon, b"first"), add(daemon, os.urandom(600_000))
        assert set(post(daemon, "pin/ls").json()["Keys"]) == {first, second}
        assert post(daemon, "pin/rm", params={"arg": first}).json() == {"Pins": [first]}
        assert message(post(daemon, "pin/rm", params={"arg": first})) == "not pinned or pinned indirectly"
        assert "is not pinned" in message(post(daemon, "pin/ls", params={"arg": first}))
    with start_ipfs(tmp_path) as daemon:
        assert set(post(daemon, "pin/ls").json()["Keys"]) == {second}
        assert len(post(daemon, "cat", params={"arg": second}).content) == 600_000
        assert post(daemon, "pin/add", params={"arg": first}).json() == {"Pins": [first]}
        assert post(daemon, "pin/ls", params={"arg": first}).json() == {"Keys": {first: {"Type": "recursive"}}}


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("cat", {"arg": ""}),
        ("cat", {"arg": "../../etc/passwd"}),
        ("cat", {"arg": "/ipns/example.org"}),
        ("cat", {"arg": MISSING, "timeout": "for ever"}),
        ("cat", {"arg": MISSING, "offset": "-1"}),
        ("files/stat", {"arg": "/etc/passwd"}),
        ("add", {}),
        ("add", {"raw-leaves": "true"}),
        ("add", {"chunker": "rabin"}),
        ("add", {"cid-version": "1"}),
        ("swarm/connect", {"arg": "not a multiaddress"}),
        ("swarm/connect", {"arg": ""}),
    ],
)
def test_rpc__when_asked_badly__then_says_so_and_lives_on(ipfs: IpfsDaemon, path: str, params: dict[str, str]) -> None:
    assert message(post(ipfs, path, params=params))
    assert post(ipfs, "version").json()["Version"].startswith("0.")


def test_rpc__when_a_browser_or_another_host_name_asks__then_refuses(ipfs: IpfsDaemon) -> None:
    assert post(ipfs, "id", headers={"Origin": "https://example.org"}).status_code == 403
    assert post(ipfs, "id", headers={"Referer": "https://example.org"}).status_code == 403
    assert post(ipfs, "id", headers={"Host": "rebound.example.org"}).status_code == 400
    assert requests.get(f"{ipfs.api}/api/v0/id", timeout=5).status_code == 405
    assert post(ipfs, "id").json()["Addresses"] == [ipfs.peer]


def test_start_ipfs__when_the_folder_is_a_file__then_says_so(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(BadInput, match="cannot be made"), start_ipfs(file / "repo"):
        pass


def test_start_ipfs__when_the_port_is_taken__then_says_so(ipfs: IpfsDaemon, tmp_path: Path) -> None:
    taken = ipfs.api.removeprefix("http://")
    with pytest.raises(BadInput, match="or take another address"), start_ipfs(tmp_path, api=taken):
        pass


def test_start_ipfs__when_a_node_runs_in_the_folder__then_refused_and_its_address_stays(tmp_path: Path) -> None:
    with start_ipfs(tmp_path) as first, pytest.raises(BadInput, match="Use it, stop it first"), start_ipfs(tmp_path):
        pass
    with start_ipfs(tmp_path) as again:
        assert again.peer == first.peer


def test_start_ipfs__when_started_again__then_it_is_the_same_node_at_the_same_address(tmp_path: Path) -> None:
    with start_ipfs(tmp_path) as first:
        pass
    with start_ipfs(tmp_path) as second:
        assert second.peer == first.peer


def test_start_ipfs__when_the_parent_is_killed__then_the_node_ends(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from ledger.kubo import start_ipfs\n"
        f"with start_ipfs(Path({str(tmp_path / 'repo')!r})) as d: print(d.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    assert ended(pid, within=5.0)


def ended(pid: int, within: float) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False
