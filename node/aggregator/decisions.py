"""What an aggregator does next. Pure: a view in, actions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.history import BountyHistory
from ledger.records import Address, Clock, Money, Phase, Terms, Timestamp, Wei
from node.loop import Finish


@dataclass(frozen=True)
class AggregatorView:
    """What an aggregator sees at one block.

    now:  the block's timestamp.
    bond: what the caller has locked, and from when it is free.
    """

    now: Timestamp
    account: Address
    terms: Terms
    clock: Clock
    money: Money
    bond: Wei
    bond_locked_until: Timestamp
    history: BountyHistory


@dataclass(frozen=True)
class DepositBond:
    amount: Wei


@dataclass(frozen=True)
class Prefetch:
    """Fetch, check and pin the updates revealed so far, so that the merge starts with them at hand."""

    round: int


@dataclass(frozen=True)
class Merge:
    round: int


@dataclass(frozen=True)
class Settle:
    pass


@dataclass(frozen=True)
class Refund:
    """Send the owner what no one can earn any more."""


@dataclass(frozen=True)
class WithdrawBond:
    pass


Action = DepositBond | Prefetch | Merge | Settle | Refund | WithdrawBond


def decide(view: AggregatorView) -> Sequence[Action | Finish]:
    """Bond, merge each round in time, and at the end send the rest home."""
    match view.clock.phase:
        case Phase.JOINING:
            return _bond(view)
        case Phase.REVEAL:
            return [*_bond(view), Prefetch(view.clock.round)]
        case Phase.MERGE if view.account == view.terms.aggregator:
            return [*_bond(view), Merge(view.clock.round)]
        case Phase.OPEN_MERGE:
            return [*_bond(view), Merge(view.clock.round)]
        case Phase.ENDED | Phase.CANCELLED:
            return _wind_up(view)
    return []


def _bond(view: AggregatorView) -> list[Action | Finish]:
    return [DepositBond(view.terms.bond)] if view.bond < view.terms.bond else []


def _wind_up(view: AggregatorView) -> Sequence[Action | Finish]:
    if view.clock.phase == Phase.ENDED and view.history.ended is None:
        return [Settle()]
    latest = view.history.latest_merge()
    if view.clock.phase == Phase.ENDED and latest is not None and latest.vests_at > view.now:
        return []
    actions: list[Action | Finish] = []
    if view.clock.phase == Phase.ENDED and view.money.free > 0:
        actions.append(Refund())
    if view.bond > 0:
        actions.append(WithdrawBond())
    return actions or [Finish("the bounty is over, the owner refunded and the bond back")]
