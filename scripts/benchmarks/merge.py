"""`mean` against Flower's FedAvg and the memory's bandwidth, and every rule against its bar, in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.commitments import CHUNK
from ledger.merge_parameters import PROVABLE, MergeParameters
from ledger.records import MergeRule
from node.merging import BLOCK, Blocks, merge_mean, merge_round
from node.updates import decode_update, encode_update
from scripts.benchmarks.flower_venv import flower_python
from scripts.benchmarks.measure import MB, Figures, console, peak_growth, read_bandwidth, seconds_of, spread

UPDATE_BITS = 16
RATE = 65536
LARGEST = 3000
FLOWER_WORKER = Path(__file__).with_name("flower_worker.py")


@dataclass(frozen=True)
class Size:
    updates: int
    coordinates: int
    repeats: int

    @property
    def work(self) -> int:
        return self.updates * self.coordinates


FULL = Size(updates=50, coordinates=10_000_000 // CHUNK * CHUNK, repeats=20)
QUICK = Size(updates=10, coordinates=1_000_000 // CHUNK * CHUNK, repeats=3)
RULES = Size(updates=20, coordinates=5_000_000 // CHUNK * CHUNK, repeats=10)

TAU = 1_000_000
"""Below the updates' distances, so that clipping clips."""

BARS: dict[str, tuple[MergeParameters, float | None]] = (
    {
        "mean": (MergeParameters(MergeRule.MEAN, RATE), 1.0),
        "median": (MergeParameters(MergeRule.MEDIAN, RATE), 0.15),
        "trimmed_mean, 2 at each end": (MergeParameters(MergeRule.TRIMMED_MEAN, RATE, trim=2), 0.15),
    }
    | {
        f"centered_clip, L = {iterations}, s = {bucket}": (
            MergeParameters(MergeRule.CENTERED_CLIP, RATE, 0, 0, bucket, iterations, TAU),
            1.0 if iterations == bucket == 1 else None,
        )
        for bucket in (1, 2)
        for iterations in (1, 2, 3)
    }
    | {
        f"{rule.name.lower()}, f = 4": (MergeParameters(rule, RATE, attackers=4), None)
        for rule in MergeRule
        if rule not in PROVABLE
    }
)
"""Each rule, and the Gparam/s that it is to reach on two cores. Clipping reads the updates L + 1 times,
the rules that look at whole updates twice."""


def run(quick: bool) -> Figures:
    """Merge 50 updates of 10 M parameters (int16), beside Flower's FedAvg on the same values; then by every rule."""
    size = QUICK if quick else FULL
    python = flower_python()
    with TemporaryDirectory(prefix="fedbounty-bench-") as name:
        folder = Path(name)
        console.print(f"writing {size.updates} updates of {size.coordinates:,} parameters")
        write_updates(folder, size)
        console.print("measuring the merge, and the memory beside it")
        ours, merged_D = _merge(map_updates(folder, size), size)
        console.print("measuring its memory")
        memory = {_memory_label(*case): _memory(folder, size, *case) for case in _memory_cases(size)}
        console.print("measuring Flower")
        flower = _flower(python, folder, size)
        difference = _largest_difference(merged_D, folder / "flower.npy")
    ours["ratio_to_flower"] = ours["gparam_per_s"] / flower["gparam_per_s"]
    ours["peak_mb"] = memory[_memory_label(size.updates, BLOCK)]
    flower["largest_difference"] = difference
    return {"mean": ours, "flower": flower, "mean, peak MB": memory, **_rules(QUICK if quick else RULES)}


