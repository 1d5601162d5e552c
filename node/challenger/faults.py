"""What can be proven wrong with a merge, as plain values. Each says in one sentence what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ledger.demands import ChunkKind
from ledger.keccak import Hash32
from ledger.records import Address, MergeRule, Wei
from node.challenger.mask_faults import MaskFault


@dataclass(frozen=True)
class WrongCoordinate:
    """The merged state at one coordinate. previous: the second plane's values; 0 where there is none."""

    round: int
    coordinate: int
    tensor: str
    claimed: int
    follows: int
    claimed_previous: int = 0
    follows_previous: int = 0

    def __str__(self) -> str:
        place = f"Round {self.round}, coordinate {self.coordinate} ({self.tensor})"
        if self.claimed != self.follows:
            return f"{place}: the merged state holds {self.claimed}, but {self.follows} follows from the updates."
        values = f"holds {self.claimed_previous}, but {self.follows_previous} follows from the updates"
        return f"{place}: the merged state's previous aggregate {values}."


@dataclass(frozen=True)
class OnlyReexecuted:
    """A wrong state under a rule that no contract recomputes: everyone can see it, and nobody can prove it on chain."""

    fault: WrongCoordinate
    rule: MergeRule

    def __str__(self) -> str:
        return f"{self.fault} The rule {self.rule.name.lower()} is re-executable, but no proof on chain reaches it."


@dataclass(frozen=True)
class WrongRejection:
    """An update that was left out for a reason that does not hold. chunk: the one that the reason names."""

    round: int
    update: int
    code: int
    label: str
    chunk: int

    def __str__(self) -> str:
        return (
            f"Round {self.round}, update {self.update}: it is rejected as {self.label} (chunk {self.chunk}), "
            f"but nothing is wrong there and it is to be accepted."
        )


@dataclass(frozen=True)
class FaultyAccepted:
    round: int
    update: int
    update_root: Hash32

    def __str__(self) -> str:
        return f"Round {self.round}, update {self.update}: it is accepted, but it was proven faulty before."


@dataclass(frozen=True)
class FaultyLeaf:
    """An accepted update breaks the protocol in one chunk; its provider answers for that, then the merge."""

    round: int
    update: int
    update_root: Hash32
    chunk: int
    claimed: int
    follows: int

    def __str__(self) -> str:
        place = f"Round {self.round}, update {self.update}, chunk {self.chunk}"
        if self.claimed == self.follows:
            return f"{place}: it is accepted, but holds -32768, which is not on the grid."
        return f"{place}: it commits to {self.claimed} as the sum of its squares, but {self.follows} follows."


@dataclass(frozen=True)
class WrongPayout:
    """One leaf of the payout tree. stray: the leaf is right, but beside it stands one that must not be."""

    round: int
    seat: int
    account: Address
    claimed: Wei
    follows: Wei
    stray: bool = False

    def __str__(self) -> str:
        place = f"Round {self.round}, payout of member {self.seat} ({self.account})"
        if self.stray:
            return f"{place}: the tree beside it holds leaves beyond the last member, but none may be there."
        return f"{place}: the tree holds {self.claimed}, but {self.follows} follows from the accepted updates."


@dataclass(frozen=True)
class WrongPaid:
    """What the merge pays together. uncovered: a member that must have a leaf and has none, if that is the fault."""

    round: int
    claimed: Wei
    follows: Wei
    uncovered: int | None = None

    def __str__(self) -> str:
        if self.uncovered is not None:
            return f"Round {self.round}: member {self.uncovered} must have a payout leaf, but the tree has none for it."
        return f"Round {self.round}: the merge pays {self.claimed}, but {self.follows} follows from what it accepts."


@dataclass(frozen=True)
class WrongScale:
    """pair: iteration * buckets + bucket. claimed: None where the list has another length than it must have."""

    round: int
    pair: int
    claimed: int | None
    follows: int

    def __str__(self) -> str:
        if self.claimed is None:
            return f"Round {self.round}: there are too few or too many clipping scales; {self.follows} follow."
        place = f"Round {self.round}, clipping scale {self.pair}"
        return f"{place}: it is {self.claimed}, but {self.follows} follows from the committed distance."


@dataclass(frozen=True)
class WrongDistance:
    """One leaf of a distance tree. stray: as in `WrongPayout`."""

    round: int
    pair: int
    chunk: int
    claimed: int
    follows: int
    stray: bool = False

    def __str__(self) -> str:
        place = f"Round {self.round}, distance {self.pair}, chunk {self.chunk}"
        if self.stray:
            return f"{place}: the tree beside it holds leaves beyond the last chunk, but none may be there."
        return f"{place}: the squared distance is {self.claimed}, but {self.follows} follows from the updates."


@dataclass(frozen=True)
class Undrawn:
    round: int

    def __str__(self) -> str:
        return f"Round {self.round}: the merge put updates in buckets, but no seed was drawn for their order."


@dataclass(frozen=True)
class Withheld:
    """Something that the merge commits to can't be had: the next chunk of it to demand on chain."""

    round: int
    kind: ChunkKind
    key: Hash32
    index: int

    def __str__(self) -> str:
        of = f" of 0x{self.key.hex()[:12]}…" if any(self.key) else ""
        return f"Round {self.round}: the {self.kind.label}{of} is withheld; chunk {self.index} of it is demanded next."


Proven: TypeAlias = (
    WrongCoordinate
    | WrongRejection
    | FaultyAccepted
    | FaultyLeaf
    | WrongPayout
    | WrongPaid
    | WrongScale
    | WrongDistance
    | Undrawn
    | MaskFault
)
"""What one transaction proves."""

Fault: TypeAlias = Proven | Withheld | OnlyReexecuted
