"""Looking at an owner's sample of the data, so that a manifest's schema can be proposed from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from node.errors import BadData

_MOST_CLASSES = 1000


@dataclass(frozen=True)
class Survey:
    """What a sample shows.

    columns:     feature columns in order; None for NPZ.
    classes:     the labels' names in order; None where the labels are numbers to be predicted.
    input_shape: one example's shape, without the batch.
    minimum, maximum: of all feature values in the sample.
    """

    label: str
    columns: tuple[str, ...] | None
    classes: tuple[str, ...] | None
    input_shape: tuple[int, ...]
    minimum: float
    maximum: float
    examples: int


def survey(path: Path, label: str, regression: bool) -> Survey:
    """Look at a .csv, .parquet or .npz sample; `label` names the label's column (NPZ: arrays `x` and `y`).

    Raises: BadData.
    """
    try:
        features, labels, columns = _read(path, label)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise BadData(str(path), [f"it can't be read ({error})"]) from error
    if not len(features) or not np.isfinite(features).all():
        raise BadData(str(path), ["it has no rows, or a value that is missing or not finite"])
    classes = None if regression else _classes(path, labels)
    shape = tuple(int(size) for size in features.shape[1:])
    return Survey(label, columns, classes, shape, float(features.min()), float(features.max()), len(features))


def _read(path: Path, label: str) -> tuple[NDArray[Any], NDArray[Any], tuple[str, ...] | None]:
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return arrays["x"], arrays["y"], None
    table = pq.read_table(path) if path.suffix == ".parquet" else pacsv.read_csv(path)
    if label not in table.column_names:
        raise ValueError(f"there is no column {label!r}; name the label's column with --label")
    columns = tuple(name for name in table.column_names if name != label)
    features = np.column_stack([table.column(name).cast(pa.float64()).to_numpy() for name in columns])
    return features, np.array(table.column(label).to_pylist(), dtype=object), columns


def _classes(path: Path, labels: NDArray[Any]) -> tuple[str, ...]:
    """Names by label index; integer labels count from 0."""
    found = sorted({one for one in labels.tolist() if one is not None}, key=lambda one: (isinstance(one, str), one))
    if len(found) < 2 or len(found) > _MOST_CLASSES:
        raise BadData(
            str(path), [f"its label has {len(found)} values; name its column with --label, or use --regression"]
        )
    if all(isinstance(one, int) and one >= 0 for one in found):
        return tuple(str(index) for index in range(max(found) + 1))
    return tuple(str(one) for one in found)
