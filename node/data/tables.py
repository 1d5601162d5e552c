"""CSV and Parquet tables: one row an example, a label column, feature columns of numbers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from node.data.schema import MAX_DATA_BYTES, SHOWN_PLACES, Raw
from node.errors import BadData, shown
from node.manifest import Manifest

_MAX_HEADER_BYTES = 4 * 1024**2


def read_csv(path: Path, manifest: Manifest) -> Raw:
    """Read a CSV file with a header row; texts in the label column are class names.

    Raises: BadData if it is not one, or lacks a column, or a feature is no number.
    """
    features, label = _chosen(path.name, _header(path), manifest)
    numbers = features if manifest.task.kind == "classification" else [*features, label]
    wanted = {label: pa.string()} | dict.fromkeys(numbers, pa.float64())
    try:
        table = _parse(path, wanted)
    except pa.ArrowInvalid as error:
        problems = _not_numbers(path, numbers, label) or [f"it can't be read as CSV ({shown(error)})"]
        raise BadData(path.name, problems) from error
    return _raw(path.name, table, features, label)


def read_parquet(path: Path, manifest: Manifest) -> Raw:
    """Read a Parquet file.

    Raises: BadData if it is not one, or lacks a column, or a feature column does not hold numbers.
    """
    try:
        # texts stay in their dictionary: a page of a few bytes can repeat a long one without end
        with pq.ParquetFile(path, read_dictionary=[manifest.data.label]) as file:
            features, label = _chosen(path.name, file.schema_arrow.names, manifest)
            _check_size(path.name, file.metadata.num_rows, len(features))
            _check_types(path.name, file.schema_arrow, features)
            table = file.read(columns=[*features, label])
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadData(path.name, [f"it can't be read as Parquet ({shown(error)})"]) from error
    return _raw(path.name, table, features, label)


def _header(path: Path) -> list[str]:
    with path.open("rb") as file:
        line = file.readline(_MAX_HEADER_BYTES)
    try:
        names = next(csv.reader([line.decode("utf-8-sig").rstrip("\r\n")], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadData(path.name, [f"its header row can't be read ({error})"]) from error
    if not names:
        raise BadData(path.name, ["it has no header row"])
    return names


def _chosen(source: str, names: Sequence[str], manifest: Manifest) -> tuple[list[str], str]:
    """The feature columns in order, and the label's."""
    label = manifest.data.label
    features = list(manifest.data.columns or [name for name in names if name != label])
    absent = [name for name in [*features, label] if name not in names]
    twice = sorted({name for name in [*features, label] if list(names).count(name) > 1})
    problems = [f"the column {shown(repr(name))} is missing" for name in absent]
    problems += [f"the column {shown(repr(name))} is there twice" for name in twice]
    if problems:
        raise BadData(source, problems)
    return features, label


def _parse(path: Path, types: dict[str, pa.DataType]) -> pa.Table:
    convert = pacsv.ConvertOptions(column_types=types, include_columns=list(types))
    return pacsv.read_csv(path, convert_options=convert)


def _not_numbers(path: Path, numbers: Sequence[str], label: str) -> list[str]:
    """Which values are no numbers; none where the file is broken in another way."""
    try:
        table = _parse(path, dict.fromkeys([*numbers, label], pa.string()))
    except pa.ArrowInvalid:
        return []
    problems = []
    for name in numbers:
        texts = table.column(name).to_pylist()
        bad = [row for row, text in enumerate(texts) if not _is_number(text)]
        problems += [
            f"{path.name}, row {row + 1}, column {shown(repr(name))}: {shown(repr(texts[row]), 40)} is not a number"
            for row in bad[:SHOWN_PLACES]
        ]
    return problems


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True


def _check_size(source: str, rows: int, columns: int) -> None:
    if rows * columns * 8 > MAX_DATA_BYTES:
        raise BadData(source, [f"{rows} rows of {columns} numbers take more than {MAX_DATA_BYTES} bytes"])


def _check_types(source: str, schema: pa.Schema, features: Sequence[str]) -> None:
    kinds = {name: schema.field(name).type for name in features}
    bad = [
        f"the column {shown(repr(name))} holds {shown(kind)}, not numbers"
        for name, kind in kinds.items()
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
    ]
    if bad:
        raise BadData(source, bad)


def _raw(source: str, table: pa.Table, features: Sequence[str], label: str) -> Raw:
    _check_size(source, len(table), len(features))
    features_NF = np.empty((len(table), len(features)), dtype=np.float64)
    for column, name in enumerate(features):
        values = table.column(name).cast(pa.float64(), safe=False)
        features_NF[:, column] = values.fill_null(float("nan")).to_numpy()

    def place(row: int, feature: int) -> str:
        name = repr(features[feature]) if feature < len(features) else str(feature)
        return f"{source}, row {row + 1}, column {shown(name)}"

    return Raw(source, features_NF, _label_array(table.column(label)), place, lambda row: f"{source}, row {row + 1}")


def _label_array(column: pa.ChunkedArray) -> NDArray[Any]:
    if pa.types.is_integer(column.type) and column.null_count == 0:
        return np.asarray(column.to_numpy())
    if pa.types.is_floating(column.type):
        return np.asarray(column.fill_null(float("nan")).to_numpy())
    if pa.types.is_dictionary(column.type):
        return np.concatenate([np.empty(0, dtype=object), *map(_looked_up, column.chunks)])
    return np.array(pc.cast(column, pa.string()).to_pylist(), dtype=object)


def _looked_up(chunk: pa.DictionaryArray) -> NDArray[Any]:
    """The texts of a dictionary's column, each held once however often it is there."""
    texts = np.array([*pc.cast(chunk.dictionary, pa.string()).to_pylist(), None], dtype=object)
    looked_up: NDArray[Any] = texts[chunk.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False)]
    return looked_up
