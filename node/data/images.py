"""Folders of images, one folder a class. A byte 0 .. 255 becomes a value in the manifest's minimum .. maximum.

Shape suffixes: C channels, H height, W width.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from node.data.schema import MAX_DATA_BYTES, SHOWN_PLACES, Raw
from node.errors import BadData, shown
from node.manifest import Manifest

_FORMATS = ("PNG", "JPEG", "BMP", "PPM", "WEBP")
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".webp"}
_MODES = {1: "L", 3: "RGB"}


def read_images(folder: Path, manifest: Manifest) -> Raw:
    """Read `folder`/CLASS/IMAGE files; every image must have exactly the model's size.

    The size is read from an image's header, before anything is unpacked.
    Raises: BadData if there are files that don't fit, or folders that are no classes.
    """
    channels, height, width = _wanted(folder, manifest)
    files, problems = _listed(folder, manifest.data.classes or ())
    if len(files) * channels * height * width > MAX_DATA_BYTES // 4:
        raise BadData(str(folder), [f"{len(files)} images take more than {MAX_DATA_BYTES} bytes"])
    images = np.zeros((len(files), channels * height * width), dtype=np.float32)
    bad = []
    for row, file in enumerate(files):
        found = _read(file, (channels, height, width))
        if isinstance(found, str):
            bad.append(f"{file.relative_to(folder)}: {found}")
        else:
            images[row] = found.reshape(-1)
    problems += bad[:SHOWN_PLACES]
    if len(bad) > SHOWN_PLACES:
        problems.append(f"{len(bad) - SHOWN_PLACES} more images that can't be used")
    if problems:
        raise BadData(str(folder), problems)
    low, high = manifest.data.minimum, manifest.data.maximum
    images *= np.float32((high - low) / 255)
    images += np.float32(low)
    np.clip(images, low, high, out=images)
    labels = np.array([file.parent.name for file in files], dtype=object)

    def place(row: int, feature: int) -> str:
        return f"{files[row].relative_to(folder)}, number {feature}"

    return Raw(str(folder), images, labels, place, lambda row: str(files[row].relative_to(folder)))


def _wanted(folder: Path, manifest: Manifest) -> tuple[int, int, int]:
    shape = manifest.model.input_shape
    if manifest.task.kind != "classification":
        raise BadData(str(folder), ["folders of images are for classification; use NPZ or module:function"])
    if manifest.model.input_dtype != "float32":
        raise BadData(str(folder), ["images are float32, the model takes int64"])
    if len(shape) == 2:
        return 1, shape[0], shape[1]
    if len(shape) == 3 and shape[0] in _MODES:
        return shape[0], shape[1], shape[2]
    raise BadData(str(folder), [f"the model takes {list(shape)}, which is no image (C, H, W) of 1 or 3 channels"])


def _listed(folder: Path, classes: tuple[str, ...]) -> tuple[list[Path], list[str]]:
    folders = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    unknown = [
        f"the folder {shown(entry.name)} is not one of the classes" for entry in folders if entry.name not in classes
    ]
    files = [
        file
        for entry in folders
        for file in sorted(entry.iterdir())
        if file.is_file() and file.suffix.lower() in SUFFIXES
    ]
    return files, unknown[:SHOWN_PLACES]


def _read(file: Path, shape_CHW: tuple[int, int, int]) -> NDArray[Any] | str:
    """The image's bytes (C, H, W) uint8, or what is wrong with it."""
    channels, height, width = shape_CHW
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=_FORMATS) as image:
                if image.size != (width, height):
                    return f"it is {image.size[0]}x{image.size[1]}; the model takes {width}x{height}"
                pixels = np.asarray(image.convert(_MODES[channels]))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return "it declares far too many pixels"
    except UnidentifiedImageError:
        return f"it is no image of a known kind ({', '.join(_FORMATS)})"
    except (OSError, ValueError, SyntaxError) as error:
        return f"it can't be read as an image ({shown(error, 80)})"
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)
