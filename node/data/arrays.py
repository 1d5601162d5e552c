"""NPZ files with the arrays `x` (N, *input_shape) and `y`; pickled arrays are never read."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from node.data.schema import MAX_DATA_BYTES, Raw
from node.errors import BadData, shown
from node.manifest import Manifest

MAX_RATIO = 100
"""How much larger than its file an array may be; digits compress well, bombs much better."""

_MIN_LIMIT = 64 * 1024**2
_MAX_HEADER = 10_000
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    MemoryError,
)


def read_npz(path: Path, manifest: Manifest) -> Raw:
    """Read an NPZ file that anyone may have written.

    Raises: BadData if it is not one, or would unpack to too much.
    """
    limit = min(MAX_DATA_BYTES, max(_MIN_LIMIT, MAX_RATIO * path.stat().st_size))
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive, limit)
            features = _read_array(path, archive, "x.npy")
            labels = _read_array(path, archive, "y.npy")
    except _BROKEN as error:
        raise BadData(path.name, [f"it can't be read as an NPZ file ({shown(error)})"]) from error
    problems = _shape_problems(features, labels, manifest)
    if problems:
        raise BadData(path.name, problems)
    flat_NF = features.reshape(len(features), -1)
    shape = manifest.model.input_shape

    def place(row: int, feature: int) -> str:
        index = (row, *(int(i) for i in np.unravel_index(feature, shape or (1,))))
        return f"{path.name}, x{list(index)}"

    return Raw(path.name, flat_NF, labels, place, lambda row: f"{path.name}, y[{row}]")


def _check_members(path: Path, archive: zipfile.ZipFile, limit: int) -> None:
    names = archive.namelist()
    missing = [name.removesuffix(".npy") for name in ("x.npy", "y.npy") if name not in names]
    if missing:
        raise BadData(path.name, [f"the array {name} is missing" for name in missing])
    unpacked = sum(archive.getinfo(name).file_size for name in ("x.npy", "y.npy"))
    if unpacked > limit:
        raise BadData(path.name, [f"it would unpack to {unpacked} bytes; at most {limit} are allowed"])


def _read_array(path: Path, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    size = archive.getinfo(name).file_size
    with archive.open(name) as stream:
        shape, fortran, dtype = _read_header(stream)
        if dtype.hasobject:
            raise BadData(path.name, [f"the array {name.removesuffix('.npy')} is pickled; save it as numbers or text"])
        wanted = math.prod(shape) * dtype.itemsize
        if wanted > size:
            raise BadData(path.name, [f"the array {name.removesuffix('.npy')} is cut short"])
        content = stream.read(wanted)
    if len(content) != wanted:
        raise BadData(path.name, [f"the array {name.removesuffix('.npy')} is cut short"])
    return np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if fortran else "C")


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream, max_header_size=_MAX_HEADER)
    return np.lib.format.read_array_header_2_0(stream, max_header_size=_MAX_HEADER)


def _shape_problems(features: NDArray[Any], labels: NDArray[Any], manifest: Manifest) -> list[str]:
    problems = []
    if features.ndim < 1 or features.shape[1:] != manifest.model.input_shape:
        shape = list(features.shape[1:])
        problems.append(f"an example in x has the shape {shape}; the model takes {list(manifest.model.input_shape)}")
    if labels.ndim not in (1, 2):
        problems.append(f"y has {labels.ndim} dimensions; 1 or 2 are wanted")
    return problems
