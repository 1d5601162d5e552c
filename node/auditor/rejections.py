"""Which updates a merge had to leave out, and why, against what it recorded. Pure.

A rejection as `unavailable` can't be judged later: the file may have come since. Nor can one as `harmful`, which is
floating point, nor one that is about the committed bytes where the file holds others: the chain judges that.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.history import BountyHistory
from ledger.merge_records import GivenReason, Reason, unpack_reasons
from ledger.records import Merged
from node.auditor.report import Difference
from node.manifest import Manifest
from node.round_updates import Checked
from node.screening import background, screen
from node.verification import Rejection, VerifiedUpdate

_ALIKE = (Reason.COPIED, Reason.STALE)
_NUMBERED = {Reason.COPIED: "of update", Reason.STALE: "of round"}


def given_reasons(merged: Merged) -> dict[int, GivenReason]:
    """The reason that a merge gives for each update that it leaves out, by reveal index."""
    out = [index for index in range(merged.reveals) if merged.claim.rejected >> index & 1]
    return dict(zip(out, unpack_reasons(merged.claim.reasons), strict=False))


def screened(
    history: BountyHistory,
    merged: Merged,
    manifest: Manifest,
    checked: Sequence[Checked],
    before: Sequence[VerifiedUpdate],
) -> list[Checked]:
    """The updates, those with a rejection that the manifest's screening says are to be left out.

    before: what the latest merge before counted, as far as it is at hand.
    Holds:  what whoever merged called unavailable is held against nothing, since it was not there to be compared.
    """
    if manifest.screening is None:
        return list(checked)
    reasons = given_reasons(merged)
    unavailable = {index for index, given in reasons.items() if given.code == Reason.UNAVAILABLE}
    there = [one for one in checked if isinstance(one, VerifiedUpdate) and one.revealed.index not in unavailable]
    left_out = screen(manifest.screening, manifest.update.bits, there, background(history, merged.round, before))
    found: dict[int, Checked] = {one.revealed.index: one for one in left_out}
    return [found.get(one.revealed.index, one) for one in checked]


def rejection_differences(
    merged: Merged, checked: Sequence[Checked], *, harm: bool = False, whole: bool = True
) -> list[Difference]:
    """Updates that were left out without cause, or counted in spite of one.

    checked: after `screened`.
    harm:    whether the manifest lets whoever merges leave out what does harm.
    whole:   whether all was at hand that updates are held against; else none is judged for being alike another.
    """
    found = []
    reasons = given_reasons(merged)
    for one in checked:
        given = reasons.get(one.revealed.index)
        if not whole and _is_about_likeness(given, one):
            continue
        if given is None or not _is_covered(given, one, harm):
            claimed = "accepted" if given is None else _described(given)
            expected = _described(one.given) if isinstance(one, Rejection) else "accepted"
            if claimed != expected:
                found.append(Difference(merged.round, "rejection", claimed, expected, update=one.revealed.index))
    return found


def _is_about_likeness(given: GivenReason | None, checked: Checked) -> bool:
    ours = checked.reason if isinstance(checked, Rejection) else None
    return ours in _ALIKE or (given is not None and given.code in _ALIKE and ours is None)


def _is_covered(given: GivenReason, checked: Checked, harm: bool) -> bool:
    """Whether a reason holds, or can't be judged here."""
    if given.code == Reason.UNAVAILABLE:
        return True
    if not isinstance(checked, Rejection):
        return harm and given.code == Reason.HARMFUL
    if given.is_judged and not checked.chunks:
        return True
    is_placed = given.is_judged or given.code in _ALIKE
    return given.code == checked.reason and (not is_placed or given.chunk in checked.chunks)


def _described(given: GivenReason) -> str:
    if given.is_judged:
        return f"{given.label} (chunk {given.chunk})"
    return f"{given.label} ({_NUMBERED[Reason(given.code)]} {given.chunk})" if given.code in _ALIKE else given.label
