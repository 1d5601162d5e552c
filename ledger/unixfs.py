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


def _digest(chunks: Iterable[bytes]) -> Digest:
    level = [_child(encode_leaf(chunk), len(chunk), ()) for chunk in chunks] or [_child(encode_leaf(b""), 0, ())]
    while len(level) > 1:
        groups = [tuple(level[start : start + WIDTH]) for start in range(0, len(level), WIDTH)]
        level = [_child(encode_inner(group), sum(child.size for child in group), group) for group in groups]
    return level[0].digest


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
        tag, at = _read_varint(message, at)
        value, at = _read_varint(message, at)
        if tag & 7 == _VARINT:
            yield tag >> 3, value
        elif tag & 7 == _BYTES and at + value <= len(message):
            yield tag >> 3, message[at : at + value]
            at += value
        else:
            raise MalformedBlock("not a protobuf message of numbers and bytes")


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise MalformedBlock("a number in the block is cut off or too long")


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _field(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
