"""Merging a masked round: gather shares, take the masks off, merge the sums. docs/PROTOCOL.md, section 16."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from ledger.cid import Digest, to_cid
from ledger.errors import ContentError, ContentUnreachable
from ledger.history import BountyHistory
from ledger.keccak import ZERO_HASH, Hash32, keccak
from ledger.market import Market
from ledger.mask_board import Announced, board_of
from ledger.merge_records import Reason
from ledger.records import Address, BountyId, PrivacyMode, Revealed, Terms
from node.bounty_files import BountyFiles
from node.hashing_processes import open_processes
from node.manifest import Manifest, coordinates
from node.masked_rounds import (
    Candidate,
    MaskedRound,
    accept_groups,
    candidates,
    masked_round,
    merge_masked,
    opening_block,
    sums_of,
    unmask_groups,
)
from node.masked_updates import VerifiedMasked
from node.masking.errors import BadUnmasking
from node.masking.recovery import Recovered
from node.masking.table import encode_table
from node.masking.unmasking import MOST_UNMASKING_BYTES, Released, decode_released
from node.masking_section import MaskingSection
from node.merged_states import MergedState
from node.round_updates import FETCHES_AT_ONCE, check_updates
from node.verification import Rejection

log = structlog.get_logger()

MOST_ANNOUNCED = 3
"""Unmasking files of one member that are looked at, the last ones."""

SHARES_SECONDS = 10.0
"""To fetch one of these few kilobytes: members can announce what nobody has."""


@dataclass(frozen=True)
class MaskSource:
    """What the chain says of a masked round besides the market's events.

    place:     chain id and market.
    opened_in: the hash of a block.
    announced: the unmasking files of a round, in the order of the chain.
    """

    place: tuple[int, Address]
    opened_in: Callable[[int], Hash32]
    announced: Callable[[int], Sequence[Announced]]


@dataclass(frozen=True)
class MaskedMerge:
    """What a masked round's merge makes of it, and the table that it commits to. groups: how many are counted."""

    merged: MergedState
    groups: int
    rejections: dict[int, Rejection]
    table_hash: Hash32
    table_cid: Digest


@dataclass(frozen=True)
class _Gathered:
    """What is at hand for a round.

    reveals:  that it was gathered for.
    complete: nothing more can come that would let another group be counted.
    """

    reveals: Sequence[Revealed]
    results: list[tuple[Candidate, Recovered | str]]
    rejections: dict[int, Rejection]
    complete: bool


