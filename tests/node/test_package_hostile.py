"""Hostile packages: each is refused before anything in it is executed, and a refusal names its reason."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import BadPackage
from node.package.archive import CONSTANTS_CONFIG, GRAPH, SAMPLE_INPUTS, WEIGHTS_CONFIG
from node.package.loader import load_program, read_program
from node.package.operators import ALLOWED
from node.package.program import Program
from tests.node.hostile_programs import HOSTILE, Hostile, pickled
from tests.node.samples import members, net, packed

pytestmark = pytest.mark.unit

MAX_BYTES = 10**6


def written(tmp_path: Path, archive: bytes) -> Path:
    path = tmp_path / "train.pt2"
    path.write_bytes(archive)
    return path


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_read_program__when_the_archive_is_hostile__then_it_is_refused_and_nothing_runs(
    hostile: Hostile, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    path = written(tmp_path, hostile.build(canary))
    with pytest.raises(BadPackage) as refused:
        read_program(path, MAX_BYTES)
    assert hostile.says in str(refused.value)
    assert str(refused.value).split(":")[0] == "The program train.pt2 is refused"
    assert not canary.exists()


def test_read_program__when_the_archive_is_untouched__then_it_is_accepted(tmp_path: Path) -> None:
    assert read_program(written(tmp_path, packed(members(net().train))), MAX_BYTES).operators


def test_payload__when_torch_itself_loads_it__then_it_does_run(tmp_path: Path) -> None:
    # shows that the hostile list is not harmless by accident
    canary = tmp_path / "canary"
    path = written(tmp_path, packed(members(net().train) | {SAMPLE_INPUTS: pickled(canary)}))
    with pytest.raises((AssertionError, RuntimeError)):
        torch.export.load(path)
    assert canary.exists()


def test_read_program__when_the_file_is_larger_than_announced__then_it_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, net().train)
    with pytest.raises(BadPackage, match="announced"):
        read_program(path, len(net().train) - 1)


@pytest.mark.parametrize("position", range(0, 30_000, 997))
def test_read_program__when_a_byte_is_flipped__then_it_is_refused_or_still_a_program(
    position: int, tmp_path: Path
) -> None:
    archive = bytearray(net().train)
    archive[position % len(archive)] ^= 0x11
    path = written(tmp_path, bytes(archive))
    try:
        program = read_program(path, MAX_BYTES)
    except BadPackage:
        return
    assert isinstance(program, Program)


def test_allowed__when_looked_up__then_every_name_is_an_operator() -> None:
    assert [name for name in sorted(ALLOWED) if not hasattr(torch.ops.aten, name)] == []
    assert not [name for name in ALLOWED if "empty" in name or "file" in name or name.startswith(("set_", "resize"))]


JUNK: list[Any] = [None, True, -1, 0, 2**31, 2**63, 1.5, "", "x", "first.weight", "linear", [], [[]], {}, {"as_int": 3}]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a JSON document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


MEMBERS = members(net().train)
PLACES = [
    (name, path)
    for name in (GRAPH, WEIGHTS_CONFIG, CONSTANTS_CONFIG)
    for path in places(json.loads(MEMBERS[name]))
    if path
]


@settings(max_examples=150)
@given(st.sampled_from(PLACES), st.sampled_from(JUNK))
def test_load_program__when_any_value_of_its_json_is_replaced__then_it_is_refused_or_still_fits(
    place: tuple[str, tuple[Any, ...]], junk: Any
) -> None:
    name, path = place
    document = json.loads(MEMBERS[name])
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = junk
    with TemporaryDirectory() as folder, suppress(BadPackage):
        archive = written(Path(folder), packed(MEMBERS | {name: json.dumps(document).encode()}))
        program = load_program(archive, net().manifest, 4, MAX_BYTES)
        assert program.initial.keys() == {tensor.name for tensor in net().manifest.tensors}


def with_steps(*steps: tuple[str, list[tuple[str, Any]], list[str]]) -> bytes:
    """The sample program with steps put before its own; `x` is the batch, (B, 4)."""
    document = json.loads(MEMBERS[GRAPH])
    added = [
        {
            "target": target,
            "inputs": [{"name": name, "arg": argument, "kind": 1} for name, argument in arguments],
            "outputs": [{"as_tensor": {"name": name}} for name in outputs],
            "metadata": {},
        }
        for target, arguments, outputs in steps
    ]
    graph = document["graph_module"]["graph"]
    graph["nodes"] = added + graph["nodes"]
    return packed(MEMBERS | {GRAPH: json.dumps(document).encode()})


X = {"as_tensor": {"name": "x"}}
WEIGHT = {"as_tensor": {"name": "p_first_weight"}}
WIDE = {"as_tensor": {"name": "wide"}}
EXPAND = ("torch.ops.aten.full.default", [("size", {"as_ints": [2**31]}), ("fill_value", {"as_int": 1})], ["wide"])


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([EXPAND, ("torch.ops.aten.unbind.int", [("self", WIDE)], ["a"])], "2147483648 pieces"),
        ([EXPAND, ("torch.ops.aten.split.Tensor", [("self", WIDE), ("split_size", {"as_int": 1})], ["a"])], "pieces"),
        ([EXPAND, ("torch.ops.aten.chunk.default", [("self", WIDE), ("chunks", {"as_int": 2**40})], ["a"])], "pieces"),
        ([("_operator.mul", [("", {"as_ints": [1]}), ("", {"as_int": 2**60})], ["a"])], "numbers only"),
        ([("_operator.mul", [("", {"as_string": "x"}), ("", {"as_int": 2**60})], ["a"])], "numbers only"),
        ([("_operator.mul", [("", {"as_int": 2**62}), ("", {"as_int": 2**62})], ["a"])], "64 bits"),
        ([("_operator.floordiv", [("", {"as_int": 1}), ("", {"as_int": 0})], ["a"])], "can't be computed"),
        ([EXPAND, ("torch.ops.aten.exp.default", [("self", WIDE)], ["a"])], "GiB"),
        ([("torch.ops.aten.matmul.default", [("self", X), ("other", X)], ["a"])], "can't be computed"),
        ([("torch.ops.aten.relu_.default", [("self", X)], ["a"])], "only training may change"),
        ([("torch.ops.aten.relu_.default", [("self", WEIGHT)], ["a"])], "only training may change"),
        ([("torch.ops.aten.relu.default", [("self", X), ("inplace", {"as_bool": True})], ["a"])], "no argument"),
        ([("torch.ops.aten.relu.default", [], ["a"])], "lacks the argument"),
        ([("torch.ops.aten.relu.default", [("self", X), ("self", X)], ["a"])], "twice"),
        ([("torch.ops.aten.relu.default", [("self", X)], ["x"])], "twice"),
        ([("torch.ops.aten.relu.default", [("self", X)], ["a", "b"])], "can't be computed"),
    ],
)  # fmt: skip
def test_load_program__when_a_step_would_do_harm__then_it_is_refused_before_any_number_is_touched(
    steps: list[tuple[str, list[tuple[str, Any]], list[str]]], says: str, tmp_path: Path
) -> None:
    with pytest.raises(BadPackage, match=says):
        load_program(written(tmp_path, with_steps(*steps)), net().manifest, 4, MAX_BYTES)


def test_read_program__when_many_names_have_one_payload__then_it_is_held_once(tmp_path: Path) -> None:
    config = json.loads(MEMBERS[WEIGHTS_CONFIG])
    (first, *_), large = config["config"].values(), bytes(4 << 20)
    meta = first["tensor_meta"] | {"sizes": [{"as_int": 1 << 20}], "strides": [{"as_int": 1}]}
    many = {f"w{number}": first | {"path_name": "weight_99", "tensor_meta": meta} for number in range(500)}
    config["config"] |= many
    bomb = packed(MEMBERS | {WEIGHTS_CONFIG: json.dumps(config).encode(), "data/weights/weight_99": large})
    archive = written(tmp_path, bomb)
    tracemalloc.start()
    program = read_program(archive, 10**7)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [name for name in program.initial if name.startswith("w")] == ["w0"]
    assert held < 32 << 20, "five hundred copies would take two gigabytes"


def test_load_program__when_a_harmless_step_is_added__then_it_is_accepted(tmp_path: Path) -> None:
    archive = with_steps(("torch.ops.aten.relu.default", [("self", X)], ["a"]))
    assert load_program(written(tmp_path, archive), net().manifest, 4, MAX_BYTES).operators
