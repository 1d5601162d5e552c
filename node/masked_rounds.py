"""A masked round: who is in which group, which groups' masks can be taken away, and the merge of their sums. Pure.

Provider, aggregator and auditor start here, so that they can't differ. docs/PROTOCOL.md, section 16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from incentives.settlement import settle
from ledger.history import BountyHistory
from ledger.keccak import Hash32
from ledger.merge_records import Reason
from ledger.records import Address, Joined, Revealed, RoundOpened, Terms
from node.masked_updates import VerifiedMasked
from node.masking.context import RoundContext
from node.masking.errors import NotUnmaskable
from node.masking.groups import Group, Member, draw_groups, group_of
from node.masking.key_leaf import KeyLeaf
from node.masking.recovery import Recovered, recover, table_row
from node.masking.sums import GroupSum, merge_sums, unmask_sum
from node.masking.table import TableRow
from node.masking.unmasking import Lists, Released, lists_of
from node.masking_section import MaskingSection
from node.merged_states import MergedState, parameters_of
from node.verification import Rejection


@dataclass(frozen=True)
class MaskedRound:
    """The groups of one opening of a round. indices: member indices of who was active when it opened."""

    context: RoundContext
    groups: tuple[Group, ...]
    indices: Mapping[Address, int]

    def place_of(self, provider: Address) -> tuple[int, Group] | None:
        """The number and group of a provider; None if it is in none."""
        index = self.indices.get(provider)
        return None if index is None else group_of(self.groups, index)


def opening_block(history: BountyHistory, number: int) -> int | None:
    """The block whose transaction opened a round; None while that is only a matter of time."""
    opened = [event.at.block for event in history.events if isinstance(event, RoundOpened) and event.round == number]
    return opened[-1] if opened else None


def masked_round(
    history: BountyHistory, number: int, place: tuple[int, Address], opened_in: Hash32, section: MaskingSection
) -> MaskedRound:
    """The groups that a round's opening block draws from the members that were active after it.

    place:     chain id and market.
    opened_in: hash of `opening_block`.
    Raises:    ValueError if the round was not opened.
    """
    block = opening_block(history, number)
    if block is None:
        raise ValueError(f"round {number} was not opened by a transaction yet")
    before = [event for event in history.events if event.at.block <= block]
    seats = settle(before).seats
    active = {provider: seat.index for provider, seat in seats.items() if seat.active}
    keys = {event.provider: event.encryption_key for event in before if isinstance(event, Joined)}
    members = [Member(index, keys[provider]) for provider, index in active.items()]
    context = RoundContext(*place, history.bounty, number, opened_in)
    groups = draw_groups(members, section.group, section.threshold, context.groups_seed)
    return MaskedRound(context, groups, active)


@dataclass(frozen=True)
class Candidate:
    """A group whose revealed updates are all there and right, so that its masks may be taken away.

    updates: by member index.
    """

    group: Group
    lists: Lists
    updates: Mapping[int, VerifiedMasked]

    @property
    def leaves(self) -> dict[int, KeyLeaf]:
        return {index: one.file.leaf for index, one in self.updates.items()}


def candidates(
    masked: MaskedRound, checked: Sequence[VerifiedMasked | Rejection]
) -> tuple[list[Candidate], dict[int, Rejection]]:
    """The groups that can be unmasked, and why each update of the others can't be counted, by reveal index."""
    placed = [_placed(masked, one) for one in checked]
    rejections = {one.revealed.index: one for one in placed if isinstance(one, Rejection)}
    found = []
    for group in masked.groups:
        inside = [one for one in placed if masked.indices.get(one.revealed.provider) in group.indices]
        if not inside:
            continue
        updates = {masked.indices[one.revealed.provider]: one for one in inside if isinstance(one, VerifiedMasked)}
        bad = [one for one in inside if isinstance(one, Rejection)]
        try:
            lists = lists_of(group, [masked.indices[one.revealed.provider] for one in inside])
        except NotUnmaskable as error:
            rejections |= left_out([one.revealed for one in updates.values()], error.detail)
            continue
        if bad:
            why = f"update {bad[0].revealed.index} of its group is {bad[0].reason.label}"
            rejections |= left_out([one.revealed for one in updates.values()], why)
            continue
        found.append(Candidate(group, lists, updates))
    return found, rejections


