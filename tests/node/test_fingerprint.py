"""What makes two data sets the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from node.data.fingerprint import fingerprint
from node.errors import BadData

pytestmark = pytest.mark.unit


def table(path: Path, rows: int = 5) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text("a,label\n" + "".join(f"{row},0\n" for row in range(rows)))
    return str(path)


def test_fingerprint__of_the_same_file_elsewhere__then_is_the_same(tmp_path: Path) -> None:
    assert fingerprint(table(tmp_path / "a.csv")) == fingerprint(table(tmp_path / "deeper" / "b.csv"))
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "a.csv")
    assert fingerprint(str(link)) == fingerprint(str(tmp_path / "a.csv"))


def test_fingerprint__of_a_subset__then_is_another(tmp_path: Path) -> None:
    assert fingerprint(table(tmp_path / "a.csv", 5)) != fingerprint(table(tmp_path / "b.csv", 4))


def images(folder: Path, names: tuple[str, ...] = ("cat/1.png", "dog/2.png")) -> str:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name[-5:].encode())
    return str(folder)


def test_fingerprint__of_a_folder__then_names_of_images_do_not_count_but_classes_do(tmp_path: Path) -> None:
    first = fingerprint(images(tmp_path / "first"))
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    (tmp_path / "second" / "cat" / "1.png").rename(tmp_path / "second" / "cat" / "9.png")
    (tmp_path / "second" / "notes.txt").write_text("not an image")
    assert fingerprint(str(tmp_path / "second")) == first
    (tmp_path / "second" / "cat" / "9.png").rename(tmp_path / "second" / "dog" / "9.png")
    assert fingerprint(str(tmp_path / "second")) != first


CODE = """
import torch
def pairs(): return [(torch.tensor([1.0, 2.0]), "cat"), (torch.tensor([3.0, 4.0]), "dog")]
def turned(): return list(reversed(pairs()))
def fewer(): return pairs()[:1]
def relabelled(): return [(x, "cat") for x, _ in pairs()]
def wrong(): return [1, 2]
def failing(): raise ValueError("no")
"""


def test_fingerprint__of_a_providers_function__then_is_that_of_its_examples_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "marked_examples.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    found = {name: fingerprint(f"marked_examples:{name}") for name in ("pairs", "turned", "fewer", "relabelled")}
    assert found["pairs"] == found["turned"]
    assert len(set(found.values())) == 3
    for name in ("wrong", "failing", "absent"):
        with pytest.raises(BadData):
            fingerprint(f"marked_examples:{name}")


@pytest.mark.parametrize("spec", ["nowhere.csv", "nowhere"])
def test_fingerprint__of_what_is_not_there__then_says_so(spec: str) -> None:
    with pytest.raises(BadData, match="no such file"):
        fingerprint(spec)
