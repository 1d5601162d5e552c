"""Exporting and loading packages: what is allowed runs as torch runs it, what is not is refused unexecuted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from node.errors import BadExport, BadManifest, BadPackage
from node.manifest import parse_manifest
from node.package.archive import CONSTANTS_CONFIG, GRAPH, SAMPLE_INPUTS, WEIGHTS_CONFIG
from node.package.dry_run import check_shapes
from node.package.export import export_package, with_cids
from node.package.loader import load_package, load_program, read_program
from node.package.operators import ALLOWED
from node.package.program import Program
from tests.node.hostile_programs import HOSTILE, Hostile, pickled
from tests.node.samples import FIELDS, Net, exported, manifest, members, net, packed

pytestmark = pytest.mark.unit

MAX_BYTES = 10**6


class Attention(nn.Module):
    """Token embeddings tied to the output, attention with a mask, layer norm, sizes computed from the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(11, 8)
        self.places = nn.Parameter(torch.zeros(6, 8))
        self.mix = nn.Linear(8, 24)
        self.norm = nn.LayerNorm(8)
        self.output = nn.Linear(8, 11, bias=False)
        self.output.weight = self.tokens.weight

    def forward(self, x: Tensor) -> Tensor:
        batch, length = x.shape
        mask = torch.triu(torch.full((length, length), float("-inf")), 1)
        queries, keys, values = self.mix(self.tokens(x) + self.places).chunk(3, dim=-1)
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        result: Tensor = self.output(self.norm(mixed).reshape(batch * length, 8).reshape(batch, length, 8).mean(1))
        return result


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, groups=2),
            nn.GroupNorm(2, 4), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layers(x)
        return result


def written(tmp_path: Path, archive: bytes) -> Path:
    path = tmp_path / "train.pt2"
    path.write_bytes(archive)
    return path


def tensors(program: Program) -> dict[str, Tensor]:
    groups = (program.initial, program.local, program.constants)
    return {name: tensor.clone() for group in groups for name, tensor in group.items()}


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


@pytest.mark.parametrize(
    ("module", "example", "size"),
    [
        (Net(), torch.randn(5, 4), 3),
        (Convolutions(), torch.randn(5, 3, 12, 12), 3),
        (Attention(), torch.randint(0, 11, (5, 6)), 11),
    ],
    ids=["net", "convolutions", "attention"],
)
def test_program__when_run__then_it_gives_what_torch_gives(
    module: nn.Module, example: Tensor, size: int, tmp_path: Path
) -> None:
    package = exported(module, example, tmp_path, data={"classes": [str(i) for i in range(size)], "maximum": 10.0})
    program = load_program(package.eval_path, package.manifest, 64)
    for batch in (example, example[:1], torch.cat([example] * 9)):
        expected = torch.export.load(package.eval_path).module()(batch)
        assert torch.equal(program.run(tensors(program), batch), expected)
        assert torch.equal(expected, module.eval()(batch))


def test_program__when_trained__then_gradients_and_running_statistics_are_those_of_the_module(tmp_path: Path) -> None:
    torch.manual_seed(3)
    module, batch = Convolutions(), torch.randn(6, 3, 12, 12)
    package = exported(module, batch, tmp_path)
    program = load_program(package.train_path, package.manifest, 8)
    own = {name: t.requires_grad_(name in program.parameters) for name, t in tensors(program).items()}
    program.run(own, batch).square().sum().backward()
    module.train()(batch).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert torch.equal(own[name].grad, parameter.grad), name
    for name, buffer in module.named_buffers():
        assert torch.equal(own[name], buffer), name


