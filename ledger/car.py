"""CAR files: many IPFS blocks in one file, from which files are read with no IPFS node at all.

CAR version 1 (https://ipld.io/specs/transport/car/carv1/) with CIDv0 alone: what `ipfs dag import` reads and what
`ipfs dag export` writes for our files. A CAR file is as hostile as any peer: nothing in it is believed before its
hash was taken.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ledger.cid import SHA2_256, Digest, to_cid
from ledger.errors import BadInput, ContentMismatch, ContentTooLarge, ContentUnavailable
from ledger.unixfs import MAX_BLOCK_BYTES, MalformedBlock, Node, decode, file_blocks
from ledger.varint import MAX_BYTES, BadVarint, encode_varint, read_varint
from ledger.whole_files import replacing

MAX_HEADER_BYTES = 8 << 20
"""Room for some 200,000 roots."""
MAX_DEPTH = 8
"""Levels of a file's tree: far more than any file of ours has."""

_CID_BYTES = len(SHA2_256) + 32
_ROOTS, _VERSION = b"\xa2\x65roots", b"\x67version"
_LINK = b"\xd8\x2a\x58\x23\x00"
"""DAG-CBOR's tag of a link, and the head of its 35 bytes: a zero, then a CIDv0."""
_VERSION_2 = b"\x0a\xa1\x67version\x02"
_LENGTHS = ((0x98, 1), (0x99, 2), (0x9A, 4))
"""Heads of CBOR arrays that give their length in so many bytes."""


