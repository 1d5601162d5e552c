"""Files as blocks: the same CIDs as Kubo's, and nothing but the one layout accepted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.cid import Digest, to_cid
from ledger.unixfs import (
    CHUNK_BYTES,
    WIDTH,
    Child,
    MalformedBlock,
    decode,
    digest_of,
    digest_of_file,
    encode_inner,
    encode_leaf,
)

pytestmark = pytest.mark.unit

KUBO: dict[str, str] = json.loads((Path(__file__).parents[1] / "fixtures" / "kubo_cids.json").read_text())
"""By size: the CID that Kubo 0.22 gave the file that repeats the bytes 0 to 250."""

FULL_ROOT = encode_inner(tuple(Child(Digest(bytes(32)), CHUNK_BYTES, CHUNK_BYTES + 14) for _ in range(3)))


def repeated(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.mark.parametrize("size", sorted(map(int, KUBO)))
def test_digest_of__at_every_edge_of_the_tree__then_equals_kubo(size: int, tmp_path: Path) -> None:
    data = repeated(size)
    file = tmp_path / "file"
    file.write_bytes(data)
    assert to_cid(digest_of(data)) == KUBO[str(size)]
    assert digest_of_file(file) == digest_of(data)


@given(st.binary(max_size=1000))
def test_decode__when_given_a_leaf__then_returns_its_data(data: bytes) -> None:
    node = decode(encode_leaf(data))
    assert (node.data, node.size, node.children) == (data, len(data), ())


@given(st.integers(1, WIDTH), st.integers(1, CHUNK_BYTES), st.sampled_from([1, WIDTH, WIDTH**2]))
def test_decode__when_given_an_inner_node__then_returns_its_children(count: int, last: int, leaves: int) -> None:
    sizes = [CHUNK_BYTES * leaves] * (count - 1) + [last]
    children = tuple(Child(Digest(bytes([i]) * 32), size, size + 14) for i, size in enumerate(sizes))
    node = decode(encode_inner(children))
    assert node.children == children
    assert node.size == sum(sizes)


@given(st.binary(max_size=200))
def test_decode__when_given_any_bytes__then_refuses_or_encodes_back(block: bytes) -> None:
    try:
        node = decode(block)
    except MalformedBlock:
        return
    assert block == (encode_inner(node.children) if node.children else encode_leaf(node.data))


@given(st.integers(0, len(FULL_ROOT) - 1), st.integers(0, 255))
def test_decode__when_a_byte_of_a_root_changes__then_only_hashes_and_totals_may_differ(at: int, value: int) -> None:
    block = FULL_ROOT[:at] + bytes([value]) + FULL_ROOT[at + 1 :]
    try:
        node = decode(block)
    except MalformedBlock:
        return
    assert [child.size for child in node.children] == [CHUNK_BYTES] * 2 + [node.size - 2 * CHUNK_BYTES]


@pytest.mark.parametrize(
    "block",
    [
        b"",
        bytes.fromhex("0a020801"),
        bytes.fromhex("0a04080418ff"),
        b"\x0a" + b"\xff" * 20,
        encode_leaf(b"x") + encode_leaf(b"y"),
        encode_leaf(b"x" * (CHUNK_BYTES + 1)),
        encode_inner((Child(Digest(bytes(32)), 0, 0),)),
        encode_inner((Child(Digest(bytes(32)), 5, 5), Child(Digest(bytes(32)), 5, 5))),
        encode_inner((Child(Digest(bytes(32)), CHUNK_BYTES, 5), Child(Digest(bytes(32)), CHUNK_BYTES + 1, 5))),
        encode_inner(tuple(Child(Digest(bytes(32)), CHUNK_BYTES, 5) for _ in range(WIDTH + 1))),
        encode_inner((Child(Digest(bytes(32)), 1 << 62, 1), Child(Digest(bytes(32)), 1, 1))),
        FULL_ROOT[:-1],
    ],
    ids=["empty", "directory", "symlink", "endless", "two", "long", "no-bytes", "short-first", "long-last", "wide",
         "huge", "cut-off"],
)  # fmt: skip
def test_decode__when_not_our_layout__then_refuses(block: bytes) -> None:
    with pytest.raises(MalformedBlock):
        decode(block)
