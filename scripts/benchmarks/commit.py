"""From a trained delta to what is committed: quantise, encode, hash; and back: verify."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ledger.cid import Digest
from ledger.commitments import CHUNK, update_tree
from ledger.keccak import ZERO_HASH
from ledger.records import Address, BountyId, Position, Revealed
from node.manifest import UpdateSection
from node.updates import encode_update, quantise
from node.verification import VerifiedUpdate, check_update
from scripts.benchmarks.measure import Figures, seconds_of, spread

COORDINATES = 10_000_000 // CHUNK * CHUNK
QUICK_COORDINATES = COORDINATES // 10 // CHUNK * CHUNK
REPEATS = 5


def run(quick: bool) -> Figures:
    """Quantise, encode and commit to an update of 10 M parameters; then verify it as an aggregator does."""
    coordinates = QUICK_COORDINATES if quick else COORDINATES
    rng = np.random.default_rng(7)
    delta_D = rng.standard_normal(coordinates, dtype=np.float32) * np.float32(1e-3)
    grid = UpdateSection.model_validate({"codec": "int16", "bits": 16, "clip": 4.0, "rounding": "nearest"})
    update_D = quantise(delta_D, grid, rng).update
    data = encode_update(update_D)
    tree = update_tree(update_D)
    revealed = Revealed(Position(0, 0, ""), BountyId(1), 1, Address(""), 0, Digest(ZERO_HASH), tree.root, tree.total, 1)
    taken = {
        "quantise": seconds_of(lambda: quantise(delta_D, grid, rng), REPEATS),
        "encode": seconds_of(lambda: encode_update(update_D), REPEATS),
        "commit": seconds_of(lambda: update_tree(update_D), REPEATS),
    }
    with TemporaryDirectory(prefix="fedbounty-bench-") as name:
        path = Path(name) / "update"
        path.write_bytes(data)
        assert isinstance(check_update(path, revealed, coordinates), VerifiedUpdate)
        assert not isinstance(check_update(path, replace(revealed, update_root=ZERO_HASH), coordinates), VerifiedUpdate)
        verifying = seconds_of(lambda: check_update(path, revealed, coordinates), REPEATS)
    rows = {name: {"seconds": min(times), "spread": spread(times)} for name, times in taken.items()}
    total = {"seconds": sum(row["seconds"] for row in rows.values()), "parameters": coordinates}
    return {**rows, "all three": total, "verify": {"seconds": min(verifying), "spread": spread(verifying)}}