def _memory_cases(size: Size) -> list[tuple[int, int]]:
    return [(count, block) for block in (BLOCK // 4, BLOCK, BLOCK * 4) for count in (size.updates // 5, size.updates)]


def _memory_label(updates: int, block: int) -> str:
    return f"{updates} updates, blocks of {block:,}"


def write_updates(folder: Path, size: Size) -> None:
    """Write distinct update files of uniform values."""
    rng = np.random.default_rng(7)
    base_D = rng.integers(-LARGEST, LARGEST, size.coordinates, dtype=np.int16, endpoint=True)
    for index in range(size.updates):
        (folder / f"{index}.fbu").write_bytes(encode_update(np.roll(base_D, index * 1009)))


def map_updates(folder: Path, size: Size) -> list[NDArray[np.int16]]:
    """Map the files as the aggregator does after verifying them."""
    paths = [folder / f"{index}.fbu" for index in range(size.updates)]
    return [decode_update(np.memmap(path, dtype=np.uint8, mode="r").data, size.coordinates) for path in paths]


def _merge(updates: Sequence[NDArray[np.int16]], size: Size) -> tuple[dict[str, Any], NDArray[np.int32]]:
    state_D = np.zeros(size.coordinates, dtype=np.int32)
    merged_D = np.zeros(size.coordinates, dtype=np.int32)
    taken = seconds_of(lambda: merge_mean(state_D, updates, RATE, out=merged_D), size.repeats)
    bandwidth = read_bandwidth([update[: size.coordinates // 4 * 4] for update in updates], size.repeats)
    touched = 2 * size.work + 2 * merged_D.nbytes
    figures = {
        "gparam_per_s": size.work / min(taken) / 1e9,
        "seconds": min(taken),
        "spread": spread(taken),
        "share_of_bandwidth": touched / min(taken) / bandwidth,
        "bandwidth_gb_per_s": bandwidth / 1e9,
    }
    return figures, merged_D


def _rules(size: Size) -> Figures:
    """Every rule on the same updates: wall-clock speed, and the processor time that it takes on all cores together."""
    console.print(f"measuring every rule on {size.updates} updates of {size.coordinates:,} parameters")
    base_D = np.random.default_rng(7).integers(-LARGEST, LARGEST, size.coordinates, dtype=np.int16, endpoint=True)
    updates = [np.roll(base_D, index * 1009) for index in range(size.updates)]
    shape = f"{size.updates} x {size.coordinates / 1e6:.0f} M"
    return {f"{name}, {shape}": _rule(parameters, bar, updates, size) for name, (parameters, bar) in BARS.items()}


def _rule(
    parameters: MergeParameters, bar: float | None, updates: Sequence[NDArray[np.int16]], size: Size
) -> dict[str, Any]:
    planes_PD = np.zeros((parameters.planes, size.coordinates), dtype=np.int32)
    merged_PD = np.zeros_like(planes_PD)
    processor = []

    def merge() -> None:
        start = time.process_time()
        merge_round(parameters, planes_PD, updates, bytes(32), out=merged_PD)
        processor.append(time.process_time() - start)

    taken = seconds_of(merge, size.repeats)
    return {
        "gparam_per_s": size.work / min(taken) / 1e9,
        "bar_gparam_per_s": bar,
        "seconds": min(taken),
        "spread": spread(taken),
        "processor_ns_per_param": min(processor) / size.work * 1e9,
    }


def _memory(folder: Path, size: Size, updates: int, block: int) -> float:
    """The merge's own peak memory in a fresh process, in MB."""
    command = [sys.executable, "-m", "scripts.benchmarks.merge", str(folder), str(updates), str(size.coordinates)]
    return float(subprocess.run([*command, str(block)], check=True, capture_output=True, text=True).stdout)


def _flower(python: Path, folder: Path, size: Size) -> dict[str, Any]:
    """Flower's FedAvg in its own environment, on the same values as float32 weights."""
    arguments = [str(folder), str(size.updates), str(size.coordinates), str(UPDATE_BITS), str(min(size.repeats, 5))]
    done = subprocess.run(
        [python, "-W", "ignore", FLOWER_WORKER, *arguments], check=True, capture_output=True, text=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    taken = told["seconds"]
    return {
        "gparam_per_s": size.work / min(taken) / 1e9,
        "seconds": min(taken),
        "spread": spread(taken),
        "peak_mb": told["peak_mb"],
        "version": told["version"],
    }


def _largest_difference(merged_D: NDArray[np.int32], path: Path) -> float:
    """Between both results as weights: shows that the same values were averaged."""
    flower_D = np.load(path).astype(np.float64)
    difference = float(np.abs(merged_D * 2.0 ** -(UPDATE_BITS + 8) - flower_D).max())
    assert difference < 1e-6, f"Flower averaged other values: {difference}"
    return difference


def _measure_memory(folder: Path, size: Size, block: int) -> float:
    updates = map_updates(folder, size)
    state_D = np.ones(size.coordinates, dtype=np.int32)
    merged_D = np.ones(size.coordinates, dtype=np.int32)
    return peak_growth(lambda: merge_mean(state_D, updates, RATE, Blocks(block), out=merged_D)) / MB


if __name__ == "__main__":
    _, _folder, _updates, _coordinates, _block = sys.argv
    sys.stdout.write(f"{_measure_memory(Path(_folder), Size(int(_updates), int(_coordinates), 1), int(_block))}\n")
