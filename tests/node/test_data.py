"""Adapters and schema: the same examples from every kind of file, and every problem named with its place."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import torch

from node.data.load import load_data, load_file
from node.errors import BadData
from node.manifest import Manifest
from tests.node.samples import manifest

pytestmark = pytest.mark.unit

FEATURES = np.array([[0, 1, 2, 3], [4, 5, 6, 7], [-1, -2, -3.5, -4]], dtype=np.float32)
LABELS = np.array([2, 0, 1])
NAMES = ("a", "b", "c", "d", "label")
REGRESSION: dict[str, Any] = {
    "task": {"kind": "regression", "loss": "mse", "metric": "mae"}, "data__classes": None, "model__output_size": 1,
}  # fmt: skip


def problems(spec: object, wanted: Manifest) -> str:
    with pytest.raises(BadData) as refused:
        load_data(str(spec), wanted)
    assert str(refused.value).replace("\n", "").isprintable()
    return "\n".join(refused.value.problems)


def table(**columns: Any) -> pa.Table:
    plain = dict(zip(NAMES, [*FEATURES.T, LABELS], strict=True))
    return pa.table({**plain, **columns})


def csv_file(folder: Path, text: str) -> Path:
    path = folder / "data.csv"
    path.write_text(text)
    return path


def npz_file(folder: Path, **arrays: Any) -> Path:
    path = folder / "data.npz"
    np.savez(path, **{"x": FEATURES, "y": LABELS, **arrays})
    return path


def write_csv(folder: Path) -> str:
    path = folder / "data.csv"
    pa.csv.write_csv(table(), path)
    return str(path)


def write_parquet(folder: Path) -> str:
    path = folder / "data.parquet"
    pa.parquet.write_table(table(), path)
    return str(path)


def write_npz(folder: Path) -> str:
    return str(npz_file(folder))


def write_module(folder: Path) -> str:
    rows = [([float(value) for value in row], int(label)) for row, label in zip(FEATURES, LABELS, strict=True)]
    (folder / "own_examples.py").write_text(f"def examples():\n    return {rows!r}\n")
    return "own_examples:examples"


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_npz, write_module])
def test_load_data__when_the_data_fits__then_every_kind_gives_the_same_examples(
    write: Callable[[Path], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = load_data(write(tmp_path), manifest())
    assert torch.equal(examples.features, torch.from_numpy(FEATURES))
    assert torch.equal(examples.labels, torch.from_numpy(LABELS))
    assert (examples.features.dtype, examples.labels.dtype, len(examples)) == (torch.float32, torch.int64, 3)


def test_load_data__when_columns_are_named__then_their_order_counts_and_others_are_left_out(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "id,d,label,c,b,a\nx,3,2,2,1,0\ny,7,0,6,5,4\n")
    examples = load_data(str(path), manifest(data__columns=["a", "b", "c", "d"]))
    assert torch.equal(examples.features, torch.from_numpy(FEATURES[:2]))


def test_load_data__when_classes_have_names__then_texts_match_names_and_integers_are_indices(tmp_path: Path) -> None:
    wanted = manifest(data__classes=["ant", "bee", "cat"])
    text = csv_file(tmp_path, "a,b,c,d,label\n0,0,0,0,cat\n1,1,1,1,ant\n")
    assert load_data(str(text), wanted).labels.tolist() == [2, 0]
    assert load_data(str(npz_file(tmp_path)), wanted).labels.tolist() == [2, 0, 1]
    assert load_data(str(npz_file(tmp_path, y=np.array(["cat", "ant", "bee"]))), wanted).labels.tolist() == [2, 0, 1]


def test_load_data__when_classes_are_numbers__then_integers_match_their_names_not_their_index(tmp_path: Path) -> None:
    wanted = manifest(data__classes=["5", "6", "7"])
    assert load_data(str(npz_file(tmp_path, y=np.array([7, 5, 6]))), wanted).labels.tolist() == [2, 0, 1]
    assert "'2' is not one of 5, 6, 7" in problems(npz_file(tmp_path), wanted)


def test_load_data__when_the_task_is_regression__then_labels_are_float_columns(tmp_path: Path) -> None:
    wanted = manifest(**REGRESSION)
    path = csv_file(tmp_path, "a,b,c,d,label\n0,0,0,0,1.5\n1,1,1,1,-2\n")
    assert load_data(str(path), wanted).labels.tolist() == [[1.5], [-2.0]]
    two = manifest(**{**REGRESSION, "model__output_size": 2})
    pairs = np.arange(6.0).reshape(3, 2)
    assert load_data(str(npz_file(tmp_path, y=pairs)), two).labels.tolist() == pairs.tolist()
    assert "a label has 1 numbers; the model gives 2" in problems(path, two)
    assert "y[1]: the label is not a finite number" in problems(npz_file(tmp_path, y=np.array([1, np.nan, 2])), wanted)


def test_load_data__when_tokens_are_wanted__then_features_are_whole_numbers(tmp_path: Path) -> None:
    wanted = manifest(model__input_dtype="int64")
    examples = load_data(str(npz_file(tmp_path, x=np.ones((3, 4), dtype=np.int32))), wanted)
    assert examples.features.dtype == torch.int64
    assert "x[2, 2]: not whole" in problems(npz_file(tmp_path), wanted)


def test_load_data__when_many_things_are_wrong__then_all_are_named_with_their_places(tmp_path: Path) -> None:
    features = np.tile(FEATURES, (4, 1))
    features[1, 2], features[2, 0], features[3, 3], features[5] = np.nan, np.inf, 99, -50
    labels = np.array([0, 1, 2, 3, -1, 0, 0, 0, 0, 0, 0, 0])
    found = problems(npz_file(tmp_path, x=features, y=labels), manifest(data__min_examples=13))
    assert "it has 12 examples; the bounty asks for at least 13" in found
    assert "data.npz, x[1, 2]: no value, or not a finite number" in found
    assert "x[2, 0]" in found
    assert "x[3, 3]: outside -8 .. 8" in found
    assert "2 more values: outside -8 .. 8" in found
    assert "y[3]: the label '3' is not one of 0, 1, 2" in found
    assert "y[4]: the label '-1'" in found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b,c,d,label\n1,2,x,4,0\n1,2,3,4,0\n", "data.csv, row 1, column 'c': 'x' is not a number"),
        ("a,b,c,d,label\n1,2,,4,0\n", "data.csv, row 1, column 'c': no value"),
        ("a,b,c,d,label\n1,2,nan,4,0\n", "column 'c': no value"),
        ("a,b,c,d,label\n1,2,3,40,0\n", "data.csv, row 1, column 'd': outside -8 .. 8"),
        ("a,b,c,d,label\n1,2,3,4,zebra\n", "row 1: the label 'zebra' is not one of 0, 1, 2"),
        ("a,b,c,d,label\n1,2,3,4,\n", "the label '' is not one of"),
        ("a,b,c,d\n1,2,3,4\n", "the column 'label' is missing"),
        ("a,b,c,label\n1,2,3,0\n", "an example has 3 numbers; the model takes 4"),
        ("a,a,c,d,label\n1,2,3,4,0\n", "the column 'a' is there twice"),
        ("a,b,c,d,label\n1,2,3,4\n", "can't be read as CSV"),
        ("a,b,c,d,label\n", "it has 0 examples"),
        ("", "no header row"),
        ("a,b,c,d,label\n\x1b[31m,2,3,4,0\n", "'\\x1b[31m' is not a number"),
    ],
)
def test_load_data__when_a_csv_file_does_not_fit__then_the_place_is_named(text: str, says: str, tmp_path: Path) -> None:
    assert says in problems(csv_file(tmp_path, text), manifest())


def test_load_data__when_a_file_is_not_what_its_name_says__then_it_is_refused(tmp_path: Path) -> None:
    for name in ("data.csv", "data.parquet", "data.npz"):
        path = tmp_path / name
        path.write_bytes(b"\xff\x00\x93NUMPY" * 50)
        assert problems(path, manifest())


def test_load_data__when_parquet_labels_are_texts__then_each_is_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pa.parquet.write_table(table(label=["2", "0", "1"]), path)
    assert load_data(str(path), manifest()).labels.tolist() == LABELS.tolist()
    pa.parquet.write_table(table(label=["2", None, "0"]), path)
    assert "row 2: the label '' is not one of" in problems(path, manifest())


def test_load_data__when_a_parquet_label_is_long_and_repeated__then_it_is_held_once(tmp_path: Path) -> None:
    rows, path = 400, tmp_path / "data.parquet"
    numbers = {name: np.zeros(rows) for name in NAMES[:-1]}
    labels = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * (1 << 20)]))
    pa.parquet.write_table(pa.table({**numbers, "label": labels}), path, store_schema=False)
    assert path.stat().st_size < 1 << 20
    usual, counting = pa.default_memory_pool(), pa.proxy_memory_pool(pa.default_memory_pool())
    pa.set_memory_pool(counting)
    try:
        assert "397 more unknown labels" in problems(path, manifest())
    finally:
        pa.set_memory_pool(usual)
    assert (counting.max_memory() or 0) < 64 << 20, "four hundred copies would take 400 MB"


def test_load_data__when_a_parquet_column_holds_text__then_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pa.parquet.write_table(table(b=["x", "y", "z"]), path)
    assert "the column 'b' holds string, not numbers" in problems(path, manifest())
    pa.parquet.write_table(table(b=[1, None, 2]), path)
    assert "row 2, column 'b': no value" in problems(path, manifest())
    pa.parquet.write_table(table(label=[0, None, 2]), path)
    assert "row 2: the label" in problems(path, manifest())


def test_load_data__when_an_npz_array_is_pickled__then_it_is_refused_unread(tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (canary,)

    path = npz_file(tmp_path, y=np.array([Payload()] * 3, dtype=object))
    assert "the array y is pickled" in problems(path, manifest())
    assert not canary.exists()


def test_load_data__when_an_npz_file_is_a_bomb__then_it_is_refused_before_unpacking(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x.npy", "y.npy"):
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**24,)})
            with archive.open(name, "w") as member:
                member.write(header.getvalue())
                for _ in range(64):
                    member.write(bytes(2**20))
    assert path.stat().st_size < 200_000
    assert "it would unpack to" in problems(path, manifest())


def test_load_data__when_an_npz_header_lies__then_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**60, 4)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(64))
        archive.writestr("y.npy", header.getvalue() + bytes(64))
    assert "the array x is cut short" in problems(path, manifest())


def test_load_data__when_npz_shapes_differ__then_both_are_named(tmp_path: Path) -> None:
    found = problems(npz_file(tmp_path, x=np.zeros((3, 2, 2)), y=np.zeros((3, 1, 1))), manifest())
    assert "an example in x has the shape [2, 2]; the model takes [4]" in found
    assert "y has 3 dimensions" in found
    assert "3 examples but 2 labels" in problems(npz_file(tmp_path, y=LABELS[:2]), manifest())
    assert "the array y is missing" in problems(_without_y(tmp_path), manifest())


def _without_y(folder: Path) -> Path:
    path = folder / "data.npz"
    np.savez(path, x=FEATURES)
    return path


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def examples():\n    raise KeyError('gone')", "KeyError: 'gone'"),
        ("def other():\n    pass", "AttributeError"),
        ("import nothing_like_this", "ModuleNotFoundError"),
        ("def examples():\n    return [1, 2]", "[0]: not a (features, label) pair"),
        ("def examples():\n    return [([1, 2], 0)]", "[0]: the features have the shape [2]"),
        ("def examples():\n    return [(['a'] * 4, 0)]", "not numbers"),
        ("def examples():\n    return []", "0 examples"),
        ("def examples():\n    return [([0, 0, 0, 9.5], 0)]", "[0], number 3: outside -8 .. 8"),
        ("def examples():\n    return [([0, 0, 0, 0], 5)]", "[0]: the label '5'"),
    ],
)
def test_load_data__when_the_providers_code_fails__then_it_says_how(
    code: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"bad_examples_{abs(hash((code, says)))}"
    (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    assert says in problems(f"{name}:examples", manifest())


@pytest.mark.parametrize("spec", ["nowhere.csv", "nowhere", "data.pkl", "https://example.org/data.csv", ""])
def test_load_data__when_there_is_no_such_thing__then_it_says_what_may_be_named(spec: str, tmp_path: Path) -> None:
    assert problems(tmp_path / spec if spec else "nothing", manifest())


def test_load_file__when_the_kind_is_unknown__then_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"it is not a \.csv"):
        load_file(npz_file(tmp_path), "pickle", manifest())
    assert len(load_file(npz_file(tmp_path), "npz", manifest())) == 3
