"""Files from blocks, with limits that the library does not know: time, size, and what a block may be.

The library gets a block or waits for ever. Each wait has a thread of its own, shared by all who ask for the block,
so that a missing block costs one thread however often it is asked for, and holds up nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar

from ledger.cid import Digest
from ledger.kubo.library import KuboNode, LibraryFailed
from ledger.unixfs import MAX_BLOCK_BYTES, Child, MalformedBlock, Node, decode

T = TypeVar("T")

AHEAD = 16
"""Blocks of a file that are asked for at once."""

MAX_ABANDONED = 256
"""Waits that nobody waits for any more, after which the node is restarted to end them."""

MAX_DEPTH = 5
"""Levels of a file's tree: enough for a file of 2**47 bytes."""


def in_thread(call: Callable[[], T]) -> asyncio.Future[T]:
    """Run a call that may never return in a thread that nobody waits for in the end."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # a waiter that gives up must not cancel the call

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return asyncio.wrap_future(future)


@dataclass
class _Wait:
    future: Future[bytes] = field(default_factory=Future)
    waiters: int = 0


class Blocks:
    """The blocks of one node, each fetched at most once at a time."""

    def __init__(self, node: KuboNode, folder: Path) -> None:
        self._node = node
        self._folder = folder
        self._lock = threading.Lock()
        self._waits: dict[Digest, _Wait] = {}
        self._names = count()
        folder.mkdir(parents=True, exist_ok=True)

    async def get(self, digest: Digest) -> bytes:
        """Return the block with this digest, waiting for it until cancelled."""
        while True:
            wait = self._join(digest)
            try:
                return await asyncio.wrap_future(wait.future)
            except LibraryFailed:
                await asyncio.sleep(0.05)  # the node was restarted under us: ask again
            finally:
                self._leave(wait)

    async def node(self, child: Child) -> Node:
        """Return the node that a link promises.

        Raises: MalformedBlock if it is smaller or larger than promised.
        """
        node = decode(await self.get(child.digest))
        if node.size != child.size:
            raise MalformedBlock("not a file: a link lies about its size")
        return node

    async def read(self, node: Node, depth: int = 1) -> AsyncGenerator[bytes, None]:
        """Yield the file below `node` in order; never more than `node.size` bytes."""
        if depth > MAX_DEPTH:
            raise MalformedBlock("not a file: a tree too deep")
        if not node.children:
            yield node.data
            return
        links = iter(node.children)
        ahead: deque[asyncio.Task[Node]] = deque()
        try:
            for child in links:
                ahead.append(asyncio.create_task(self.node(child)))
                if len(ahead) == AHEAD:
                    async for part in self.read(await ahead.popleft(), depth + 1):
                        yield part
            while ahead:
                async for part in self.read(await ahead.popleft(), depth + 1):
                    yield part
        finally:
            for task in ahead:
                task.cancel()

    def _join(self, digest: Digest) -> _Wait:
        with self._lock:
            wait = self._waits.get(digest)
            if wait is None:
                wait = self._waits[digest] = _Wait()
                wait.future.set_running_or_notify_cancel()  # a waiter that gives up must not cancel the others
                threading.Thread(target=self._fetch, args=(digest, wait), daemon=True).start()
            wait.waiters += 1
            return wait

    def _leave(self, wait: _Wait) -> None:
        with self._lock:
            wait.waiters -= 1
            abandoned = [digest for digest, other in self._waits.items() if not other.waiters]
            if len(abandoned) <= MAX_ABANDONED:
                return
            for digest in abandoned:
                del self._waits[digest]
        threading.Thread(target=self._node.restart, daemon=True).start()

    def _fetch(self, digest: Digest, wait: _Wait) -> None:
        path = self._folder / f"block-{next(self._names)}"
        try:
            block = self._fetched(digest, path)
        except Exception as error:
            self._settle(digest, wait)
            wait.future.set_exception(error)
        else:
            self._settle(digest, wait)
            wait.future.set_result(block)
        finally:
            path.unlink(missing_ok=True)

    def _fetched(self, digest: Digest, path: Path) -> bytes:
        self._node.download_block(digest, path)
        with path.open("rb") as file:
            block = file.read(MAX_BLOCK_BYTES + 1)
        if hashlib.sha256(block).digest() != digest:
            raise MalformedBlock("not a file: a block of more than a chunk")
        return block

    def _settle(self, digest: Digest, wait: _Wait) -> None:
        with self._lock:
            if self._waits.get(digest) is wait:
                del self._waits[digest]


class Pins:
    """Which files are pinned, by their roots; the library lists pins without telling roots from parts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.roots: set[str] = set(path.read_text().split()) if path.exists() else set()

    def add(self, cid: str) -> None:
        with self._lock:
            self.roots.add(cid)
            self._write()

    def remove(self, cid: str) -> None:
        with self._lock, contextlib.suppress(KeyError):
            self.roots.remove(cid)
            self._write()

    def _write(self) -> None:
        temporary = self._path.with_suffix(".new")
        temporary.write_text("\n".join(sorted(self.roots)))
        temporary.replace(self._path)
