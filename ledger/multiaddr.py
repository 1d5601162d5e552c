"""Addresses of IPFS nodes and endpoints: text that came from a chain, a file or a person."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ledger.errors import BadInput

MAX_MULTIADDR = 256

_MULTIADDR = re.compile(
    r"/(ip4/[0-9.]{7,15}|ip6/[0-9a-fA-F:]{2,39}|dns[46]?/[A-Za-z0-9.-]{1,200})"
    r"/(tcp|udp)/[0-9]{1,5}(/quic|/quic-v1|/ws|/wss)?/(p2p|ipfs)/[1-9A-HJ-NP-Za-km-z]{32,64}"
)


def check_multiaddr(text: str) -> str:
    """Return `text` if it is the multiaddress of an IPFS node: a host, a port, a peer id, and nothing else.

    Raises: BadInput
    """
    if len(text) > MAX_MULTIADDR or not _MULTIADDR.fullmatch(text):
        raise BadInput(f"{text[:100]!r} is not an IPFS node's address, such as /ip4/10.0.0.1/tcp/4001/p2p/12D3Koo…")
    return text


def endpoint_multiaddr(api: str) -> str:
    """Turn an endpoint's `http://host:port` into a multiaddress; leave a multiaddress as it is.

    Raises: ValueError if `api` is neither.
    """
    if api.startswith("/"):
        return api
    parts = urlsplit(api)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise ValueError(api)
    host = parts.hostname
    kind = "ip6" if ":" in host else "ip4" if re.fullmatch(r"[0-9.]+", host) else "dns"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"/{kind}/{host}/tcp/{port}/{parts.scheme}"