def left_out(reveals: Sequence[Revealed], why: str) -> dict[int, Rejection]:
    """The rejections of a group's updates, by reveal index."""
    return {one.index: Rejection(one, Reason.UNMASKABLE, why) for one in reveals}


def _placed(masked: MaskedRound, one: VerifiedMasked | Rejection) -> VerifiedMasked | Rejection:
    """An update that fits its provider's group, or why it does not."""
    place = masked.place_of(one.revealed.provider)
    if place is None:
        return Rejection(one.revealed, Reason.UNMASKABLE, "its provider is in no group of the round")
    if isinstance(one, Rejection):
        return one
    own = masked.indices[one.revealed.provider]
    leaf = one.file.leaf
    if leaf.own != own or [peer for peer, _ in leaf.peers] != [peer.index for peer in place[1].peers_of(own)]:
        return Rejection(one.revealed, Reason.MALFORMED, "its key leaf names other members than those of its group")
    return one


@dataclass(frozen=True)
class Unmasked:
    """What is known of a round's masks. rows: of the updates that can be counted, by reveal index.

    missing:  why a group can't be unmasked with what was released so far, by the group's first reveal index.
    culprits: members whose shares were found to be wrong.
    """

    updates: Mapping[int, VerifiedMasked]
    rows: Mapping[int, TableRow]
    rejections: Mapping[int, Rejection]
    missing: tuple[str, ...] = ()
    culprits: tuple[int, ...] = ()


def unmask_groups(found: Sequence[Candidate], released: Sequence[Released]) -> list[tuple[Candidate, Recovered | str]]:
    """The seeds of each group, or why they can't be had from what was released."""
    results: list[tuple[Candidate, Recovered | str]] = []
    for one in found:
        try:
            results.append((one, recover(one.group, one.lists, one.leaves, released)))
        except NotUnmaskable as error:
            results.append((one, str(error)))
    return results


def accept_groups(
    terms: Terms, results: Sequence[tuple[Candidate, Recovered | str]], rejections: Mapping[int, Rejection]
) -> Unmasked:
    """Count the groups whose masks are off and whose sum is within bounds; the others are left out whole."""
    updates: dict[int, VerifiedMasked] = {}
    rows: dict[int, TableRow] = {}
    missing: list[str] = []
    culprits: set[int] = set()
    out = dict(rejections)
    by_first = sorted(results, key=lambda result: min(one.revealed.index for one in result[0].updates.values()))
    groups = 0
    for candidate, recovered in by_first:
        reveals = [one.revealed for one in candidate.updates.values()]
        if isinstance(recovered, str):
            missing.append(recovered)
            out |= left_out(reveals, recovered)
            continue
        culprits |= set(recovered.culprits)
        made = {
            one.revealed.index: table_row(groups, one.file.leaf, candidate.lists, recovered)
            for one in candidate.updates.values()
        }
        (summed,) = sums_of([one for _, one in _by_reveal(candidate)], [made[index] for index in sorted(made)])
        fault = summed.fault(terms.squared_norm_bound)
        if fault:
            out |= left_out(reveals, fault)
            continue
        updates |= dict(_by_reveal(candidate))
        rows |= made
        groups += 1
    return Unmasked(updates, rows, out, tuple(missing), tuple(sorted(culprits)))


def _by_reveal(candidate: Candidate) -> list[tuple[int, VerifiedMasked]]:
    return sorted((one.revealed.index, one) for one in candidate.updates.values())


def sums_of(updates: Sequence[VerifiedMasked], rows: Sequence[TableRow]) -> list[GroupSum]:
    """The sums of the groups that a table names, by group number; updates and rows by rising reveal index."""
    found = []
    for number in sorted({row.group for row in rows}):
        inside = [(update, row) for update, row in zip(updates, rows, strict=True) if row.group == number]
        removals = [entry.removal for _, row in inside for entry in row.entries]
        found.append(GroupSum(unmask_sum([update.file.masked_D for update, _ in inside], removals), len(inside)))
    return found


def merge_masked(terms: Terms, before_PD: NDArray[np.int32], sums: Sequence[GroupSum]) -> MergedState:
    """Merge the accepted groups' sums into the state before.

    Shapes: before_PD (planes, D) int32.
    """
    return MergedState(merge_sums(parameters_of(terms), before_PD, sums))
