"""Files as IPFS blocks, by the one import setting that the protocol allows.

CIDv0, chunks of 262144 bytes, a balanced tree of width 174, no raw leaves. A file's size fixes the tree's shape,
so the same bytes have the same CID everywhere, and a block that strays from the shape is refused when it arrives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.cid import SHA2_256, Digest
from ledger.varint import BadVarint, encode_varint, read_varint

CHUNK_BYTES = 262_144
WIDTH = 174
MAX_BLOCK_BYTES = 1 << 20
"""No block of ours is longer: a chunk and its framing, or 174 links."""

_FILE = 2
_VARINT, _BYTES = 0, 2


class MalformedBlock(Exception):
    """A block is not one that the protocol's import setting makes."""


@dataclass(frozen=True)
class Node:
    """One block of a file: a leaf with `data`, or an inner node with `children`."""

    size: int
    """Bytes of the file below this node."""
    data: bytes
    children: tuple[Child, ...]


@dataclass(frozen=True)
class Child:
    digest: Digest
    size: int
    """Bytes of the file below this child."""
    total: int
    """Bytes of the file below this child, with all blocks' framing."""


def digest_of(data: bytes) -> Digest:
    """Compute the digest in the CIDv0 that every IPFS node gives `data`."""
    view = memoryview(data)
    return _digest(bytes(view[start : start + CHUNK_BYTES]) for start in range(0, len(view), CHUNK_BYTES))


def digest_of_file(path: Path) -> Digest:
    """Compute the digest in the CIDv0 that every IPFS node gives the file at `path`, in constant memory."""
    with path.open("rb") as file:
        return _digest(iter(lambda: file.read(CHUNK_BYTES), b""))


def file_blocks(path: Path) -> Iterator[tuple[Digest, bytes]]:
    """Every block of the file at `path` with its digest, in constant memory: leaves first, the root last."""
    with path.open("rb") as file:
        yield from _blocks(iter(lambda: file.read(CHUNK_BYTES), b""))


def _digest(chunks: Iterable[bytes]) -> Digest:
    for digest, _block in _blocks(chunks):
        root = digest
    return root


def _blocks(chunks: Iterable[bytes]) -> Iterator[tuple[Digest, bytes]]:
    level: list[Child] = []
    for chunk in chunks:
        block = encode_leaf(chunk)
        level.append(_child(block, len(chunk), ()))
        yield level[-1].digest, block
    if not level:
        block = encode_leaf(b"")
        yield _child(block, 0, ()).digest, block
    while len(level) > 1:
        above: list[Child] = []
        for start in range(0, len(level), WIDTH):
            group = tuple(level[start : start + WIDTH])
            block = encode_inner(group)
            above.append(_child(block, sum(child.size for child in group), group))
            yield above[-1].digest, block
        level = above


def _child(block: bytes, size: int, children: tuple[Child, ...]) -> Child:
    total = len(block) + sum(child.total for child in children)
    return Child(Digest(hashlib.sha256(block).digest()), size, total)


def encode_leaf(chunk: bytes) -> bytes:
    """Frame one chunk as a block."""
    data = _field(2, chunk) if chunk else b""
    return _field(1, _number(1, _FILE) + data + _number(3, len(chunk)))


def encode_inner(children: tuple[Child, ...]) -> bytes:
    """Frame links to `children` as a block."""
    links = b"".join(
        _field(2, _field(1, SHA2_256 + child.digest) + _field(2, b"") + _number(3, child.total)) for child in children
    )
    sizes = b"".join(_number(4, child.size) for child in children)
    return links + _field(1, _number(1, _FILE) + _number(3, sum(child.size for child in children)) + sizes)


def decode(block: bytes) -> Node:
    """Read one block, which must be exactly what the import setting makes of its content.

    Raises: MalformedBlock if it is a directory, has another layout, or encodes the same in another way.
    """
    links, body = _parts(block)
    _, data, size, sizes = _body(body)
    if len(links) != len(sizes):
        raise MalformedBlock("not a file: links and sizes differ in number")
    children = tuple(Child(digest, below, total) for (digest, total), below in zip(links, sizes, strict=True))
    if block != (encode_inner(children) if children else encode_leaf(data)):
        raise MalformedBlock("not a file as the protocol's import setting makes it")
    if len(data) > CHUNK_BYTES or not _balanced(sizes):
        raise MalformedBlock("not the tree that the import setting makes for a file of this size")
    return Node(size, data, children)


def _balanced(sizes: list[int]) -> bool:
    """All children but the last are full subtrees, and the last is no larger."""
    if not sizes:
        return True
    full = CHUNK_BYTES
    while full < sizes[0]:
        full *= WIDTH
    whole = all(size == full for size in sizes[:-1])
    return whole and 0 < sizes[-1] <= full and len(sizes) <= WIDTH


def _parts(block: bytes) -> tuple[list[tuple[Digest, int]], bytes]:
    links: list[tuple[Digest, int]] = []
    body = b""
    for number, value in _fields(block):
        match number, value:
            case 2, bytes():
                links.append(_link(value))
            case 1, bytes():
                body = value
            case _:
                raise MalformedBlock("not a dag-pb block")
    return links, body


def _link(link: bytes) -> tuple[Digest, int]:
    match list(_fields(link)):
        case [(1, bytes(target)), (2, b""), (3, int(total))] if len(target) == 34 and target.startswith(SHA2_256):
            return Digest(target[2:]), total
    raise MalformedBlock("not a file: a link has a name or is not a CIDv0")


def _body(body: bytes) -> tuple[int, bytes, int, list[int]]:
    kind, data, size = 0, b"", 0
    sizes: list[int] = []
    for number, value in _fields(body):
        match number, value:
            case 1, int():
                kind = value
            case 2, bytes():
                data = value
            case 3, int():
                size = value
            case 4, int():
                sizes.append(value)
            case _:
                raise MalformedBlock("not a UnixFS file")
    if kind != _FILE:
        raise MalformedBlock("not a file: a directory, a link or something else")
    return kind, data, size, sizes


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(message):
        try:
            tag, at = read_varint(message, at)
            value, at = read_varint(message, at)
        except BadVarint as error:
            raise MalformedBlock(str(error)) from error
        if tag & 7 == _VARINT:
            yield tag >> 3, value
        elif tag & 7 == _BYTES and at + value <= len(message):
            yield tag >> 3, message[at : at + value]
            at += value
        else:
            raise MalformedBlock("not a protobuf message of numbers and bytes")


def _number(field: int, value: int) -> bytes:
    return encode_varint(field << 3 | _VARINT) + encode_varint(value)


def _field(field: int, value: bytes) -> bytes:
    return encode_varint(field << 3 | _BYTES) + encode_varint(len(value)) + value
