"""What a challenger does next. Pure: a view in, actions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.demands import Demand, about
from ledger.records import Merged, Timestamp
from node.challenger.journal import MergeKey, Verdict, key_of
from node.loop import Finish


@dataclass(frozen=True)
class WatchView:
    """What a challenger sees at one block.

    merges:   those that stand, of all bounties that it follows.
    demands:  all that were made about these bounties, by anyone.
    own:      ids of the open demands of the caller.
    verdicts: what was found earlier.
    waiting:  merges that were looked at and wait for an answer, or for files that may still come.
    once:     end when nothing is left to decide, instead of waiting for more merges.
    """

    now: Timestamp
    merges: tuple[Merged, ...]
    demands: tuple[Demand, ...]
    own: frozenset[int]
    verdicts: Mapping[MergeKey, Verdict]
    waiting: frozenset[MergeKey] = frozenset()
    once: bool = False


@dataclass(frozen=True)
class Check:
    """Recompute a merge; prove what is wrong, or demand what is withheld."""

    merged: Merged


@dataclass(frozen=True)
class Expire:
    """End a demand: the time to answer is over, or its merge is void."""

    demand: Demand


Action = Check | Expire


def decide(view: WatchView) -> Sequence[Action | Finish]:
    """End what was not answered, then look at the merge that vests first; one at a time, since a proof changes all."""
    actions: list[Action | Finish] = [Expire(one) for one in view.demands if one.is_open and _is_due(view, one)]
    if actions:
        return actions
    blocked: set[int] = set()
    for merged in sorted(view.merges, key=_by_urgency):
        if merged.vests_at <= view.now or key_of(merged) in view.verdicts or merged.bounty in blocked:
            continue
        if key_of(merged) not in view.waiting:
            return [Check(merged)]
        blocked.add(merged.bounty)  # what is built on it is judged after it
    if view.once and not blocked and not view.own:
        return [Finish("every merge that can still be challenged was checked")]
    return []


def _is_due(view: WatchView, demand: Demand) -> bool:
    """Whether ending a demand changes anything: it voids its merge, or brings the caller's own fee back."""
    if any(about([demand], merged) and merged.vests_at > view.now for merged in view.merges):
        return demand.ends_at <= view.now
    return demand.id in view.own


def _by_urgency(merged: Merged) -> tuple[int, int, int]:
    """A bounty's merges in their order, for each builds on the one before; bounties by what vests first."""
    return merged.vests_at, merged.bounty, merged.round
