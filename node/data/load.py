"""One door for every kind of data that a provider or an owner may name."""

from __future__ import annotations

from pathlib import Path

from node.data.arrays import read_npz
from node.data.images import read_images
from node.data.provider_code import read_code
from node.data.schema import Examples, checked
from node.data.tables import read_csv, read_parquet
from node.errors import BadData
from node.manifest import Manifest

_READERS = {".csv": read_csv, ".parquet": read_parquet, ".npz": read_npz}
_KINDS = "a .csv, .parquet or .npz file, a folder of images (one folder a class), or module:function"


def load_data(spec: str, manifest: Manifest) -> Examples:
    """Read a provider's data and hold it to the manifest's schema.

    spec: a .csv, .parquet or .npz file, a folder of images (one folder a class), or `module:function`.
    Raises: BadData with every problem, before any training.
    """
    least = manifest.data.min_examples
    path = Path(spec).expanduser()
    if path.is_dir():
        return checked(read_images(path, manifest), manifest, least)
    if path.is_file():
        return load_file(path, path.suffix.lower().removeprefix("."), manifest, least)
    if ":" in spec and not path.suffix:
        return checked(read_code(spec, manifest), manifest, least)
    if path.suffix.lower() in _READERS:
        raise BadData(spec, ["there is no such file"])
    raise BadData(spec, [f"it is not {_KINDS}"])


def load_file(path: Path, kind: str, manifest: Manifest, min_examples: int = 1) -> Examples:
    """Read a file of a known kind (csv, parquet or npz): an owner's published hold-out data, for one.

    Raises: BadData with every problem.
    """
    reader = _READERS.get(f".{kind}")
    if reader is None:
        raise BadData(str(path), [f"it is not {_KINDS}"])
    return checked(reader(path, manifest), manifest, min_examples)
