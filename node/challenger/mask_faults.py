"""What can be proven wrong with the masks of a merge, as plain values. Each says in one sentence what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class WrongTable:
    """The mask table has not its form."""

    round: int

    def __str__(self) -> str:
        return f"Round {self.round}: the mask table does not have one well-formed row for each accepted update."


@dataclass(frozen=True)
class WrongMasks:
    """position: the update's among the accepted. is_malformed: its key leaf, so that it is not to be accepted."""

    round: int
    update: int
    position: int
    is_malformed: bool

    def __str__(self) -> str:
        place = f"Round {self.round}, update {self.update}"
        if self.is_malformed:
            return f"{place}: it is accepted, but its key leaf is not its member's well-formed one."
        return f"{place}: the mask table takes other masks from it than follow, or puts it into another group."


@dataclass(frozen=True)
class WrongSeed:
    """position: as above. mask: which of the update's masks. slot: of a peer, or of itself (255)."""

    round: int
    update: int
    position: int
    mask: int
    slot: int

    def __str__(self) -> str:
        place = f"Round {self.round}, update {self.update}, mask {self.mask} (slot {self.slot})"
        return f"{place}: its seed or sign in the mask table is not the one that its key leaf commits to."


MaskFault: TypeAlias = WrongTable | WrongMasks | WrongSeed