class Unmasking:
    """Gathers what one bounty's masked rounds are unmasked with."""

    def __init__(self, files: BountyFiles, terms: Terms, manifest: Manifest, source: MaskSource) -> None:
        self._files, self._terms, self._manifest, self._source = files, terms, manifest, source
        self._verified: dict[Revealed, VerifiedMasked] = {}
        self._gathered: dict[int, _Gathered] = {}

    def is_complete(self, number: int) -> bool:
        """Whether the last `gather` found all that could be wanted."""
        return number in self._gathered and self._gathered[number].complete

    def gather(self, history: BountyHistory, number: int) -> None:
        """Fetch the round's updates and the shares that were announced so far."""
        self._gathered[number] = self._gather(history, number)

    def merge(self, history: BountyHistory, number: int, before_PD: NDArray[np.int32]) -> MaskedMerge:
        """Merge a round with what was gathered last; a group whose masks can't be taken off is left out whole.

        Nothing is waited for again: what members announce may be nowhere, and the time to merge ends.
        """
        gathered = self._gathered.get(number)
        if gathered is None or gathered.reveals != tuple(history.rounds[number].reveals):
            gathered = self._gather(history, number)
        unmasked = accept_groups(self._terms, gathered.results, gathered.rejections)
        for why in unmasked.missing:
            log.warning("not_unmasked", bounty=history.bounty, round=number, why=why)
        if unmasked.culprits:
            log.warning("wrong_shares", bounty=history.bounty, round=number, members=unmasked.culprits)
        order = sorted(unmasked.updates)
        updates, rows = [unmasked.updates[index] for index in order], [unmasked.rows[index] for index in order]
        for update in updates:
            self._files.store.pin(update.revealed.cid)
        sums = sums_of(updates, rows)
        merged = merge_masked(self._terms, before_PD, sums)
        table = encode_table(rows)
        cid = self._files.publish(table) if table else Digest(ZERO_HASH)
        self._gathered.pop(number, None)
        self._verified.clear()
        return MaskedMerge(merged, len(sums), dict(unmasked.rejections), keccak(table), cid)

    def _gather(self, history: BountyHistory, number: int) -> _Gathered:
        block = opening_block(history, number)
        assert block is not None, "a round with reveals was opened"
        masked = masked_round(
            history, number, self._source.place, self._source.opened_in(block), _section(self._manifest)
        )
        reveals = tuple(history.rounds[number].reveals)
        checked = self._check(reveals)
        found, rejections = candidates(masked, checked)
        results = unmask_groups(found, self._released(masked, number))
        waits = any(isinstance(one, Rejection) and one.reason == Reason.UNAVAILABLE for one in checked)
        complete = not waits and all(isinstance(one, Recovered) for _, one in results)
        return _Gathered(reveals, results, rejections, complete)

    def _check(self, reveals: Sequence[Revealed]) -> list[VerifiedMasked | Rejection]:
        """Each revealed update, verified once; what failed is tried again."""
        rest = [one for one in reveals if one not in self._verified]  # a root can be revealed again in a later round
        with open_processes(len(rest) * self._terms.chunks) as workers:
            checked = check_updates(self._files, self._terms, rest, coordinates(self._manifest), workers=workers)
        failed: dict[Revealed, Rejection] = {}
        for one in checked:
            if isinstance(one, VerifiedMasked):
                self._verified[one.revealed] = one
            elif isinstance(one, Rejection):
                failed[one.revealed] = one
        return [self._verified.get(one) or failed[one] for one in reveals]

    def _released(self, masked: MaskedRound, number: int) -> list[Released]:
        """What members released, the latest right file of each; nobody can make others wait for many that are wrong."""
        said: dict[int, list[Announced]] = {}
        for one in self._source.announced(number):
            index = masked.indices.get(one.sender)
            if index is not None:
                said.setdefault(index, []).append(one)
        with ThreadPoolExecutor(FETCHES_AT_ONCE) as pool:
            found = pool.map(lambda index: self._latest(index, said[index][-MOST_ANNOUNCED:]), sorted(said))
            return [one for one in found if one is not None]

    def _latest(self, index: int, announced: Sequence[Announced]) -> Released | None:
        """The last of a member's announced files that is one of its own."""
        for one in reversed(announced):
            try:
                path = self._files.file(one.cid, MOST_UNMASKING_BYTES, SHARES_SECONDS)
                released = decode_released(path.read_bytes())
            except ContentUnreachable:
                raise
            except (ContentError, BadUnmasking) as error:
                log.info("no_shares", sender=one.sender, cid=to_cid(one.cid), error=str(error))
                continue
            if released.holder == index:
                return released
        return None


def open_unmasking(
    market: Market, bounty: BountyId, terms: Terms, manifest: Manifest, files: BountyFiles
) -> Unmasking | None:
    """What a masked bounty's rounds are unmasked with; None for any other bounty."""
    if terms.privacy != PrivacyMode.MASKED:
        return None
    board, chain = board_of(market), market.chain
    source = MaskSource(
        place=(chain.chain_id, market.address),
        opened_in=lambda block: chain.block(block).hash,
        announced=lambda number: board.announced(bounty, number),
    )
    return Unmasking(files, terms, manifest, source)


def _section(manifest: Manifest) -> MaskingSection:
    assert manifest.masking is not None, "terms and manifest agree on the privacy mode"
    return manifest.masking
