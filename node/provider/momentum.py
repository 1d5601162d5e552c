"""A provider's momentum: what it remembers of its own updates from round to round. docs/PROTOCOL.md, section 4.

The vector is a file beside the updates, named after its content; the journal's entry of an update names the momentum
that it was made with, so that vector, round, state and update are written down together or not at all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from node.bounty_files import write_atomically

log = structlog.get_logger()


@dataclass(frozen=True)
class MomentumFiles:
    """Where one bounty's momentum is kept.

    folder: of the provider's updates.
    bounty: what this bounty's files are called, unlike those of all others.
    """

    folder: Path
    bounty: str

    def write(self, momentum_D: NDArray[np.float32], source: bytes | None) -> bytes:
        """Keep a momentum, and the one that it came from: before the journal knows the new one, a restart needs that.

        Shapes: momentum_D (D,) float32.
        Gives:  the digest that names it.
        """
        data = np.ascontiguousarray(momentum_D, dtype="<f4").tobytes()
        digest = hashlib.sha256(data).digest()
        write_atomically(self._path(digest), data)
        needed = {self._path(one) for one in (digest, source) if one is not None}
        for path in self.folder.glob(f"momentum-{self.bounty}-*"):
            if path not in needed:
                path.unlink(missing_ok=True)
        return digest

    def read(self, digest: bytes, size: int) -> NDArray[np.float32] | None:
        """A momentum that was kept; None, and a warning, where the file is lost or damaged.

        Shapes: -> (size,) float32.
        """
        path = self._path(digest)
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).digest() != digest or len(data) != 4 * size:
            log.warning("momentum_lost", path=str(path), remedy="the next update starts without it")
            return None
        return np.frombuffer(data, dtype="<f4").astype(np.float32)

    def _path(self, digest: bytes) -> Path:
        return self.folder / f"momentum-{self.bounty}-{digest.hex()}"


def blend(delta_D: NDArray[np.float32], before_D: NDArray[np.float32] | None, beta: float) -> None:
    """Turn a delta into the new momentum, `beta * m + (1 - beta) * delta`; the first one is the delta itself.

    Shapes: delta_D and before_D (D,) float32.
    Source: Karimireddy et al. 2021, arXiv:2012.10333, algorithm 2.
    """
    if before_D is None:
        return
    np.multiply(delta_D, np.float32(1 - beta), out=delta_D)
    np.add(delta_D, np.float32(beta) * before_D, out=delta_D)
