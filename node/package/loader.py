"""From a file that anyone may have written to a program that can be run, or a clear refusal.

Order: sizes, member names, JSON structure, operators, tensors against the manifest, and a run on torch's
`meta` device, which computes shapes and memory without touching a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from node.errors import BadPackage, shown
from node.manifest import Manifest
from node.package.archive import CONSTANTS_CONFIG, CONSTANTS_DIR, GRAPH, WEIGHTS_CONFIG, WEIGHTS_DIR, read_archive
from node.package.arguments import DTYPES
from node.package.dry_run import check_shapes
from node.package.graph import Graph, parse_graph
from node.package.program import EVALUATION_BATCH, Program
from node.package.strict_json import StrictJson

_TENSOR_NAME = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
_STRIDED = 7


@dataclass(frozen=True)
class Payload:
    """A tensor of the archive. Two names with the same `member` are one tensor."""

    tensor: Tensor
    member: str
    is_parameter: bool


def load_program(path: Path, manifest: Manifest, batch_size: int, max_bytes: int | None = None) -> Program:
    """Read one program and check it against its manifest.

    batch_size: the largest batch that will be run, for the memory check.
    max_bytes:  the size that was announced; None for the manifest's greater one.
    Raises: BadPackage naming the member, operator or tensor, before anything of the program is executed.
    """
    limit = max(manifest.model.train_bytes, manifest.model.eval_bytes) if max_bytes is None else max_bytes
    program = read_program(path, limit)
    _check_tensors(program, manifest)
    check_shapes(program, manifest, batch_size)
    return program


def load_package(train_path: Path, eval_path: Path, manifest: Manifest) -> tuple[Program, Program]:
    """Read both programs of a package, and check that they start from the same weights.

    Raises: BadPackage.
    """
    train = load_program(train_path, manifest, manifest.training.batch_size, manifest.model.train_bytes)
    evaluate = load_program(eval_path, manifest, EVALUATION_BATCH, manifest.model.eval_bytes)
    for name, tensor in train.initial.items():
        if not torch.equal(tensor, evaluate.initial[name]):
            raise BadPackage(evaluate.name, name, "its initial weights are not those of the training program")
    return train, evaluate


def read_program(path: Path, max_bytes: int) -> Program:
    """Read one program without a manifest to hold it to.

    Raises: BadPackage.
    """
    members = read_archive(path, max_bytes)
    graph = parse_graph(StrictJson(path.name, GRAPH), members[GRAPH])
    weights = _payloads(StrictJson(path.name, WEIGHTS_CONFIG), members, WEIGHTS_CONFIG, WEIGHTS_DIR)
    constants = _payloads(StrictJson(path.name, CONSTANTS_CONFIG), members, CONSTANTS_CONFIG, CONSTANTS_DIR)
    if both := weights.keys() & constants.keys():
        raise BadPackage(path.name, min(both), "it is a weight and a constant at once")
    renamed = _aliases(weights)
    graph = Graph(
        {name: renamed.get(target, target) for name, target in graph.parameters.items()},
        {name: renamed.get(target, target) for name, target in graph.buffers.items()},
        graph.constants,
        graph.input,
        graph.output,
        graph.steps,
    )
    kept = {name: payload for name, payload in weights.items() if name not in renamed}
    _check_bound(graph, kept, constants, path.name)
    floats = {name: p for name, p in kept.items() if p.tensor.dtype.is_floating_point}
    return Program(
        path.name,
        graph,
        {name: payload.tensor for name, payload in floats.items()},
        frozenset(name for name, payload in floats.items() if payload.is_parameter),
        {name: payload.tensor for name, payload in kept.items() if name not in floats},
        {name: payload.tensor for name, payload in constants.items()},
    )


def _payloads(reader: StrictJson, members: Mapping[str, bytes], config: str, folder: str) -> dict[str, Payload]:
    """The tensors that a configuration names. Each member is held once, however many names it has."""
    entries = reader.typed(reader.fields(reader.load(members[config]), "config")["config"], dict)
    held: dict[str, bytearray] = {}
    return {
        _tensor_name(reader, name): _payload(reader, entry, members, held, folder) for name, entry in entries.items()
    }


def _tensor_name(reader: StrictJson, name: str) -> str:
    if len(name) > 200 or not _TENSOR_NAME.fullmatch(name):
        raise reader.fault(f"the tensor name {shown(name)}")
    return name


def _payload(
    reader: StrictJson, value: Any, members: Mapping[str, bytes], held: dict[str, bytearray], folder: str
) -> Payload:
    entry = reader.fields(value, "path_name is_param use_pickle tensor_meta")
    if entry["use_pickle"] is not False:
        raise reader.fault(f"{shown(entry['path_name'])} is a pickled payload")
    member = folder + reader.typed(entry["path_name"], str)
    if member not in members:
        raise reader.fault(f"the member {shown(member)} is missing")
    meta = reader.fields(entry["tensor_meta"], "dtype sizes requires_grad device strides storage_offset layout")
    dtype = DTYPES.get(meta["dtype"]) if type(meta["dtype"]) is int else None
    shape = _plain_sizes(reader, meta["sizes"])
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    plain = meta["layout"] == _STRIDED and meta["storage_offset"] == {"as_int": 0}
    if dtype is None or not plain or _plain_sizes(reader, meta["strides"]) != strides:
        raise reader.fault(f"{member} is not a plain contiguous tensor of a known element type")
    size = math.prod(shape) * dtype.itemsize
    if size != len(members[member]):
        raise reader.fault(f"{member} has {len(members[member])} bytes; its shape {shape} needs {size}")
    if member not in held:
        held[member] = bytearray(members[member])
    content = held[member]
    tensor = torch.frombuffer(content, dtype=dtype).reshape(shape) if content else torch.empty(shape, dtype=dtype)
    return Payload(tensor, member, bool(reader.typed(entry["is_param"], bool)))


def _plain_sizes(reader: StrictJson, value: Any) -> list[int]:
    sizes = []
    for item in reader.typed(value, list):
        size = reader.typed(reader.fields(item, "as_int")["as_int"], int)
        if not 0 <= size < 2**40:
            raise reader.fault(f"the size {size}")
        sizes.append(size)
    if len(sizes) > 8:
        raise reader.fault(f"a tensor of {len(sizes)} dimensions")
    return sizes


def _aliases(weights: Mapping[str, Payload]) -> dict[str, str]:
    """Names of tied tensors, each mapped to the first name of its tensor."""
    first: dict[str, str] = {}
    aliases = {}
    for name, payload in weights.items():
        kept = first.setdefault(payload.member, name)
        if kept != name:
            aliases[name] = kept
    return aliases


def _check_bound(graph: Graph, weights: Mapping[str, Payload], constants: Mapping[str, Payload], program: str) -> None:
    wanted = (*graph.parameters.values(), *graph.buffers.values())
    absent = [n for n in wanted if n not in weights] + [n for n in graph.constants.values() if n not in constants]
    if absent:
        raise BadPackage(program, absent[0], "the graph uses this tensor, but the archive does not have it")


def _check_tensors(program: Program, manifest: Manifest) -> None:
    listed = {tensor.name: tensor for tensor in manifest.tensors}
    for name, tensor in program.initial.items():
        if name not in listed:
            raise BadPackage(program.name, name, "the manifest does not list this tensor")
        if tensor.dtype != torch.float32 or tuple(tensor.shape) != listed[name].shape:
            found = f"{tensor.dtype} {list(tensor.shape)}"
            raise BadPackage(program.name, name, f"it is {found}, not float32 {list(listed[name].shape)}")
        if (name in program.parameters) != (listed[name].kind == "parameter"):
            raise BadPackage(program.name, name, f"it is not a {listed[name].kind}, as the manifest says")
        if not torch.isfinite(tensor).all():
            raise BadPackage(program.name, name, "it has values that are infinite or not a number")
    if missing := listed.keys() - program.initial.keys():
        raise BadPackage(program.name, min(missing), "the manifest lists this tensor, the program does not have it")
