"""Noise on a whole update, on its integer grid, before it leaves (docs/PROTOCOL.md, section 15)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ledger.errors import FedbountyError
from node.privacy.discrete_noise import discrete_gaussian
from node.privacy.randomness import SecureStream
from node.updates import LIMIT, Quantised

_BLOCK = 1 << 20


class NoiseOutOfRoom(FedbountyError):
    """A draw that comes once in 10^12 updates."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(
            f"The update can't be sent: with its noise {detail}. This is chance, and noise is not drawn again by "
            f"itself, because that would make it less. Run the command again."
        )


@dataclass(frozen=True)
class NoiseRoom:
    """sigma: in grid units; coordinates: those of the model, without padding; bound: on the squared norm with noise."""

    sigma: int
    coordinates: int
    bound: int


def add_noise(quantised: Quantised, room: NoiseRoom, stream: SecureStream | None = None) -> Quantised:
    """Add a discrete Gaussian to each coordinate of an update that was clipped before.

    Holds:  padding stays 0; nothing is clamped, so that sums of updates have the sum of the noise.
    Raises: NoiseOutOfRoom.
    """
    source = stream or SecureStream()
    noisy_D: NDArray[np.int16] = quantised.update.copy()
    squared_norm = 0
    for start in range(0, room.coordinates, _BLOCK):
        part = slice(start, min(start + _BLOCK, room.coordinates))
        values = quantised.update[part].astype(np.int64) + discrete_gaussian(room.sigma, part.stop - start, source)
        if int(np.abs(values).max()) > LIMIT:
            raise NoiseOutOfRoom(f"a coordinate would exceed {LIMIT} grid units")
        noisy_D[part] = values
        squared_norm += int(np.dot(values, values))
    if squared_norm > room.bound:
        raise NoiseOutOfRoom(f"its squared norm is {squared_norm}, more than the bound {room.bound}")
    return replace(quantised, update=noisy_D, squared_norm=squared_norm)
