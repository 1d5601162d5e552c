"""What an aggregator does next. Pure: a view in, actions out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.demands import Demand, about
from ledger.history import BountyHistory
from ledger.records import Address, Clock, Merged, Money, Phase, Terms, Timestamp, Wei
from node.loop import Finish
from node.targets import ending_in_words


@dataclass(frozen=True)
class AggregatorView:
    """What an aggregator sees at one block.

    now:  the block's timestamp.
    demands:  for chunks of the bounty's merges, by anyone.
    draw_due: whether the order of the round's updates has to be drawn before they are merged.
    shares_due: whether shares of a masked round may still come that it can't be unmasked without.
    bond: what the caller has locked, and from when it is free: far off while the caller may have to merge.
    """

    now: Timestamp
    account: Address
    terms: Terms
    clock: Clock
    money: Money
    bond: Wei
    bond_locked_until: Timestamp
    history: BountyHistory
    draw_due: bool = False
    demands: tuple[Demand, ...] = ()
    shares_due: bool = False


@dataclass(frozen=True)
class DepositBond:
    amount: Wei


@dataclass(frozen=True)
class Prefetch:
    """Fetch, check and pin the updates revealed so far, so that the merge starts with them at hand."""

    round: int


@dataclass(frozen=True)
class Gather:
    """Fetch the shares that members of a masked round have released so far."""

    round: int


@dataclass(frozen=True)
class Draw:
    """Let the chain fix the order in which the round's updates are merged, now that they are all known."""

    round: int


@dataclass(frozen=True)
class Answer:
    """Show a chunk that was demanded of a merge of one's own: unanswered, the demand voids the merge."""

    demand: Demand
    merged: Merged


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


Action = DepositBond | Prefetch | Gather | Draw | Answer | Merge | Settle | Refund | WithdrawBond


def decide(view: AggregatorView) -> Sequence[Action | Finish]:
    """Bond, merge each round in time, and at the end send the rest home.

    A round whose merge was voided is open to everyone who has bonded, for as long as the chain shows it so.
    """
    answers = _answers(view)
    if answers:
        return answers
    match view.clock.phase:
        case Phase.JOINING:
            return _bond(view)
        case Phase.REVEAL:
            return [*_bond(view), Prefetch(view.clock.round)]
        case Phase.MERGE if view.account == view.terms.aggregator:
            return _merge(view)
        case Phase.OPEN_MERGE:
            return _merge(view)
        case Phase.ENDED | Phase.CANCELLED:
            return _wind_up(view)
    return []


def _answers(view: AggregatorView) -> list[Action | Finish]:
    """What is asked of one's own standing merges, the most urgent first; too late is too late."""
    own = [one.merged for one in view.history.merged_rounds if one.merged and one.merged.aggregator == view.account]
    asked = [(demand, merged) for merged in own for demand in about(view.demands, merged)]
    due = [(demand, merged) for demand, merged in asked if demand.is_open and view.now < demand.ends_at]
    return [Answer(demand, merged) for demand, merged in sorted(due, key=lambda pair: pair[0].ends_at)]


def _merge(view: AggregatorView) -> Sequence[Action | Finish]:
    number = view.clock.round
    if view.shares_due and 2 * view.now < view.clock.started_at + view.clock.ends_at:
        return [*_bond(view), Gather(number)]  # until half of the time to merge has passed
    return [*_bond(view), Draw(number) if view.draw_due else Merge(number)]


def _bond(view: AggregatorView) -> list[Action | Finish]:
    return [DepositBond(view.terms.bond)] if view.bond < view.terms.bond else []


def _wind_up(view: AggregatorView) -> Sequence[Action | Finish]:
    if view.clock.phase == Phase.ENDED and view.history.ended is None:
        return [Settle()]
    if view.clock.phase == Phase.ENDED and view.history.last_vests_at > view.now:
        return []
    actions: list[Action | Finish] = []
    if view.clock.phase == Phase.ENDED and view.money.free > 0:
        actions.append(Refund())
    if view.bond > 0 and view.bond_locked_until <= view.now:
        actions.append(WithdrawBond())
    if view.bond > 0 and not actions:
        return []
    over = "the bounty is over, the owner refunded and the bond back"
    ending = ending_in_words(view.history)
    return actions or [Finish(f"{over}; {ending}" if ending else over)]
