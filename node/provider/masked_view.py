"""What a provider sees of a masked round. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from node.journal import MadeUpdate
from node.masking.update import Seat


@dataclass(frozen=True)
class MaskedView:
    """What a provider sees of a masked round.

    unopened:    the round has begun by the clock, but no transaction has opened it, so that its groups are not drawn.
    seat:        the provider's place in a group; None if it has none, or the opening is not confirmed yet.
    release_due: the reveals are over and its shares of the round are wanted, and were not announced yet.
    """

    unopened: bool = False
    seat: Seat | None = None
    release_due: bool = False

    def may_send(self, made: MadeUpdate | None) -> bool:
        """Whether an update can be made, or the one that was made is of these groups."""
        return self.seat is not None and (made is None or _groups_of(made) == drawn_in(self.seat)["groups"])


def drawn_in(seat: Seat | None) -> dict[str, str]:
    """What the journal keeps of the groups that an update was masked in."""
    return {} if seat is None else {"groups": seat.context.groups_seed.hex()}


def _groups_of(made: MadeUpdate) -> object:
    return orjson.loads(made.summary).get("groups")
