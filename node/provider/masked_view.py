"""What a provider sees of a masked round. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from ledger.keccak import Hash32
from node.journal import MadeUpdate
from node.masking.groups import Group
from node.masking.update import Seat


@dataclass(frozen=True)
class MaskedView:
    """What a provider sees of a masked round.

    unopened:    the round has begun by the clock, but no transaction has opened it, so that its groups are not drawn.
    seat:        the provider's place in a group; None if it has none that it can take, or the opening is not confirmed.
    refusal:     why it takes no part in the round; empty if it does, or waits.
    masked:      root of the update that was masked with the seat's seeds, whether or not the node still has it.
    release_due: the reveals are over and its shares of the round are wanted, and were not announced yet.
    """

    unopened: bool = False
    seat: Seat | None = None
    refusal: str = ""
    masked: Hash32 | None = None
    release_due: bool = False

    def may_send(self, made: MadeUpdate | None) -> bool:
        """Whether an update can be made, or the one that was made is of these groups and the only one."""
        return self.seat is not None and not self.held_back(made)

    def held_back(self, made: MadeUpdate | None) -> str:
        """Why the round's update is not sent, and none is made; empty if nothing speaks against it."""
        if self.seat is None:
            return self.refusal
        if made is not None and _groups_of(made) != drawn_in(self.seat)["groups"]:
            return "the update was masked in other groups than the chain has now"
        if self.masked is not None and (made is None or made.root != self.masked):
            return (
                f"the update 0x{self.masked.hex()} was masked in these groups before, and the journal does not have "
                f"it: a second one under the same masks would tell how the two differ"
            )
        return ""


def too_little_noise(group: Group, honest: int) -> str:
    """Why a provider takes no part in a round with this group; empty if it does.

    honest: how many providers' noise its budget is charged for in a sum; a group's is found from its threshold on.
    """
    if honest <= group.threshold:
        return ""
    return (
        f"the noise of {honest} providers is counted on, and the sum of this round's group of {len(group.members)} "
        f"may have only that of {group.threshold}"
    )


def drawn_in(seat: Seat | None) -> dict[str, str]:
    """What the journal keeps of the groups that an update was masked in."""
    return {} if seat is None else {"groups": seat.context.groups_seed.hex()}


def _groups_of(made: MadeUpdate) -> object:
    return orjson.loads(made.summary).get("groups")