def test_export_package__when_called_twice__then_the_bytes_are_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Net()
    for folder in ("a", "b"):
        exported(module, torch.zeros(2, 4), tmp_path / folder)
    for name in ("train.pt2", "eval.pt2", "manifest.toml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_export_package__when_done__then_nothing_of_the_owners_machine_is_inside(tmp_path: Path) -> None:
    archive = net().train
    assert b"stack_trace" not in archive
    assert b".py" not in archive
    assert str(Path.home()).encode() not in archive
    assert members(archive)[SAMPLE_INPUTS] == b""


def test_export_package__when_done__then_the_manifest_on_disk_is_the_one_returned(tmp_path: Path) -> None:
    package = exported(Net(), torch.zeros(2, 4), tmp_path)
    assert parse_manifest(package.manifest_path.read_bytes()) == package.manifest
    assert package.manifest.model.train_bytes == package.train_path.stat().st_size
    names = [tensor.name for tensor in package.manifest.tensors]
    assert "norm.running_mean" in names
    assert "norm.num_batches_tracked" not in names
    assert "factor" not in names


def test_export_package__when_tensors_are_tied__then_they_are_one_tensor(tmp_path: Path) -> None:
    sections = {"data": {"classes": [str(i) for i in range(11)]}}
    package = exported(Attention(), torch.zeros(2, 6, dtype=torch.int64), tmp_path, **sections)
    names = [tensor.name for tensor in package.manifest.tensors]
    assert len({"output.weight", "tokens.weight"} & set(names)) == 1


class TwoInputs(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class TwoOutputs(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x * 2


class Flat(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum(dim=1)


class Silent(nn.Module):
    """Uses a higher-order operator."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            scaled = x * 2
        result: Tensor = self.layer(scaled)
        return result


class Uninitialised(nn.Module):
    """Shows memory that was never written."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layer(x + torch.empty_like(x))
        return result


@pytest.mark.parametrize("module", [TwoInputs(), TwoOutputs(), Flat()], ids=["inputs", "outputs", "shape"])
def test_export_package__when_the_module_is_no_function_of_one_tensor__then_it_says_so(
    module: nn.Module, tmp_path: Path
) -> None:
    with pytest.raises(BadExport):
        exported(module, torch.zeros(2, 4), tmp_path)


@pytest.mark.parametrize("module", [Silent(), Uninitialised()], ids=["higher order", "empty"])
def test_export_package__when_providers_would_refuse_it__then_the_owner_learns_it(
    module: nn.Module, tmp_path: Path
) -> None:
    with pytest.raises(BadPackage, match="operator"):
        exported(module, torch.zeros(2, 4), tmp_path)


def test_export_package__when_the_modes_differ_in_a_weight__then_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadExport, match=r"differ in first\.weight"):
        export_package((Net(), Net()), torch.zeros(2, 4), tmp_path, FIELDS)


def test_export_package__when_the_example_is_one_row__then_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadExport, match="two rows"):
        exported(Net(), torch.zeros(1, 4), tmp_path)


def test_with_cids__when_given_cids__then_only_they_change() -> None:
    sample = net().manifest
    changed = with_cids(sample, "Qm" + "x" * 44, "Qm" + "y" * 44)
    assert (changed.model.train_cid, changed.model.eval_cid) == ("Qm" + "x" * 44, "Qm" + "y" * 44)
    assert with_cids(changed, sample.model.train_cid, sample.model.eval_cid) == sample
    with pytest.raises(BadManifest):
        with_cids(sample, "nonsense", "Qm" + "y" * 44)


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda tensors: tensors[:-1], "does not list"),
        (lambda tensors: [*tensors, {"name": "extra", "shape": [1], "kind": "buffer"}], "extra"),
        (lambda tensors: [{**tensors[0], "shape": [4, 8]}, *tensors[1:]], "first.weight"),
        (lambda tensors: [{**tensors[0], "kind": "buffer"}, *tensors[1:]], "not a buffer"),
    ],
    ids=["missing", "extra", "shape", "kind"],
)
def test_load_program__when_the_manifest_lists_other_tensors__then_it_is_refused(
    edit: object, says: str, tmp_path: Path
) -> None:
    assert callable(edit)
    sample = net().manifest.model_dump(exclude_none=True)
    listed = edit([{**tensor, "shape": list(tensor["shape"])} for tensor in sample["tensors"]])
    changed = manifest(tensors=listed, model=sample["model"], data=sample["data"])
    with pytest.raises(BadPackage, match=says):
        load_program(written(tmp_path, net().train), changed, 4)


def test_load_program__when_the_output_has_another_size__then_it_is_refused(tmp_path: Path) -> None:
    sample = net().manifest.model_dump(exclude_none=True)
    sample["model"]["output_size"] = 2
    sample["data"]["classes"] = ["0", "1"]
    with pytest.raises(BadPackage, match="the output"):
        load_program(written(tmp_path, net().train), manifest(**sample), 4)


def test_check_shapes__when_a_batch_needs_too_much_memory__then_it_is_refused_without_allocating(
    tmp_path: Path,
) -> None:
    program = read_program(written(tmp_path, net().train), MAX_BYTES)
    assert 0 < check_shapes(program, net().manifest, 4) < 10_000
    with pytest.raises(BadPackage, match="GiB"):
        check_shapes(program, net().manifest, 2**40)


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


@settings(max_examples=150, deadline=None)
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


def test_load_program__when_a_harmless_step_is_added__then_it_is_accepted(tmp_path: Path) -> None:
    archive = with_steps(("torch.ops.aten.relu.default", [("self", X)], ["a"]))
    assert load_program(written(tmp_path, archive), net().manifest, 4, MAX_BYTES).operators


def test_load_package__when_the_programs_start_from_other_weights__then_it_is_refused(tmp_path: Path) -> None:
    train, evaluate = tmp_path / "train.pt2", tmp_path / "eval.pt2"
    train.write_bytes(net().train)
    evaluate.write_bytes(net().eval)
    assert len(load_package(train, evaluate, net().manifest)) == 2
    contents = members(net().eval)
    contents["data/weights/weight_0"] = bytes(len(contents["data/weights/weight_0"]))
    evaluate.write_bytes(packed(contents, root="eval/"))
    wanted = net().manifest.model_copy(
        update={"model": net().manifest.model.model_copy(update={"eval_bytes": evaluate.stat().st_size})}
    )
    with pytest.raises(BadPackage, match="not those of the training program"):
        load_package(train, evaluate, wanted)
