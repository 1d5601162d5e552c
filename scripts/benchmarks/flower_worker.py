"""Flower's FedAvg aggregation, timed. Runs in Flower's environment: imports nothing of this project.

Arguments: folder, updates, coordinates, bits, repeats. Prints one JSON object; leaves the mean in `flower.npy`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords

HEADER_BYTES = 16


def main() -> None:
    folder = Path(sys.argv[1])
    updates, coordinates, bits, repeats = (int(argument) for argument in sys.argv[2:])
    records = []
    for index in range(updates):
        update = np.fromfile(folder / f"{index}.fbu", dtype="<i2", offset=HEADER_BYTES, count=coordinates)
        weights = update.astype(np.float32) * np.float32(2.0**-bits)
        records.append(RecordDict({"arrays": ArrayRecord([weights]), "metrics": MetricRecord({"num-examples": 1.0})}))
    mean = aggregate_arrayrecords(records, "num-examples")
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        mean = aggregate_arrayrecords(records, "num-examples")
        seconds.append(time.perf_counter() - start)
    np.save(folder / "flower.npy", mean.to_numpy_ndarrays()[0])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak / 1e6, "version": version("flwr")}))


if __name__ == "__main__":
    main()
