"""A group of members that mask for real, for tests: keys, updates, files, releases and what follows from them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ledger.commitments import CHUNK
from ledger.keccak import Hash32, keccak
from ledger.records import Address, BountyId
from node.masking.context import RoundContext
from node.masking.files import MaskedFile, decode_masked
from node.masking.groups import Group, Member, scaled_threshold
from node.masking.recovery import Recovered, recover, table_row
from node.masking.seeds import Derive, Secrets, secrets_of
from node.masking.sums import unmask_sum
from node.masking.table import TableRow
from node.masking.unmasking import Lists, Released, lists_of, release
from node.masking.update import MaskedUpdate, Seat, mask_update
from node.updates import LIMIT

CONTEXT = RoundContext(31337, Address("0x" + "1F" * 20), BountyId(3), 2, keccak(b"opening block"))


def derive_of(name: str) -> Derive:
    """What `Key.derive` does, for a key that follows from a name."""
    return lambda label: hmac.new(hashlib.sha256(name.encode()).digest(), label, hashlib.sha256).digest()


def member_secrets(index: int) -> Secrets:
    return secrets_of(derive_of(f"member {index}"))


def member_of(index: int) -> Member:
    return Member(index, member_secrets(index).exchange_key.public_key().public_bytes_raw())


def group_with(indices: Iterable[int], threshold: int | None = None) -> Group:
    members = tuple(member_of(index) for index in sorted(indices))
    return Group(members, threshold or scaled_threshold(5, 8, len(members)))


@dataclass
class MaskedGroup:
    """A group whose members all made a masked update of one or more chunks."""

    group: Group
    chunks: int = 1
    context: RoundContext = CONTEXT
    plain: dict[int, NDArray[np.int16]] = field(default_factory=dict)
    made: dict[int, MaskedUpdate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(11)
        for index in self.group.indices:
            self.plain[index] = rng.integers(-LIMIT, LIMIT + 1, self.chunks * CHUNK).astype(np.int16)
            self.made[index] = mask_update(self.plain[index], self.seat(index))

    def seat(self, index: int) -> Seat:
        return Seat(self.context, self.group, index, member_secrets(index))

    def files(self, revealed: Iterable[int]) -> dict[int, tuple[MaskedFile, Hash32]]:
        return {index: (decode_masked(self.made[index].data, self.chunks), self.made[index].root) for index in revealed}

    def released(self, lists: Lists, live: Iterable[int]) -> list[Released]:
        files = self.files(lists.revealed)
        return [release(self.seat(index), lists, files) for index in live]

    def recovered(self, revealed: Iterable[int], live: Iterable[int]) -> tuple[Lists, Recovered]:
        lists = lists_of(self.group, revealed)
        leaves = {index: file.leaf for index, (file, _) in self.files(lists.revealed).items()}
        return lists, recover(self.group, lists, leaves, self.released(lists, live))

    def rows(self, lists: Lists, recovered: Recovered, number: int = 0) -> dict[int, TableRow]:
        files = self.files(lists.revealed)
        return {index: table_row(number, files[index][0].leaf, lists, recovered) for index in lists.revealed}

    def unmasked(self, lists: Lists, rows: Mapping[int, TableRow]) -> NDArray[np.int32]:
        files = self.files(lists.revealed)
        removals = [entry.removal for row in rows.values() for entry in row.entries]
        return unmask_sum([files[index][0].masked_D for index in lists.revealed], removals)

    def expected(self, revealed: Iterable[int]) -> NDArray[np.int32]:
        return sum((self.plain[index].astype(np.int32) for index in revealed), np.zeros(self.chunks * CHUNK, np.int32))
