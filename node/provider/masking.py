"""A provider's part in masked rounds: its seat in a group, and the release of shares. docs/PROTOCOL.md, section 16."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog

from ledger.cid import Digest
from ledger.history import BountyHistory, build_history
from ledger.market import Market
from ledger.mask_board import MaskBoard, MaskBoardWriter, board_of
from ledger.records import BountyId, Phase, PrivacyMode, Revealed, Terms
from node.bounty_files import BountyFiles
from node.connections import Account, connect_peers, spent
from node.journal import MadeUpdate, Scope
from node.manifest import Manifest, coordinates, privacy
from node.masked_rounds import Candidate, MaskedRound, candidates, masked_round, opening_block
from node.masked_updates import VerifiedMasked
from node.masking.errors import AlreadyDecided, NotUnmaskable
from node.masking.groups import Group
from node.masking.seeds import secrets_of
from node.masking.unmasking import lists_of, release
from node.masking.update import Seat
from node.masking_section import MaskingSection
from node.provider.masked_view import MaskedView, too_little_noise
from node.provider.release_journal import RELEASES, ReleaseJournal
from node.round_updates import check_updates
from node.verification import Rejection

log = structlog.get_logger()


@dataclass(frozen=True)
class MaskingPart:
    """Follows the masked rounds of one bounty with one key.

    confirmations: blocks that must lie above what shares are released for, and above the drawing of groups.
    """

    market: Market
    account: Account
    bounty: BountyId
    terms: Terms
    manifest: Manifest
    files: BountyFiles
    board: MaskBoard
    journal: ReleaseJournal
    confirmations: int = 0

    @property
    def scope(self) -> Scope:
        return Scope(self.market.chain.chain_id, self.market.address, self.bounty, self.account.address)

    def observe(self, history: BountyHistory, number: int) -> MaskedView:
        """Look at a round, whose events `history` has, from the newest block."""
        newest = self.market.chain.block().number
        block = opening_block(history, number)
        if block is None:
            return MaskedView(unopened=number > 0)
        masked = self._round(history, number, block)
        place = masked.place_of(self.account.address)
        if place is None or block + self.confirmations > newest:
            return MaskedView()
        refusal = too_little_noise(place[1], privacy(self.manifest).honest or 0)
        if refusal:
            return MaskedView(refusal=refusal)
        seat = Seat(masked.context, place[1], masked.indices[self.account.address], secrets_of(self.account.key.derive))
        used = self.journal.masked(self.account.address, masked.context.groups_seed)
        try:
            lists_of(place[1], [masked.indices[one.provider] for one in _revealed(history, number, masked, place[1])])
        except NotUnmaskable:
            return MaskedView(seat=seat, masked=used)
        return MaskedView(seat=seat, masked=used, release_due=self._is_release_due(number, newest))

    def claim_masks(self, seat: Seat, made: MadeUpdate) -> None:
        """Write down that an update has the masks of a seat, before it leaves.

        Raises: MasksUsed if another one has them.
        """
        self.journal.mask(self.account.address, seat.context.groups_seed, made.root)

    def _is_release_due(self, number: int, newest: int) -> bool:
        """Whether the reveals were over at the confirmed block, and this account has announced nothing since."""
        settled = self.market.chain.block(max(0, newest - self.confirmations))
        clock = self.market.clock(self.bounty, at=settled)
        if clock.round != number or clock.phase not in (Phase.MERGE, Phase.OPEN_MERGE):
            return False
        return all(one.sender != self.account.address for one in self.board.announced(self.bounty, number))

    def release(self, seat: Seat, number: int) -> None:
        """Release what the round's lists allow, if every revealed update of the group is at hand; else nothing.

        Holds: the decision is on disk before anything leaves; for other lists than it names nothing ever leaves.
        """
        newest = self.market.chain.block()
        last = max(0, newest.number - self.confirmations)
        history = build_history(self.market.events(self.bounty, last=last))
        where = {"bounty": self.bounty, "round": number}
        group = self._candidate(history, seat, number)
        if group is None:
            return
        try:
            self.journal.decide(self.scope, number, seat.context.groups_seed, group.lists)
        except AlreadyDecided as error:
            log.error("not_released", **where, error=str(error))
            return
        files = {index: (one.file, one.revealed.update_root) for index, one in group.updates.items()}
        released = release(seat, group.lists, files)
        cid: Digest = self.files.publish(released.encode())
        receipt = MaskBoardWriter(self.board, self.account.transactor).announce(self.bounty, number, cid)
        log.info("shares_released", **where, shares=len(released.shares), **spent(receipt))

    def _candidate(self, history: BountyHistory, seat: Seat, number: int) -> Candidate | None:
        """This member's group, if its masks may be taken off; says why not in the log."""
        block = opening_block(history, number)
        assert block is not None, "the view had a seat"
        masked = self._round(history, number, block)
        inside = [
            one for one in history.rounds[number].reveals if masked.indices.get(one.provider) in seat.group.indices
        ]
        where = {"bounty": self.bounty, "round": number}
        try:
            lists_of(seat.group, [masked.indices[one.provider] for one in inside])
        except NotUnmaskable as error:
            log.warning("not_released", **where, error=str(error))
            return None
        self._connect(history, masked, seat)
        checked = check_updates(self.files, self.terms, inside, coordinates(self.manifest))
        found, rejections = candidates(masked, [one for one in checked if isinstance(one, VerifiedMasked | Rejection)])
        for one in rejections.values():
            log.warning("not_released", **where, index=one.revealed.index, reason=one.reason.label, detail=one.detail)
        return next((one for one in found if one.group == seat.group), None)

    def _connect(self, history: BountyHistory, masked: MaskedRound, seat: Seat) -> None:
        """Connect to the group's IPFS nodes."""
        others = [one for one in history.members if one.index in seat.group.indices and one.index != seat.own]
        connect_peers(self.files.store, [one.multiaddr for one in others])

    def _round(self, history: BountyHistory, number: int, block: int) -> MaskedRound:
        place = (self.market.chain.chain_id, self.market.address)
        return masked_round(history, number, place, self.market.chain.block(block).hash, _section(self.manifest))


def _revealed(history: BountyHistory, number: int, masked: MaskedRound, group: Group) -> list[Revealed]:
    """The updates of a group's members that are revealed so far."""
    return [one for one in history.rounds[number].reveals if masked.indices.get(one.provider) in group.indices]


def _section(manifest: Manifest) -> MaskingSection:
    assert manifest.masking is not None, "terms and manifest agree on the privacy mode"
    return manifest.masking


@dataclass(frozen=True)
class MaskingPlace:
    """Where a provider keeps what it must not forget, and how sure it wants to be of the chain."""

    home: Path
    confirmations: int = 0


def open_masking(
    market: Market, account: Account, bounty: BountyId, files: BountyFiles, place: MaskingPlace
) -> MaskingPart | None:
    """A provider's part in a masked bounty; None for any other."""
    terms = market.terms(bounty)
    if terms.privacy != PrivacyMode.MASKED:
        return None
    journal = ReleaseJournal(place.home / RELEASES, market.chain.block(0).hash)
    manifest = files.manifest(terms)
    return MaskingPart(market, account, bounty, terms, manifest, files, board_of(market), journal, place.confirmations)
