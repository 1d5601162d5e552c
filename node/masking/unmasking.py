"""What a member may release of a round, and the file that it releases. Pure. docs/PROTOCOL.md, section 16.

The one rule that all privacy rests on: of a revealed member only shares of its self seed and of the seeds that it has
with dropped members, of a dropped member nothing. Both kinds of share of one mask would lay an update open.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ledger.keccak import Hash32
from node.masking.errors import BadShares, BadUnmasking, NotUnmaskable
from node.masking.files import MaskedFile
from node.masking.groups import MOST_GROUP, Group
from node.masking.key_leaf import SELF
from node.masking.shares import Bundle, Transfer, open_bundle
from node.masking.update import Seat

MAGIC = b"FBM1"
_HEADER = struct.Struct(">4sHH8s")
_ENTRY = struct.Struct(">HBx32s")

MOST_UNMASKING_BYTES = _HEADER.size + MOST_GROUP**2 * _ENTRY.size


@dataclass(frozen=True)
class Lists:
    """Who of a group has revealed and who has dropped, by the chain: the one thing that a release depends on."""

    revealed: tuple[int, ...]
    dropped: tuple[int, ...]

    def wanted(self) -> tuple[tuple[int, int | None], ...]:
        """The seeds whose release is allowed: (revealed member, None for its self seed or a dropped member)."""
        return tuple((dealer, peer) for dealer in self.revealed for peer in (None, *self.dropped))


def lists_of(group: Group, revealed: Iterable[int]) -> Lists:
    """Split a group by what the chain says.

    Raises: NotUnmaskable if fewer than the threshold, or fewer than two, have revealed: nothing is released then.
    """
    shown = set(revealed)
    inside = tuple(index for index in group.indices if index in shown)
    least = max(group.threshold, 2)
    if len(inside) < least:
        raise NotUnmaskable(f"{len(inside)} of its {len(group.members)} members revealed, {least} are needed")
    return Lists(inside, tuple(index for index in group.indices if index not in shown))


@dataclass(frozen=True)
class Released:
    """What one member publishes: (dealer, slot) -> its share of that seed.

    holder: its member index.
    """

    holder: int
    shares: Mapping[tuple[int, int], bytes]

    def encode(self) -> bytes:
        head = _HEADER.pack(MAGIC, self.holder, len(self.shares), bytes(8))
        return head + b"".join(
            _ENTRY.pack(member, slot, self.shares[member, slot]) for member, slot in sorted(self.shares)
        )


def decode_released(data: bytes) -> Released:
    """Read an unmasking file that anyone may have written.

    Raises: BadUnmasking.
    """
    if len(data) < _HEADER.size:
        raise BadUnmasking(f"it has {len(data)} bytes, less than its header")
    magic, holder, count, tail = _HEADER.unpack_from(data)
    if magic != MAGIC or any(tail):
        raise BadUnmasking("its header is not of version 1")
    if len(data) != _HEADER.size + count * _ENTRY.size or len(data) > MOST_UNMASKING_BYTES:
        raise BadUnmasking(f"it has {len(data)} bytes for {count} shares")
    entries = [_ENTRY.unpack_from(data, _HEADER.size + place * _ENTRY.size) for place in range(count)]
    released = Released(holder, {(member, slot): share for member, slot, share in entries})
    if released.encode() != data:
        raise BadUnmasking("its shares are not listed once each, by rising member and slot")
    return released


def release(seat: Seat, lists: Lists, files: Mapping[int, tuple[MaskedFile, Hash32]]) -> Released:
    """What a member releases: its shares of the seeds that are wanted.

    files:  by revealed member its file and root.
    Holds:  nothing but what `lists.wanted` names leaves. A dealer whose bundle does not open is passed over.
    """
    found: dict[tuple[int, int], bytes] = {}
    bundles = {dealer: _bundle(seat, dealer, *files[dealer]) for dealer in lists.revealed}
    for dealer, peer in lists.wanted():
        bundle, leaf = bundles[dealer], files[dealer][0].leaf
        if bundle is not None:
            slot = None if peer is None else leaf.slot_of(peer)
            found[dealer, SELF if slot is None else slot] = bundle.of(slot)
    return Released(seat.own, found)


def _bundle(seat: Seat, dealer: int, file: MaskedFile, root: Hash32) -> Bundle | None:
    """This member's shares of a dealer's seeds; None if the dealer sealed something else."""
    (member,) = [one for one in seat.group.members if one.index == dealer]
    transfer = Transfer(seat.context, dealer, seat.own, root)
    try:
        return open_bundle(file.sealed[file.leaf.holders.index(seat.own)], seat.secrets, member, transfer)
    except BadShares:
        return None
