"""The Kubo RPC routes that we use, answered as Kubo answers them.

Like Kubo's own, this interface is for programs on the same machine: it takes POST only, refuses every request that
a browser sends (`Origin`, `Referer`) or that names a host which is not loopback, and has no passwords.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from tempfile import NamedTemporaryFile

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ledger.cid import Digest, from_cid, to_cid
from ledger.errors import BadInput
from ledger.kubo.blocks import Blocks, Pins, in_thread
from ledger.kubo.library import KUBO_VERSION, KuboNode, LibraryFailed
from ledger.unixfs import MalformedBlock, Node, decode, encode_inner, encode_leaf

DEFAULT_TIMEOUT_S = 300.0
COPY_BYTES = 1 << 20

_IMPORT_SETTING = {
    "chunker": ("size-262144",),
    "cid-version": ("0",),
    "raw-leaves": ("false",),
    "trickle": ("false",),
    "nocopy": ("false",),
    "only-hash": ("false",),
    "wrap-with-directory": ("false",),
    "pin": ("true",),
}
"""The one import setting; a request for another is refused rather than answered with another CID."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Refused(Exception):
    """A request that cannot be answered; the text goes back to the client as Kubo's own errors do."""


class Rpc:
    """One handler a route."""

    def __init__(self, node: KuboNode, blocks: Blocks, pins: Pins, folder: Path) -> None:
        self._node, self._blocks, self._pins, self._folder = node, blocks, pins, folder

    def application(self) -> Starlette:
        handlers = {
            "version": self.version,
            "id": self.identity,
            "add": self.add,
            "cat": self.cat,
            "files/stat": self.stat,
            "pin/add": self.pin_add,
            "pin/rm": self.pin_rm,
            "pin/ls": self.pin_ls,
            "swarm/connect": self.swarm_connect,
            "swarm/peers": self.swarm_peers,
        }
        return Starlette(
            routes=[Route(f"/api/v0/{path}", _answered(call), methods=["POST"]) for path, call in handlers.items()],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])],
        )

    async def version(self, request: Request) -> Response:
        return JSONResponse({"Version": KUBO_VERSION, "Commit": "", "Repo": "14", "System": "embedded"})

    async def identity(self, request: Request) -> Response:
        addresses = await in_thread(self._node.addresses)
        return JSONResponse({"ID": self._node.peer_id, "Addresses": addresses, "AgentVersion": f"kubo/{KUBO_VERSION}"})

    async def add(self, request: Request) -> Response:
        for name, allowed in _IMPORT_SETTING.items():
            given = request.query_params.get(name, allowed[0]).lower()
            if given not in allowed:
                raise Refused(f"this node imports files with {name}={allowed[0]} only")
        async with request.form(max_files=1, max_fields=0) as form:
            uploads = [value for value in form.values() if isinstance(value, UploadFile)]
            if len(uploads) != 1:
                raise Refused("file argument 'path' is required, once")
            cid, size = await self._import(uploads[0])
        self._pins.add(cid)
        return JSONResponse({"Name": cid, "Hash": cid, "Size": str(size)})

    async def _import(self, upload: UploadFile) -> tuple[str, int]:
        size = 0
        with NamedTemporaryFile(dir=self._folder) as file:
            while part := await upload.read(COPY_BYTES):
                size += file.write(part)
            file.flush()
            return await in_thread(lambda: self._node.add(Path(file.name))), size

    async def cat(self, request: Request) -> Response:
        digest, seconds = _digest(request), _timeout(request)
        offset, length = _count(request, "offset", 0), _count(request, "length", None)
        deadline = asyncio.get_running_loop().time() + seconds
        async with asyncio.timeout_at(deadline):
            root = await self._root(digest)
        parts = _window(self._until(deadline, root), offset or 0, root.size if length is None else length)
        return StreamingResponse(parts, media_type="application/octet-stream", headers={"X-Stream-Output": "1"})

    async def _until(self, deadline: float, root: Node) -> AsyncGenerator[bytes, None]:
        async with asyncio.timeout_at(deadline), contextlib.aclosing(self._blocks.read(root)) as parts:
            async for part in parts:
                yield part

    async def stat(self, request: Request) -> Response:
        digest = _digest(request)
        async with asyncio.timeout(_timeout(request)):
            root = await self._root(digest)
        block = encode_inner(root.children) if root.children else encode_leaf(root.data)
        total = sum(child.total for child in root.children) + len(block)
        body = {"Hash": to_cid(digest), "Size": root.size, "CumulativeSize": total, "Blocks": len(root.children)}
        return JSONResponse(body | {"Type": "file"})

    async def pin_add(self, request: Request) -> Response:
        digest = _digest(request)
        async with asyncio.timeout(_timeout(request)):
            async with contextlib.aclosing(self._blocks.read(await self._root(digest))) as parts:
                async for _ in parts:  # the library waits for ever for what is not here, so have it here first
                    pass
            await in_thread(lambda: self._node.pin(digest))
        self._pins.add(to_cid(digest))
        return JSONResponse({"Pins": [to_cid(digest)]})

    async def pin_rm(self, request: Request) -> Response:
        cid = to_cid(_digest(request))
        if cid not in self._pins.roots:
            raise Refused("not pinned or pinned indirectly")
        self._pins.remove(cid)
        await in_thread(lambda: self._node.unpin(from_cid(cid)))
        return JSONResponse({"Pins": [cid]})

    async def pin_ls(self, request: Request) -> Response:
        roots = set(self._pins.roots)
        if request.query_params.get("arg"):
            cid = to_cid(_digest(request))
            if cid not in roots:
                raise Refused(f"path '{cid}' is not pinned")
            roots = {cid}
        return JSONResponse({"Keys": {cid: {"Type": "recursive"} for cid in sorted(roots)}})

    async def swarm_connect(self, request: Request) -> Response:
        multiaddr = request.query_params.get("arg", "")
        async with asyncio.timeout(_timeout(request)):
            await in_thread(lambda: self._node.connect(multiaddr))
        return JSONResponse({"Strings": [f"connect {multiaddr.rpartition('/')[2]} success"]})

    async def swarm_peers(self, request: Request) -> Response:
        peers = [address.rpartition("/p2p/") for address in await in_thread(self._node.peers)]
        return JSONResponse({"Peers": [{"Addr": address, "Peer": peer} for address, _, peer in peers]})

    async def _root(self, digest: Digest) -> Node:
        return decode(await self._blocks.get(digest))


