"""Folders of images."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from node.data.load import load_data
from node.data.schema import Examples
from node.errors import BadData
from node.manifest import Manifest
from tests.node.samples import manifest

pytestmark = pytest.mark.unit


def problems(spec: object, wanted: Manifest) -> str:
    with pytest.raises(BadData) as refused:
        load_data(str(spec), wanted)
    assert str(refused.value).replace("\n", "").isprintable()
    return "\n".join(refused.value.problems)


PICTURES: dict[str, Any] = {"model__input_shape": [3, 2, 4], "data__minimum": -1.0, "data__maximum": 1.0}


def picture(folder: Path, name: str, color: tuple[int, int, int], size: tuple[int, int] = (4, 2)) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def test_load_data__when_given_a_folder_of_images__then_bytes_fill_the_value_range(tmp_path: Path) -> None:
    picture(tmp_path, "0/a.png", (0, 255, 51))
    picture(tmp_path, "2/b.png", (255, 255, 255))
    examples: Examples = load_data(str(tmp_path), manifest(**PICTURES))
    assert examples.features.shape == (2, 3, 2, 4)
    assert examples.labels.tolist() == [0, 2]
    assert examples.features[0, :, 0, 0].tolist() == pytest.approx([-1, 1, -0.6])
    assert (examples.features[1] == 1).all()


def test_load_data__when_images_do_not_fit__then_each_file_is_named(tmp_path: Path) -> None:
    picture(tmp_path, "0/good.png", (0, 0, 0))
    picture(tmp_path, "0/large.png", (0, 0, 0), (5, 2))
    cut = picture(tmp_path, "1/cut.png", (0, 0, 0))
    cut.write_bytes(cut.read_bytes()[:45])
    (tmp_path / "1" / "text.png").write_text("no image")
    found = problems(tmp_path, manifest(**PICTURES))
    assert "0/large.png: it is 5x2; the model takes 4x2" in found
    assert "1/cut.png: it can't be read" in found
    assert "1/text.png: it is no image" in found


def test_load_data__when_an_image_is_a_decompression_bomb__then_it_is_not_unpacked(tmp_path: Path) -> None:
    path = picture(tmp_path, "0/bomb.png", (0, 0, 0))
    content = bytearray(path.read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2  # the size in the header, with its checksum made to fit
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    path.write_bytes(bytes(content))
    assert "0/bomb.png: it declares far too many pixels" in problems(tmp_path, manifest(**PICTURES))


def test_load_data__when_a_folder_is_no_class__then_it_is_named(tmp_path: Path) -> None:
    picture(tmp_path, "zebra/a.png", (0, 0, 0))
    assert "the folder zebra is not one of the classes" in problems(tmp_path, manifest(**PICTURES))
    assert "no image (C, H, W)" in problems(tmp_path, manifest())
