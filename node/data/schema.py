"""What a bounty wants of an example, and checking a whole data set against it with all problems at once.

Shape suffixes: N examples, F numbers in an example.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from node.errors import BadData, shown
from node.manifest import Manifest

SHOWN_PLACES = 3
"""How many places of one kind of problem are named."""

MAX_DATA_BYTES = 32 * 1024**3
"""What a data set may take in memory."""

_BLOCK_ROWS = 4096

Place = Callable[[int, int], str]
"""Names a value for a person: from its row and its feature, both from 0, to a file, row and column."""

RowPlace = Callable[[int], str]


@dataclass(frozen=True)
class Examples:
    """Checked data, ready to train on.

    Shapes: features (N, *input_shape) float32 or int64; labels (N,) int64 classes, or (N, output_size) float32.
    """

    features: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class Raw:
    """What an adapter read, before the checks.

    Shapes: features (N, F) of any number type; labels as in the source: (N,) texts or numbers, or (N, K) numbers.
    """

    source: str
    features: NDArray[Any]
    labels: NDArray[Any]
    place: Place
    row_place: RowPlace


def checked(raw: Raw, manifest: Manifest, min_examples: int) -> Examples:
    """Make checked examples of what an adapter read.

    Raises: BadData with every problem.
    """
    found = [*_count_problems(raw, manifest, min_examples), *_feature_problems(raw, manifest)]
    labels, label_problems = _labels(raw, manifest)
    found += label_problems
    if found or labels is None:
        raise BadData(raw.source, found)
    dtype = np.float32 if manifest.model.input_dtype == "float32" else np.int64
    shape = (len(raw.features), *manifest.model.input_shape)
    features = np.ascontiguousarray(raw.features.astype(dtype, copy=False)).reshape(shape)
    return Examples(torch.from_numpy(_writable(features)), torch.from_numpy(_writable(labels)))


def _writable(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.flags.writeable else array.copy()


def _count_problems(raw: Raw, manifest: Manifest, min_examples: int) -> list[str]:
    rows, wanted = len(raw.features), math.prod(manifest.model.input_shape)
    problems = []
    if rows < min_examples:
        problems.append(f"it has {rows} examples; the bounty asks for at least {min_examples}")
    if raw.features.shape[1] != wanted:
        problems.append(f"an example has {raw.features.shape[1]} numbers; the model takes {wanted}")
    if len(raw.labels) != rows:
        problems.append(f"it has {rows} examples but {len(raw.labels)} labels")
    return problems


def _feature_problems(raw: Raw, manifest: Manifest) -> list[str]:
    if raw.features.dtype.kind not in "biuf":
        return [f"the features are {raw.features.dtype}, not numbers"]
    low, high = manifest.data.minimum, manifest.data.maximum
    whole = manifest.model.input_dtype == "int64" and raw.features.dtype.kind == "f"
    kinds = [_Kind("no value, or not a finite number"), _Kind(f"outside {low:g} .. {high:g}"), _Kind("not whole")]
    for start in range(0, len(raw.features), _BLOCK_ROWS):
        block = raw.features[start : start + _BLOCK_ROWS]
        finite = np.isfinite(block)
        kinds[0].note(~finite, start)
        kinds[1].note(finite & ((block < low) | (block > high)), start)
        if whole:
            kinds[2].note(finite & (np.trunc(block) != block), start)
    return [problem for kind in kinds for problem in kind.problems(raw.place)]


class _Kind:
    """Collects where one kind of problem occurs."""

    def __init__(self, what: str) -> None:
        self.what, self.count = what, 0
        self.places: list[tuple[int, int]] = []

    def note(self, bad: NDArray[np.bool_], first_row: int) -> None:
        count = int(np.count_nonzero(bad))
        if count and len(self.places) < SHOWN_PLACES:
            rows, columns = np.nonzero(bad)
            pairs = zip(rows[:SHOWN_PLACES].tolist(), columns[:SHOWN_PLACES].tolist(), strict=True)
            self.places += [(first_row + row, column) for row, column in pairs]
        self.count += count

    def problems(self, place: Place) -> list[str]:
        lines = [f"{place(row, column)}: {self.what}" for row, column in self.places[:SHOWN_PLACES]]
        hidden = self.count - len(lines)
        return lines + ([f"{hidden} more values: {self.what}"] if hidden > 0 else [])


def _labels(raw: Raw, manifest: Manifest) -> tuple[NDArray[Any] | None, list[str]]:
    if manifest.task.kind == "regression":
        return _targets(raw, manifest.model.output_size)
    classes = manifest.data.classes or ()
    labels = raw.labels
    if labels.ndim != 1:
        return None, [f"the labels have the shape {labels.shape}; one class per example is wanted"]
    if labels.dtype.kind == "f":
        labels = _whole(labels)
    if labels.dtype.kind in "biu" and not all(_is_integer(name) for name in classes):
        known = (labels >= 0) & (labels < len(classes))
        indices = np.where(known, labels, 0).astype(np.int64)
    else:
        numbers = {name: index for index, name in enumerate(classes)}
        indices = np.array([numbers.get(_text(label), -1) for label in labels], dtype=np.int64)
        known = indices >= 0
    return indices, _unknown_classes(raw, known, classes)


def _unknown_classes(raw: Raw, known: NDArray[np.bool_], classes: Sequence[str]) -> list[str]:
    bad = np.flatnonzero(~known).tolist()
    names = shown(", ".join(classes), 60)
    lines = [
        f"{raw.row_place(i)}: the label {shown(repr(_text(raw.labels[i])), 40)} is not one of {names}"
        for i in bad[:SHOWN_PLACES]
    ]
    return lines + ([f"{len(bad) - SHOWN_PLACES} more unknown labels"] if len(bad) > SHOWN_PLACES else [])


def _whole(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels that are whole numbers in a float column, as integers; others stay and are reported."""
    fits = np.isfinite(labels) & (np.trunc(labels) == labels) & (np.abs(labels) < 2**53)
    return labels.astype(np.int64) if fits.all() else labels


def _is_integer(name: str) -> bool:
    return name.removeprefix("-").isdecimal()


def _text(label: Any) -> str:
    return "" if label is None else str(label).strip()


def _targets(raw: Raw, size: int) -> tuple[NDArray[Any] | None, list[str]]:
    labels = raw.labels
    if labels.dtype.kind not in "biuf":
        return None, [f"the labels are {labels.dtype}, not numbers"]
    labels = labels.reshape(len(labels), -1)
    if labels.shape[1] != size:
        return None, [f"a label has {labels.shape[1]} numbers; the model gives {size}"]
    with np.errstate(over="ignore"):
        targets = labels.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(targets).all(axis=1)).tolist()
    lines = [f"{raw.row_place(row)}: the label is not a finite number" for row in bad[:SHOWN_PLACES]]
    return targets, lines + ([f"{len(bad) - len(lines)} more labels like these"] if len(bad) > len(lines) else [])
