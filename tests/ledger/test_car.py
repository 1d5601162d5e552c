"""CAR files: what is written can be read by anyone, and nothing in a stranger's file is believed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import libipld
import pytest

from ledger.car import BadCar, CarStore, NotInCar, write_car
from ledger.cid import SHA2_256, Digest, from_cid, to_cid
from ledger.errors import ContentMismatch, ContentTooLarge
from ledger.unixfs import CHUNK_BYTES, WIDTH, Child, digest_of, encode_inner, encode_leaf, file_blocks
from ledger.varint import encode_varint, read_varint

pytestmark = pytest.mark.unit

SIZES = (0, 1, 1000, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 5)


def put(folder: Path, data: bytes) -> tuple[Digest, Path]:
    digest = digest_of(data)
    path = folder / to_cid(digest)
    path.write_bytes(data)
    return digest, path


def car_of(path: Path, blocks: list[bytes], roots: list[Digest]) -> Path:
    """A CAR file of any blocks, each under its own hash."""
    links = b"".join(b"\xd8\x2a\x58\x23\x00" + SHA2_256 + root for root in roots)
    header = b"\xa2\x65roots" + bytes((0x80 + len(roots),)) + links + b"\x67version\x01"
    parts = [encode_varint(len(header)) + header]
    parts += [encode_varint(34 + len(one)) + SHA2_256 + hashlib.sha256(one).digest() + one for one in blocks]
    path.write_bytes(b"".join(parts))
    return path


def digest_of_block(block: bytes) -> Digest:
    return Digest(hashlib.sha256(block).digest())


@pytest.fixture
def car(tmp_path: Path) -> Path:
    """A file of two blocks and more, and one of one."""
    write_car(tmp_path / "x.car", [put(tmp_path, os.urandom(CHUNK_BYTES + 9)), put(tmp_path, b"small")])
    return tmp_path / "x.car"


def test_write_car__when_read_back__then_every_file_is_the_same(tmp_path: Path) -> None:
    files = [put(tmp_path, os.urandom(size)) for size in SIZES]
    told: list[int] = []
    size = write_car(tmp_path / "x.car", files, told.append)
    assert told == list(range(1, len(files) + 1))
    assert size == (tmp_path / "x.car").stat().st_size
    store = CarStore(tmp_path / "x.car")
    assert store.roots == tuple(digest for digest, _ in files)
    for digest, path in files:
        store.fetch_to(digest, tmp_path / "out", path.stat().st_size, 0)
        assert (tmp_path / "out").read_bytes() == path.read_bytes()


def test_write_car__when_a_file_needs_two_levels__then_it_is_read_in_order(tmp_path: Path) -> None:
    data = b"".join(bytes((index % 251,)) * CHUNK_BYTES for index in range(WIDTH + 2))
    digest, path = put(tmp_path, data)
    write_car(tmp_path / "x.car", [(digest, path)])
    CarStore(tmp_path / "x.car").fetch_to(digest, tmp_path / "out", len(data), 0)
    assert (tmp_path / "out").read_bytes() == data


@pytest.mark.parametrize("count", [1, 23, 24, 255, 256, 300])
def test_write_car__then_another_implementation_reads_its_header(tmp_path: Path, count: int) -> None:
    files = [put(tmp_path, str(index).encode()) for index in range(count)]
    write_car(tmp_path / "x.car", files)
    data = (tmp_path / "x.car").read_bytes()
    size, start = read_varint(data, 0)
    header = libipld.decode_dag_cbor(data[start : start + size])
    assert header["version"] == 1
    assert header["roots"] == [SHA2_256 + digest for digest, _ in files]
    assert libipld.encode_dag_cbor(header) == data[start : start + size]
    assert len(CarStore(tmp_path / "x.car").roots) == count


def test_write_car__when_files_share_blocks__then_each_is_written_once(tmp_path: Path) -> None:
    files = [put(tmp_path, bytes(CHUNK_BYTES * chunks)) for chunks in (2, 3)]
    write_car(tmp_path / "x.car", [*files, files[0]])
    assert (tmp_path / "x.car").stat().st_size < 2 * CHUNK_BYTES
    CarStore(tmp_path / "x.car").fetch_to(files[1][0], tmp_path / "out", 3 * CHUNK_BYTES, 0)
    assert (tmp_path / "out").read_bytes() == files[1][1].read_bytes()


def test_write_car__when_a_file_was_changed__then_refuses_and_the_old_car_stays(tmp_path: Path, car: Path) -> None:
    before = car.read_bytes()
    digest, path = put(tmp_path, b"once")
    path.write_bytes(b"twice")
    with pytest.raises(ContentMismatch, match="holds other bytes"):
        write_car(car, [(digest, path)])
    assert car.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


@pytest.mark.parametrize("cut", [0, 1, 30, 60, 200, -1, -6, -60])
def test_open__when_cut_off__then_refuses(tmp_path: Path, car: Path, cut: int) -> None:
    (tmp_path / "cut.car").write_bytes(car.read_bytes()[:cut])
    with pytest.raises(BadCar, match=r"cut off|header|does not hold"):
        CarStore(tmp_path / "cut.car")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"no CAR file at all", "header"),
        (b"\x0a\xa1\x67version\x02" + bytes(40), "version 2"),
        (b"\xff" * 20, "number"),
        (encode_varint(1 << 40) + b"x", "would have 1099511627776 bytes"),
        (encode_varint(20) + b"\xa2\x65roots\x80\x67version\x01" + bytes(3), "header is not"),
    ],
)
def test_open__when_it_is_something_else__then_says_what(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "x.car").write_bytes(data)
    with pytest.raises(BadCar, match=why):
        CarStore(tmp_path / "x.car")


def test_open__when_there_is_no_such_file__then_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadCar, match="No such file"):
        CarStore(tmp_path / "x.car")


def test_open__when_a_root_is_absent__then_names_it(tmp_path: Path) -> None:
    absent = digest_of(b"absent")
    with pytest.raises(BadCar, match=to_cid(absent)):
        CarStore(car_of(tmp_path / "x.car", [encode_leaf(b"there")], [absent]))


@pytest.mark.parametrize("section", [0, 33, (1 << 20) + 35, 1 << 50])
def test_open__when_a_block_has_an_impossible_length__then_refuses(tmp_path: Path, car: Path, section: int) -> None:
    path = tmp_path / "long.car"
    path.write_bytes(car.read_bytes() + encode_varint(section) + bytes(40))
    with pytest.raises(BadCar, match="would have"):
        CarStore(path)


def test_open__when_a_block_has_another_kind_of_cid__then_refuses(tmp_path: Path, car: Path) -> None:
    path = tmp_path / "v1.car"
    path.write_bytes(car.read_bytes() + encode_varint(40) + b"\x01\x55" + SHA2_256 + bytes(36))
    with pytest.raises(BadCar, match="no CIDv0"):
        CarStore(path)


def test_fetch__when_a_byte_is_flipped__then_the_block_is_named(tmp_path: Path, car: Path) -> None:
    data = bytearray(car.read_bytes())
    data[CHUNK_BYTES // 2] ^= 1
    car.write_bytes(data)
    store = CarStore(car)
    with pytest.raises(ContentMismatch, match=r"the block at byte .* has another hash"):
        store.fetch_to(store.roots[0], tmp_path / "out", 1 << 30, 0)
    assert not (tmp_path / "out").exists()


def test_fetch__when_the_file_is_larger_than_allowed__then_nothing_is_written(tmp_path: Path, car: Path) -> None:
    store = CarStore(car)
    with pytest.raises(ContentTooLarge):
        store.fetch_to(store.roots[0], tmp_path / "out", CHUNK_BYTES + 8, 0)
    assert not (tmp_path / "out").exists()


def test_fetch__when_the_file_or_a_part_of_it_is_absent__then_names_it(tmp_path: Path, car: Path) -> None:
    other = from_cid(to_cid(digest_of(b"elsewhere")))
    with pytest.raises(NotInCar, match=to_cid(other)) as told:
        CarStore(car).fetch_to(other, tmp_path / "out", 99, 0)
    assert not told.value.retryable
    (tmp_path / "big").write_bytes(os.urandom(2 * CHUNK_BYTES))
    blocks = [block for _, block in file_blocks(tmp_path / "big")]
    root = digest_of_block(blocks[-1])
    holed = CarStore(car_of(tmp_path / "y.car", blocks[1:], [root]))
    with pytest.raises(NotInCar, match=to_cid(root)):
        holed.fetch_to(root, tmp_path / "out", 1 << 30, 0)


def test_fetch__when_a_link_lies_about_its_size__then_refuses(tmp_path: Path) -> None:
    leaves = [encode_leaf(bytes(CHUNK_BYTES)), encode_leaf(b"abc")]
    sizes = (CHUNK_BYTES, 2)
    children = tuple(Child(digest_of_block(leaf), size, len(leaf)) for leaf, size in zip(leaves, sizes, strict=True))
    blocks = [*leaves, encode_inner(children)]
    store = CarStore(car_of(tmp_path / "x.car", blocks, [digest_of_block(blocks[-1])]))
    with pytest.raises(ContentMismatch, match="lies about its size"):
        store.fetch_to(store.roots[0], tmp_path / "out", 1 << 30, 0)


def test_fetch__when_a_block_is_no_file_of_ours__then_refuses(tmp_path: Path) -> None:
    store = CarStore(car_of(tmp_path / "x.car", [b"\x0a\x02\x08\x01"], [digest_of_block(b"\x0a\x02\x08\x01")]))
    with pytest.raises(ContentMismatch, match="not a file"):
        store.fetch_to(store.roots[0], tmp_path / "out", 1 << 30, 0)


def test_open__when_a_block_is_there_twice__then_the_first_counts_and_is_checked(tmp_path: Path, car: Path) -> None:
    root = CarStore(car).roots[1]
    spoilt = car.read_bytes() + encode_varint(34 + 5) + SHA2_256 + root + b"other"
    (tmp_path / "twice.car").write_bytes(spoilt)
    CarStore(tmp_path / "twice.car").fetch_to(root, tmp_path / "out", 99, 0)
    assert (tmp_path / "out").read_bytes() == b"small"
