"""What honest work does not look like: copies, replays, nothing at all. docs/PROTOCOL.md, section 7, "Screening".

Exact integers from committed bytes: whoever merges and whoever audits finds the same. No contract can judge it, for it
takes whole updates: one that is left out for it is unpaid, and never costs a stake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.history import BountyHistory, RoundHistory, accepted
from ledger.keccak import Hash32
from ledger.merge_records import Reason
from ledger.records import Revealed
from node.distances import inner_products
from node.manifest_sections import ScreeningSection
from node.verification import Rejection, VerifiedUpdate

ONE = 2**16
"""A cosine of 1."""


@dataclass(frozen=True)
class Background:
    """What a round's updates are held against.

    order:   each revealed update's place among the round's commitments, by reveal index.
    roots:   every update root of the rounds before, with its round.
    round:   the latest merged round before; 0 if there is none.
    updates: those that it accepted.
    """

    order: Mapping[int, int]
    roots: Mapping[Hash32, int]
    round: int = 0
    updates: Sequence[VerifiedUpdate] = ()


def background(history: BountyHistory, number: int, updates: Sequence[VerifiedUpdate]) -> Background:
    """updates: what `compared_with` names, verified."""
    one = history.rounds[number]
    places = {provider: place for place, provider in enumerate(one.commits)}
    order = {reveal.index: places[reveal.provider] for reveal in one.reveals}
    before = [earlier for earlier in history.rounds.values() if earlier.number < number]
    roots = {reveal.update_root: earlier.number for earlier in before for reveal in earlier.reveals}
    latest = _latest_merged(history, number)
    return Background(order, roots, latest.number if latest else 0, updates)


def compared_with(history: BountyHistory, number: int) -> list[Revealed]:
    """The updates whose bytes a round's are held against: those that the latest merge before it accepted."""
    latest = _latest_merged(history, number)
    return accepted(latest.merged, latest.reveals) if latest and latest.merged else []


def _latest_merged(history: BountyHistory, number: int) -> RoundHistory | None:
    return next((one for one in reversed(history.merged_rounds) if one.number < number), None)


def screen(
    section: ScreeningSection, bits: int, updates: Sequence[VerifiedUpdate], behind: Background
) -> list[Rejection]:
    """The updates to leave out, by rising reveal index.

    bits:  u, of the updates' grid.
    Holds: the order of `updates` changes nothing. Of two alike updates the one that was committed later is the copy.
    """
    least = section.least_squared_norm(bits)
    found = {one.revealed.index: rejection for one in updates if (rejection := _alone(one, least, behind)) is not None}
    rest = [one for one in updates if one.revealed.index not in found]
    for rejection in _alike(section, rest, behind):
        found.setdefault(rejection.revealed.index, rejection)
    return [found[index] for index in sorted(found)]


def _alone(one: VerifiedUpdate, least: int, behind: Background) -> Rejection | None:
    """What an update's root alone tells."""
    if one.revealed.squared_norm <= least:
        return Rejection(one.revealed, Reason.NEGLIGIBLE, f"its squared norm is {one.revealed.squared_norm}")
    round_before = behind.roots.get(one.revealed.update_root)
    if round_before is not None:
        return Rejection(one.revealed, Reason.STALE, f"round {round_before} had the same update", (round_before,))
    return None


def _alike(section: ScreeningSection, updates: Sequence[VerifiedUpdate], behind: Background) -> list[Rejection]:
    """Replays of the round before, then copies of what was committed before."""
    by_commit = sorted(updates, key=lambda one: behind.order[one.revealed.index])
    others = [*by_commit, *(one for one in behind.updates if one.revealed.squared_norm)]
    if not by_commit or len(others) < 2:
        return []
    products_NM = inner_products([one.update for one in by_commit], [one.update for one in others])
    found = []
    for place, one in enumerate(by_commit):
        for other in (*range(len(by_commit), len(others)), *range(place)):
            first = others[other]
            if not is_alike(int(products_NM[place, other]), one.revealed, first.revealed, section.copy_units):
                continue
            if section.own_momentum and other > place and one.revealed.provider == first.revealed.provider:
                continue
            if other < place:
                index = first.revealed.index
                detail = f"it is a copy of update {index}, which was committed before it"
                found.append(Rejection(one.revealed, Reason.COPIED, detail, (index,)))
            else:
                detail = f"it repeats update {first.revealed.index} of round {behind.round}"
                found.append(Rejection(one.revealed, Reason.STALE, detail, (behind.round,)))
            break
    return found


def is_alike(product: int, one: Revealed, other: Revealed, units: int) -> bool:
    """Whether two updates' cosine is at least `units` of 2**-16: scaling either changes nothing."""
    return product > 0 and product**2 * ONE**2 >= units**2 * one.squared_norm * other.squared_norm
