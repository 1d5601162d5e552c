"""Which group each provider of a masked round is in. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.history import BountyHistory
from ledger.keccak import Hash32
from ledger.records import Address
from node.masked_rounds import masked_round
from node.masking_section import MaskingSection


def groups_in(
    history: BountyHistory, number: int, place: tuple[int, Address], opened_in: Hash32, section: MaskingSection
) -> Mapping[Address, int]:
    """The groups' numbers, from 1, by provider; who is in none is missing.

    place:     chain id and market.
    opened_in: hash of the block that opened the round.
    Raises:    ValueError if the round was not opened.
    """
    masked = masked_round(history, number, place, opened_in, section)
    found = {provider: masked.place_of(provider) for provider in masked.indices}
    return {provider: at[0] + 1 for provider, at in found.items() if at is not None}
