"""The mirror that the settings name: one file a chain and market, in the home."""

from __future__ import annotations

from pathlib import Path

from ledger.devnet import CHAIN_ID
from ledger.mask_proofs import MaskProofs
from ledger.mirror import Mirror, Progress, SyncResult
from ledger.proofs import FraudProofs
from node.connections import Ledgers, checked_address
from node.settings import Settings

CONFIRMATIONS = 12
"""Blocks above the last one that is mirrored, unless the settings say otherwise or the chain is a devnet."""


def mirror_path(settings: Settings, ledgers: Ledgers) -> Path:
    return settings.home / "mirrors" / f"{ledgers.chain.chain_id}-{ledgers.market.address.lower()}.sqlite"


def open_mirror(settings: Settings, ledgers: Ledgers, *, read_only: bool = False) -> Mirror:
    """Open the mirror of the settings' market, the contracts that it works with, and any market for evaluations.

    Nothing is read from the chain's logs yet.

    Raises: WrongMirror, DamagedMirror; NoMirror if `read_only` and it was never made.
    """
    judge, desk = ledgers.market.judges()
    masks = MaskProofs(ledgers.chain, FraudProofs(ledgers.chain, judge).masks())
    contracts = [ledgers.market.address, judge, desk, masks.address, masks.board(), ledgers.market.scores()]
    if settings.chain.evaluations:
        contracts.append(checked_address(settings.chain.evaluations, "chain.evaluations (FEDBOUNTY_EVALUATIONS)"))
    return Mirror.open(mirror_path(settings, ledgers), ledgers.chain.chain_id, contracts, read_only=read_only)


def confirmations(settings: Settings, ledgers: Ledgers) -> int:
    """How many blocks must lie above a block before it is mirrored."""
    if settings.chain.confirmations is not None:
        return settings.chain.confirmations
    return 0 if ledgers.chain.chain_id == CHAIN_ID else CONFIRMATIONS


def sync_mirror(
    settings: Settings, ledgers: Ledgers, mirror: Mirror, progress: Progress = lambda block, target, logs: None
) -> SyncResult:
    """Bring the mirror to the chain's newest block that is confirmed as the settings want it.

    Raises: ChainUnreachable, StrangeAnswer, UnsettledChain.
    """
    depth = confirmations(settings, ledgers)
    return mirror.sync(ledgers.chain, confirmations=depth, progress=progress)