class BadCar(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(f"The CAR file {path} can't be used: {detail}. `fedbounty export` writes whole ones.")


class NotInCar(ContentUnavailable):
    """A file is not, or not wholly, in the CAR file; asking again does not help."""

    retryable = False

    def __init__(self, cid: str, path: Path) -> None:
        super().__init__(cid, 0.0)
        self.path = path
        self.args = (f"{cid} is not in the CAR file {path}.",)


def write_car(
    target: Path, files: Sequence[tuple[Digest, Path]], progress: Callable[[int], None] = lambda n: None
) -> int:
    """Write files, by digest, as one CAR file whose roots they are; its size in bytes. Each block is written once.

    progress: called after each file with the number of those that are done.
    Holds:    `target` is whole or untouched; the same files in the same order give the same bytes.
    Raises:   ContentMismatch if a file does not have its digest.
    """
    written: set[Digest] = set()
    with replacing(target) as out:
        header = _header([digest for digest, _ in files])
        out.write(encode_varint(len(header)) + header)
        for done, (digest, path) in enumerate(files, 1):
            root = None
            for root, block in file_blocks(path):
                if root not in written:
                    written.add(root)
                    out.write(encode_varint(_CID_BYTES + len(block)) + SHA2_256 + root + block)
            if root != digest:
                raise ContentMismatch(to_cid(digest), f"the file {path} holds other bytes")
            progress(done)
        return out.tell()


@dataclass(frozen=True)
class _Place:
    start: int
    size: int


class CarStore:
    """The files of one CAR file. Safe to use from several threads.

    Making it reads where the file's blocks are; a block's hash is taken whenever it is read.
    """

    def __init__(self, path: Path) -> None:
        """Raises: BadCar if it is no CAR file of ours, is cut off, or lacks a root that it names."""
        self.path = path
        try:
            with path.open("rb") as file:
                scan = _Scan(path, file)
                self.roots, start = scan.header()
                self._places = scan.blocks(start)
        except OSError as error:
            raise BadCar(path, error.strerror or "it can't be read") from error
        missing = [root for root in self.roots if root not in self._places]
        if missing:
            raise BadCar(path, f"it names the root {to_cid(missing[0])} but does not hold it")

    def fetch_to(self, digest: Digest, path: Path, max_bytes: int, timeout_s: float) -> None:
        """Write the file to `path`, in constant memory; `path` is whole and right, or untouched.

        timeout_s: of no account: nothing is waited for.
        Raises:    ContentTooLarge, NotInCar, ContentMismatch if a block is not what its CID says.
        """
        with self.path.open("rb") as car, replacing(path) as file:
            root = self._node(car, digest, digest)
            if root.size > max_bytes:
                raise ContentTooLarge(to_cid(digest), max_bytes)
            file.writelines(self._below(car, root, digest, 1))

    def _below(self, car: IO[bytes], node: Node, file: Digest, depth: int) -> Iterator[bytes]:
        """The bytes below a node; never more than it says, since each child has the size that its link promises."""
        if depth > MAX_DEPTH:
            raise ContentMismatch(to_cid(file), "its tree is too deep")
        if not node.children:
            yield node.data
        for child in node.children:
            found = self._node(car, child.digest, file)
            if found.size != child.size:
                raise ContentMismatch(to_cid(file), "a link lies about its size")
            yield from self._below(car, found, file, depth + 1)

    def _node(self, car: IO[bytes], digest: Digest, file: Digest) -> Node:
        place = self._places.get(digest)
        if place is None:
            raise NotInCar(to_cid(file), self.path)
        block = os.pread(car.fileno(), place.size, place.start)
        if hashlib.sha256(block).digest() != digest:
            raise ContentMismatch(to_cid(file), f"the block at byte {place.start} of {self.path} has another hash")
        try:
            return decode(block)
        except MalformedBlock as error:
            raise ContentMismatch(to_cid(file), f"it is {error}") from error


class _Scan:
    """One pass over a CAR file's frame: every length is checked before it is believed."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._descriptor = file.fileno()
        self._size = os.fstat(self._descriptor).st_size

    def header(self) -> tuple[tuple[Digest, ...], int]:
        """The roots, and where the first block begins."""
        if self._read(0, len(_VERSION_2)) == _VERSION_2:
            raise BadCar(self._path, "it is of version 2, and only version 1 is read")
        size, start = self._number(0)
        if size > MAX_HEADER_BYTES:
            raise BadCar(self._path, f"its header would have {size} bytes")
        header = self._read(start, size)
        if len(header) != size:
            raise BadCar(self._path, "it is cut off in its header")
        roots = _roots(header)
        if not roots:
            raise BadCar(self._path, "its header is not that of a CAR file of version 1 whose roots are CIDv0")
        return roots, start + size

    def blocks(self, start: int) -> dict[Digest, _Place]:
        """Where each block is. The first counts where there are several with one CID: their bytes can't differ."""
        places: dict[Digest, _Place] = {}
        while start < self._size:
            section, at = self._number(start)
            if not _CID_BYTES <= section <= _CID_BYTES + MAX_BLOCK_BYTES:
                raise BadCar(self._path, f"the block at byte {start} would have {section} bytes")
            if at + section > self._size:
                raise BadCar(self._path, f"it is cut off in the block at byte {start}")
            cid = self._read(at, _CID_BYTES)
            if not cid.startswith(SHA2_256):
                raise BadCar(self._path, f"the block at byte {start} has a CID that is no CIDv0")
            places.setdefault(Digest(cid[len(SHA2_256) :]), _Place(at + _CID_BYTES, section - _CID_BYTES))
            start = at + section
        return places

    def _number(self, at: int) -> tuple[int, int]:
        try:
            value, used = read_varint(self._read(at, MAX_BYTES), 0)
        except BadVarint as error:
            raise BadCar(self._path, f"{error} at byte {at}") from error
        return value, at + used

    def _read(self, at: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, at)


def _header(roots: Sequence[Digest]) -> bytes:
    """The header in DAG-CBOR: `{"roots": [...], "version": 1}`."""
    links = b"".join(_LINK + SHA2_256 + root for root in roots)
    return _ROOTS + _array_head(len(roots)) + links + _VERSION + b"\x01"


def _array_head(length: int) -> bytes:
    if length < 24:
        return bytes((0x80 + length,))
    head, width = next((head, width) for head, width in _LENGTHS if length < 1 << 8 * width)
    return bytes((head,)) + length.to_bytes(width, "big")


def _roots(header: bytes) -> tuple[Digest, ...]:
    """The roots that a header names; none unless it is exactly the header that these roots have."""
    head = header[len(_ROOTS)] if len(header) > len(_ROOTS) else 0
    first = len(_ROOTS) + 1 + dict(_LENGTHS).get(head, 0)
    link = len(_LINK) + _CID_BYTES
    ends = range(first + link, len(header) - len(_VERSION), link)
    roots = tuple(Digest(header[end - 32 : end]) for end in ends)
    return roots if header == _header(roots) else ()
