"""Exporting and loading packages: what is allowed runs as torch runs it, what is not is refused unexecuted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own usage

from node.errors import BadExport, BadManifest, BadPackage
from node.manifest import parse_manifest
from node.package.archive import SAMPLE_INPUTS
from node.package.dry_run import check_shapes
from node.package.export import export_package, with_cids
from node.package.loader import load_package, load_program, read_program
from node.package.program import Program
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
