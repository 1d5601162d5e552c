"""What stands before every page of the explorer, asked over a real socket."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing

import pytest

from ledger.chain import connect
from ledger.devnet import Devnet, deploy_contracts
from ledger.transactions import Transactor
from node.connections import open_files, open_ledgers, open_store
from node.explorer.guards import HEADERS, MOST_PATH, MOST_QUERY
from node.explorer.server import PortTaken, serving
from node.settings import Settings, load_settings

pytestmark = pytest.mark.chain

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def settings(devnet: Devnet, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A new market without a bounty; nobody answers for IPFS."""
    folder = tmp_path_factory.mktemp("explorer")
    with (
        closing(connect(devnet.rpc_url, devnet.chain_id)) as chain,
        closing(Transactor(chain, devnet.keys[0], folder / "deployer")) as deployer,
    ):
        deployed = deploy_contracts(deployer)
    overrides = {
        ("chain", "rpc_url"): devnet.rpc_url,
        ("chain", "market"): deployed.market,
        ("chain", "poll_seconds"): 0.3,
        ("ipfs", "api"): NOBODY,
        ("home",): folder,
    }
    return load_settings(None, overrides)


@pytest.fixture(scope="module")
def port(settings: Settings) -> Iterator[int]:
    ledgers = open_ledgers(settings)
    with closing(ledgers.chain), serving(ledgers, open_files(settings, open_store(settings)), 0) as address:
        yield int(address.rstrip("/").rpartition(":")[2])


def ask(port: int, path: str = "/", method: str = "GET", host: str | None = None) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with closing(connection):
        connection.request(method, path, headers={"Host": host if host is not None else f"127.0.0.1:{port}"})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:8600", "127.0.0.1:1", "[::1]", "[::1]:8600"])
def test_host__when_it_is_this_machine__then_pages_are_shown(port: int, host: str) -> None:
    assert ask(port, host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8600", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1:x",
     "[::1", "10.0.0.1", "127.0.0.1:8600@evil.example"],
)  # fmt: skip
def test_host__when_it_is_another_name__then_it_is_refused(port: int, host: str) -> None:
    status, headers, body = ask(port, host=host)
    assert status == 400
    assert "Bounties" not in body
    assert headers["content-security-policy"] == HEADERS["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/", 200, "No bounty is running now."),
        ("/bounty/1", 404, "There is no bounty 1 in this market."),
        (f"/bounty/{2**80}", 404, "There is no bounty"),
        ("/bounty/1/round/1", 404, "There is no bounty 1"),
        ("/evaluation/1", 404, "There is no evaluation 1 here: the settings name no"),
        ("/account/0x12", 404, "That is not an Ethereum address"),
        ("/account/0x" + "ab" * 20, 200, "no part in any bounty"),
        ("/tx/0x" + "ab" * 32, 404, "no event of that transaction"),
        ("/tx/%3Cscript%3E", 404, "no event of that transaction"),
        ("/search?q=%3Cscript%3Ealert(1)%3C/script%3E", 200, "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("/nowhere", 404, "not one of the explorer"),
        ("/static/../server.py", 404, "not one of the explorer"),
        ("/static/%2e%2e/server.py", 404, "not one of the explorer"),
        ("/" + "x" * MOST_PATH, 400, "too long"),
        ("/search?q=" + "x" * MOST_QUERY, 400, "too long"),
    ],
)
def test_path__whatever_it_is__then_the_answer_is_clear_and_guarded(
    port: int, path: str, status: int, words: str
) -> None:
    found, headers, body = ask(port, path)
    assert (found, words in body) == (status, True), body
    assert "<script>alert" not in body
    assert {name: headers.get(name) for name in HEADERS} == HEADERS


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_method__when_it_would_write__then_it_is_refused(port: int, method: str) -> None:
    assert ask(port, method=method)[0] == 405


def test_serving__when_the_port_is_taken__then_the_error_says_what_to_do(settings: Settings, port: int) -> None:
    ledgers = open_ledgers(settings)
    files = open_files(settings, open_store(settings))
    with closing(ledgers.chain), pytest.raises(PortTaken, match="--port"), serving(ledgers, files, port):
        pass
