"""The key leaf: what a masked update commits to of its masks. docs/PROTOCOL.md, section 16."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from typing_extensions import Buffer

from ledger.keccak import Hash32
from node.errors import MalformedUpdate
from node.masking.groups import MOST_GROUP

KEY_LEAF_BYTES = 512
SELF = 255
"""The slot that stands for the member itself."""

_HEAD = struct.Struct(">HBx32s")
_ENTRY = struct.Struct(">H32s")


@dataclass(frozen=True)
class KeyLeaf:
    """A member, the hash of its self seed, and the hash of the seed that it has with each peer.

    peers: member index and hash, by rising index; the position is the peer's slot.
    """

    own: int
    self_hash: Hash32
    peers: tuple[tuple[int, Hash32], ...]

    def seed_hash(self, slot: int) -> Hash32:
        return self.self_hash if slot == SELF else self.peers[slot][1]

    @property
    def holders(self) -> tuple[int, ...]:
        """Who has shares of the member's seeds: the whole group, by rising index; share k is of holder k - 1."""
        return tuple(sorted((self.own, *(peer for peer, _ in self.peers))))

    def slot_of(self, peer: int) -> int:
        return [index for index, _ in self.peers].index(peer)

    def encode(self) -> bytes:
        if len(self.peers) > MOST_GROUP - 1:
            raise ValueError(f"a key leaf has no room for {len(self.peers)} peers")
        head = _HEAD.pack(self.own, len(self.peers), self.self_hash)
        entries = b"".join(_ENTRY.pack(index, hashed) for index, hashed in self.peers)
        return (head + entries).ljust(KEY_LEAF_BYTES, b"\0")


def decode_key_leaf(data: Buffer) -> KeyLeaf:
    """Read a key leaf that anyone may have written.

    Raises: MalformedUpdate.
    """
    view = bytes(data)
    if len(view) != KEY_LEAF_BYTES:
        raise MalformedUpdate(f"its key leaf has {len(view)} bytes, not {KEY_LEAF_BYTES}")
    own, count, self_hash = _HEAD.unpack_from(view)
    if not 1 <= count < MOST_GROUP:
        raise MalformedUpdate(f"its key leaf names {count} peers")
    entries = [_ENTRY.unpack_from(view, _HEAD.size + place * _ENTRY.size) for place in range(count)]
    leaf = KeyLeaf(own, Hash32(self_hash), tuple((index, Hash32(hashed)) for index, hashed in entries))
    if leaf.encode() != view:
        raise MalformedUpdate("its key leaf has bytes where zeros belong")
    indices = [index for index, _ in leaf.peers]
    if own in indices or indices != sorted(set(indices)):
        raise MalformedUpdate("the peers of its key leaf are not others by rising member index")
    return leaf
