"""What makes two data sets the same: the bytes of their files, wherever they lie."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from node.data.images import SUFFIXES
from node.data.provider_code import as_array, read_pairs
from node.errors import BadData


def fingerprint(spec: str) -> str:
    """A data set's name among budgets, in hex.

    spec:   as `--data` names it.
    Holds:  another path or name of a file or folder gives the same; so does another order of what a folder or a
            function gives. One example more or less, another format or another order of a table's rows is another
            data set.
    Raises: BadData.
    """
    path = Path(spec).expanduser()
    try:
        if path.is_dir():
            parts = [_entry(path, file) for file in sorted(path.rglob("*")) if file.suffix.lower() in SUFFIXES]
            return _joined(b"folder", parts)
        if path.is_file():
            return _joined(b"file", [_file_digest(path)])
    except OSError as error:
        raise BadData(spec, [f"it can't be read ({error.strerror})"]) from error
    if ":" in spec and not path.suffix:
        return _joined(b"examples", [_pair_digest(spec, pair) for pair in read_pairs(spec)])
    raise BadData(spec, ["there is no such file"])


def _joined(kind: bytes, digests: list[bytes]) -> str:
    return hashlib.sha256(kind + b"".join(sorted(digests))).hexdigest()


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _entry(folder: Path, file: Path) -> bytes:
    """An image counts with its class, the folder that it lies in; not with its name."""
    label = file.parent.relative_to(folder).as_posix().encode()
    return hashlib.sha256(_file_digest(file) + label).digest()


def _pair_digest(spec: str, pair: object) -> bytes:
    if not isinstance(pair, tuple | list):
        raise BadData(spec, ["it gives something that is not a (features, label) pair"])
    parts = [np.asarray(as_array(part)) for part in pair]
    forms = [f"{part.dtype.kind}{part.shape}".encode() for part in parts]
    contents = [part.astype("U").tobytes() if part.dtype.kind in "OU" else part.tobytes() for part in parts]
    return hashlib.sha256(b"|".join([*forms, *contents])).digest()