def _answered(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Answer errors as Kubo does: status 500 and a JSON object with the message."""

    async def answer(request: Request) -> Response:
        if "origin" in request.headers or "referer" in request.headers:
            return JSONResponse({"Message": "not for browsers", "Code": 0, "Type": "error"}, status_code=403)
        try:
            return await handler(request)
        except TimeoutError:
            message = "context deadline exceeded"
        except (Refused, BadInput, LibraryFailed, MalformedBlock, MultiPartException) as error:
            message = str(error)
        return JSONResponse({"Message": message, "Code": 0, "Type": "error"}, status_code=500)

    return answer


async def _window(parts: AsyncGenerator[bytes, None], offset: int, length: int) -> AsyncGenerator[bytes, None]:
    """Yield `length` bytes from `offset` on."""
    async for part in parts:
        piece = part[offset : offset + length]
        offset = max(0, offset - len(part))
        length -= len(piece)
        if piece:
            yield piece
        if length <= 0:
            return


def _digest(request: Request) -> Digest:
    return from_cid(request.query_params.get("arg", "").removeprefix("/ipfs/"))


def _count(request: Request, name: str, default: int | None) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Refused(f"{name} is not a number of bytes")
    return int(text)


def _timeout(request: Request) -> float:
    text = request.query_params.get("timeout")
    if text is None:
        return DEFAULT_TIMEOUT_S
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)", text)
    if match is None:
        raise Refused("timeout is not a duration such as 10s")
    return float(match[1]) * _UNITS[match[2]]
