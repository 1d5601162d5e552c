"""The owner's tool: make a module into two programs and a manifest that providers accept.

torch.export writes stack traces, source paths and pickled sample inputs into its archives; what we write has
none of them, keeps the same bytes for the same module, and still opens with `torch.export.load`.
"""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from node.errors import BadExport, shown
from node.manifest import Manifest, manifest_from, render_manifest
from node.manifest_sections import HoldoutSection
from node.package.archive import (
    CONSTANTS_CONFIG,
    CONSTANTS_DIR,
    FIXED_CONTENT,
    GRAPH,
    SAMPLE_INPUTS,
    WEIGHTS_CONFIG,
    WEIGHTS_DIR,
    write_archive,
)
from node.package.arguments import DTYPES
from node.package.graph import IN_SPEC, OUT_SPEC
from node.package.loader import load_package

TRAIN_FILE, EVAL_FILE, MANIFEST_FILE = "train.pt2", "eval.pt2", "manifest.toml"
MAX_BATCH = 65_536
UNKNOWN_CID = "Qm" + "1" * 44
"""Stands in the manifest until the programs have been added to IPFS."""

_DTYPE_NUMBERS = {dtype: number for number, dtype in DTYPES.items()}
_BATCH = Dim("batch", min=1, max=MAX_BATCH)


@dataclass(frozen=True)
class Package:
    """What `export_package` wrote. `manifest` lacks the programs' CIDs until `with_cids`."""

    manifest: Manifest
    train_path: Path
    eval_path: Path
    manifest_path: Path


def export_package(
    modules: nn.Module | tuple[nn.Module, nn.Module],
    example: Tensor,
    folder: Path,
    fields: Mapping[str, Mapping[str, Any] | str],
) -> Package:
    """Write `train.pt2`, `eval.pt2` and `manifest.toml` into `folder`.

    Shapes:  example (B, *input_shape), B >= 2.
    modules: one module, exported in both modes, or one for training and one for evaluation with the same tensors.
    fields:  the manifest's name, description, task, data, training, update, merge and holdout; the rest follows.
    Raises:  BadExport, BadManifest, or BadPackage if providers would refuse it.
    """
    train, evaluate = modules if isinstance(modules, tuple) else (modules, modules)
    folder.mkdir(parents=True, exist_ok=True)
    train_path, eval_path, manifest_path = folder / TRAIN_FILE, folder / EVAL_FILE, folder / MANIFEST_FILE
    exported = _export(train, example, training=True)
    state = _write_program(exported, train_path)
    other = _write_program(_export(evaluate, example, training=False), eval_path)
    _check_same(state, other)
    document = {
        "format": 1,
        **fields,
        "model": {
            "train_cid": UNKNOWN_CID,
            "train_bytes": train_path.stat().st_size,
            "eval_cid": UNKNOWN_CID,
            "eval_bytes": eval_path.stat().st_size,
            "input_shape": list(example.shape[1:]),
            "input_dtype": str(example.dtype).removeprefix("torch."),
            "output_size": _output_size(exported),
        },
        "tensors": _tensor_sections(state, {name for name, _ in train.named_parameters()}),
    }
    manifest = manifest_from(document)
    load_package(train_path, eval_path, manifest)
    manifest_path.write_bytes(render_manifest(manifest))
    return Package(manifest, train_path, eval_path, manifest_path)


def with_cids(manifest: Manifest, train_cid: str, eval_cid: str, holdout: HoldoutSection | None = None) -> Manifest:
    """The manifest with the CIDs of its programs, as they were added to IPFS, and of the hold-out data if there is any.

    Raises: BadManifest if a CID is none.
    """
    model = manifest.model.model_dump() | {"train_cid": train_cid, "eval_cid": eval_cid}
    document = manifest.model_dump(exclude_none=True) | {"model": model}
    if holdout is not None:
        document["holdout"] = holdout.model_dump()
    return manifest_from(document)


