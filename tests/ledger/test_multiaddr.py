"""Peers' addresses, most of them hostile."""

from __future__ import annotations

import pytest

from ledger.errors import BadInput
from ledger.multiaddr import check_multiaddr

pytestmark = pytest.mark.unit

PEER = "QmbNqADcnajwmujvB3eA9RYf77bcUTgCq3r8cV9GjECH8o"


@pytest.mark.parametrize(
    "text",
    [
        f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}",
        f"/dns4/node.example.org/udp/4001/quic-v1/p2p/{PEER}",
        f"/ip6/::1/tcp/1/p2p/{PEER}",
    ],
)
def test_check_multiaddr__when_well_formed__then_returns_it(text: str) -> None:
    assert check_multiaddr(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        PEER,
        "/ip4/127.0.0.1/tcp/4001",
        f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}\n",
        f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}/p2p-circuit",
        f"/ip4/127.0.0.1/tcp/4001/http/p2p/{PEER}",
        f"/ip4/127.0.0.1/tcp/999999/p2p/{PEER}",
        f"/unix/run/docker.sock/p2p/{PEER}",
        f"/dns/{'a' * 300}/tcp/1/p2p/{PEER}",
        f"/dns/x;rm -rf/tcp/1/p2p/{PEER}",
        "\ufffd" * 50,
    ],
)
def test_check_multiaddr__when_hostile__then_refuses(text: str) -> None:
    with pytest.raises(BadInput, match="not an IPFS node's address"):
        check_multiaddr(text)
