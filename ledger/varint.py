"""Unsigned LEB128 numbers, as protobuf messages and CAR files have them."""

from __future__ import annotations

from typing_extensions import Buffer

MAX_BYTES = 10
"""A number of 64 bits."""


class BadVarint(ValueError):
    """A number is cut off or has more than 64 bits."""


def encode_varint(value: int) -> bytes:
    """Write a number that is not negative."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: Buffer, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where what follows begins.

    Raises: BadVarint.
    """
    view = memoryview(data)
    value = 0
    for shift in range(0, 7 * MAX_BYTES, 7):
        if at >= len(view):
            break
        byte = view[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise BadVarint("a number is cut off or too long")