def _export(module: nn.Module, example: Tensor, training: bool) -> ExportedProgram:
    module = copy.deepcopy(module).cpu().train(training)
    example = example.cpu()
    if len(example) < 2:
        raise BadExport("the example needs at least two rows, so that the batch stays a free size")
    try:
        return torch.export.export(module, (example,), dynamic_shapes=({0: _BATCH},))
    except Exception as error:
        mode = "training" if training else "evaluation"
        raise BadExport(f"torch.export refuses it in {mode} mode: {shown(_first_line(error), 400)}") from error


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _write_program(exported: ExportedProgram, path: Path) -> dict[str, Tensor]:
    """Write the program without what providers refuse; give its state by name, tied names once."""
    with zipfile.ZipFile(_saved(exported)) as archive:
        graph_name = next(name for name in archive.namelist() if name.endswith("/" + GRAPH))
        document = json.loads(archive.read(graph_name))
    members = {GRAPH: _dumped(_stripped(document))}
    state = {name: tensor.detach() for name, tensor in exported.state_dict.items()}
    parameters = {name for name, tensor in exported.state_dict.items() if isinstance(tensor, nn.Parameter)}
    unique = _payload_members(members, state, parameters, (WEIGHTS_CONFIG, WEIGHTS_DIR + "weight_"))
    _payload_members(members, _constants(exported), set(), (CONSTANTS_CONFIG, CONSTANTS_DIR + "tensor_"))
    write_archive(path, path.stem, {**FIXED_CONTENT, **members, SAMPLE_INPUTS: b""})
    return unique


def _saved(exported: ExportedProgram) -> io.BytesIO:
    buffer = io.BytesIO()
    torch.export.save(exported, buffer)
    buffer.seek(0)
    return buffer


def _constants(exported: ExportedProgram) -> dict[str, Tensor]:
    constants = {}
    for name, value in exported.constants.items():
        if not isinstance(value, Tensor):
            raise BadExport(f"the constant {name} is a {type(value).__name__}, not a tensor")
        constants[name] = value.detach()
    return constants


def _stripped(document: dict[str, Any]) -> dict[str, Any]:
    """Take out source text, traces and calling conventions; providers need only the graph."""
    module = document["graph_module"]
    root = module["module_call_graph"][0]["signature"]
    if root["in_spec"] != IN_SPEC or root["out_spec"] != OUT_SPEC:
        raise BadExport("forward must take exactly one tensor and give exactly one tensor")
    module["module_call_graph"] = [{"fqn": "", "signature": {**root, "inputs": [], "outputs": []}}]
    module["metadata"] = {}
    for node in module["graph"]["nodes"]:
        node["metadata"] = {}
    document["guards_code"] = []
    return document


def _dumped(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _payload_members(
    members: dict[str, bytes], tensors: Mapping[str, Tensor], parameters: set[str], where: tuple[str, str]
) -> dict[str, Tensor]:
    """Add the tensors' bytes and their index to the archive's members; a tied tensor is written once."""
    config, prefix = where
    entries: dict[str, Any] = {}
    unique: dict[str, Tensor] = {}
    known: dict[tuple[Any, ...], str] = {}
    for name, tensor in tensors.items():
        key = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride())
        member = known.get(key) if tensor.numel() else None
        if member is None:
            member = known[key] = f"{prefix}{len(unique)}"
            members[member] = _bytes(tensor)
            unique[name] = tensor
        entries[name] = _entry(member.rpartition("/")[2], tensor, name in parameters)
    members[config] = _dumped({"config": entries})
    return unique


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def _entry(member: str, tensor: Tensor, is_parameter: bool) -> dict[str, Any]:
    if tensor.dtype not in _DTYPE_NUMBERS:
        raise BadExport(f"a tensor of the element type {tensor.dtype} is not allowed")
    return {
        "path_name": member,
        "is_param": is_parameter,
        "use_pickle": False,
        "tensor_meta": {
            "dtype": _DTYPE_NUMBERS[tensor.dtype],
            "sizes": [{"as_int": size} for size in tensor.shape],
            "requires_grad": is_parameter,
            "device": {"type": "cpu", "index": None},
            "strides": [{"as_int": stride} for stride in tensor.contiguous().stride()],
            "storage_offset": {"as_int": 0},
            "layout": 7,
        },
    }


def _output_size(exported: ExportedProgram) -> int:
    output = next(node for node in exported.graph.nodes if node.op == "output").args[0][0].meta["val"]
    if output.ndim != 2 or not isinstance(output.shape[1], int):
        raise BadExport(f"the model's output must have the shape (batch, size), not {tuple(output.shape)}")
    return int(output.shape[1])


def _tensor_sections(state: Mapping[str, Tensor], parameters: set[str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": list(tensor.shape), "kind": "parameter" if name in parameters else "buffer"}
        for name, tensor in state.items()
        if tensor.dtype.is_floating_point
    ]


def _check_same(train: Mapping[str, Tensor], evaluate: Mapping[str, Tensor]) -> None:
    if train.keys() != evaluate.keys():
        raise BadExport(f"only one of the modules has {min(train.keys() ^ evaluate.keys())}")
    for name, tensor in train.items():
        if not torch.equal(tensor, evaluate[name]):
            raise BadExport(f"the modules differ in {name}; both must start from the same weights")
