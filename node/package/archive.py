"""The .pt2 archive as plain bytes: which members there may be, and reading them without a decompressor or a pickle.

An archive is hostile. Members are stored, never compressed, so what is declared is what is there; every name
must be one that `node.package.export` writes; what `torch.export.load` would unpickle is refused by name.
"""

from __future__ import annotations

import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

from node.errors import BadPackage

MAX_MEMBERS = 20_000
MAX_JSON_BYTES = 32 * 1024**2

GRAPH = "models/model.json"
WEIGHTS_CONFIG = "data/weights/model_weights_config.json"
CONSTANTS_CONFIG = "data/constants/model_constants_config.json"
SAMPLE_INPUTS = "data/sample_inputs/model.pt"
WEIGHTS_DIR = "data/weights/"
CONSTANTS_DIR = "data/constants/"

FIXED_CONTENT = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little", ".data/version": b"6\n"}
_JSON = (GRAPH, WEIGHTS_CONFIG, CONSTANTS_CONFIG)
_NAMES = {*FIXED_CONTENT, *_JSON, SAMPLE_INPUTS}
_PAYLOAD = re.compile(r"data/(weights/weight|constants/tensor)_(0|[1-9][0-9]{0,5})")
_ROOT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}")
_ENCRYPTED = 0x1
_BROKEN = (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError, ValueError, struct.error)


def read_archive(path: Path, max_bytes: int) -> dict[str, bytes]:
    """The members of a program's archive, by name without the root folder.

    Holds:  nothing is decompressed, unpickled or evaluated; memory is at most the file's size.
    Raises: BadPackage naming the member.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise BadPackage(path.name, "the archive", f"it has {size} bytes; at most {max_bytes} were announced")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _entries(archive.infolist(), path.name, size)
            members = {name: archive.read(info) for name, info in entries.items()}
    except _BROKEN as error:
        raise BadPackage(path.name, "the archive", f"it can't be read as a zip file ({error})") from error
    _check_content(members, path.name)
    return members


def _entries(infos: list[zipfile.ZipInfo], program: str, size: int) -> dict[str, zipfile.ZipInfo]:
    """Check every directory entry before a byte of any member is read."""
    if len(infos) > MAX_MEMBERS:
        raise BadPackage(program, "the archive", f"it has {len(infos)} members; at most {MAX_MEMBERS} are allowed")
    entries: dict[str, zipfile.ZipInfo] = {}
    root = infos[0].filename.partition("/")[0] if infos else ""
    for info in infos:
        folder, _, name = info.filename.partition("/")
        if folder != root or not _ROOT.fullmatch(root) or info.orig_filename != info.filename:
            raise BadPackage(program, info.orig_filename, "not a name in the archive's one folder")
        _check_entry(info, name, program)
        if name in entries:
            raise BadPackage(program, name, "the member is there twice")
        entries[name] = info
    declared = sum(info.file_size for info in infos)
    if declared > size:
        raise BadPackage(program, "the archive", f"its members declare {declared} bytes, the file has {size}")
    return entries


def _check_entry(info: zipfile.ZipInfo, name: str, program: str) -> None:
    if name.startswith((CONSTANTS_DIR + "custom_obj_", CONSTANTS_DIR + "opaque_obj_")):
        raise BadPackage(program, name, "a pickled custom object", "Remove script and custom objects from the model.")
    if name not in _NAMES and not _PAYLOAD.fullmatch(name):
        raise BadPackage(program, info.filename, "not a member that a program may have")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise BadPackage(program, name, "the member is compressed")
    if info.flag_bits & _ENCRYPTED:
        raise BadPackage(program, name, "the member is encrypted")
    if name in _JSON and info.file_size > MAX_JSON_BYTES:
        raise BadPackage(program, name, f"it has {info.file_size} bytes; at most {MAX_JSON_BYTES} are allowed")
    if name == SAMPLE_INPUTS and info.file_size:
        raise BadPackage(program, name, "pickled sample inputs")
    if name in FIXED_CONTENT and info.file_size > len(FIXED_CONTENT[name]):
        raise BadPackage(program, name, "not this kind of archive")


def _check_content(members: Mapping[str, bytes], program: str) -> None:
    for name, content in FIXED_CONTENT.items():
        if members.get(name, content) != content:
            raise BadPackage(program, name, f"not {content!r}: another kind or version of archive")
    for name in (*_JSON, "archive_format", "archive_version"):
        if name not in members:
            raise BadPackage(program, name, "the member is missing")


def write_archive(path: Path, root: str, members: Mapping[str, bytes]) -> None:
    """Write an archive that `read_archive` accepts; the same members give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(f"{root}/{name}", (1980, 1, 1, 0, 0, 0)), content)
