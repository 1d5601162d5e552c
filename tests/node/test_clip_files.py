"""Clip files: what was written is read again, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from ledger.keccak import keccak
from node.clip_files import BadClipFile, Clipping, clip_file_bytes, clip_hashes, decode_clip, encode_clip, pack_scales

pytestmark = pytest.mark.unit

CLIPPING = Clipping((65536, 1), np.array([[1, 2, 3], [0, 2**40, 5]], dtype=np.uint64))


def test_decode_clip__when_encoded__then_gives_the_same_back_in_the_bytes_of_the_protocol() -> None:
    data = encode_clip(CLIPPING)
    assert len(data) == clip_file_bytes(2, 3) == 16 + 2 * 3 + 2 * 3 * 8
    assert data[:22] == b"FBC1" + bytes([2, 0, 0, 0, 3, 0, 0, 0]) + bytes(4) + bytes([1, 0, 0, 0, 0, 1])
    again = decode_clip(data, 2, 3)
    assert again.scales == CLIPPING.scales
    assert np.array_equal(again.distances_PC, CLIPPING.distances_PC)


def test_clip_hashes__then_they_are_those_of_the_scales_and_of_the_roots() -> None:
    roots = [tree.root for tree in CLIPPING.trees()]
    packed = pack_scales(CLIPPING.scales)
    assert clip_hashes(packed, roots) == (keccak(packed), keccak(roots[0] + roots[1]))


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda data: data[:-1], "bytes"),
        (lambda data: data + b"\0", "bytes"),
        (lambda data: b"FBS1" + data[4:], "FBC1"),
        (lambda data: data[:12] + b"\1" + data[13:], "reserved"),
        (lambda data: data[:4] + b"\3" + data[5:], "pairs"),
        (lambda data: data[:-16] + b"\xff" * 16, "64 bits"),
    ],
)
def test_decode_clip__when_the_file_is_wrong__then_says_what(change: object, detail: str) -> None:
    assert callable(change)
    with pytest.raises(BadClipFile, match=detail):
        decode_clip(change(encode_clip(CLIPPING)), 2, 3)
