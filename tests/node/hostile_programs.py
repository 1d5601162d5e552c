"""Program archives that must be refused, each with what it would do if it were not.

`canary` is a file that the payload would create.
"""

from __future__ import annotations

import copy
import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.package.archive import CONSTANTS_CONFIG, GRAPH, SAMPLE_INPUTS, WEIGHTS_CONFIG
from tests.node.samples import members, net, packed

Members = dict[str, bytes]


@dataclass(frozen=True)
class Hostile:
    name: str
    build: Callable[[Path], bytes]
    """Makes the archive; its payload would create the given file."""
    says: str
    """What the refusal must name."""


class Payload:
    """Pickled, it creates a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.canary,)


def pickled(canary: Path) -> bytes:
    return pickle.dumps(Payload(canary), protocol=2)


def _train() -> Members:
    return members(net().train)


def _changed(edit: Callable[[Members, Path], None]) -> Callable[[Path], bytes]:
    def build(canary: Path) -> bytes:
        contents = _train()
        edit(contents, canary)
        return packed(contents)

    return build


def _graph(edit: Callable[[dict[str, Any], Path], None]) -> Callable[[Path], bytes]:
    def edit_members(contents: Members, canary: Path) -> None:
        document = json.loads(contents[GRAPH])
        edit(document, canary)
        contents[GRAPH] = json.dumps(document).encode()

    return _changed(edit_members)


def _config(name: str, edit: Callable[[dict[str, Any]], None]) -> Callable[[Path], bytes]:
    def edit_members(contents: Members, canary: Path) -> None:
        document = json.loads(contents[name])
        edit(document["config"])
        contents[name] = json.dumps(document).encode()
        contents["data/weights/weight_9"] = pickled(canary)

    return _changed(edit_members)


def _nodes(document: dict[str, Any]) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = document["graph_module"]["graph"]["nodes"]
    return nodes


def _set(contents: dict[str, Any], key: str, value: Any) -> None:
    contents[key] = value


def _target(target: str) -> Callable[[Path], bytes]:
    return _graph(lambda document, canary: _nodes(document)[0].update(target=target))


def _argument(argument: Callable[[Path], dict[str, Any]]) -> Callable[[Path], bytes]:
    return _graph(lambda document, canary: _nodes(document)[0]["inputs"][1].update(arg=argument(canary)))


def _expression(text: str) -> Callable[[Path], bytes]:
    def edit(document: dict[str, Any], canary: Path) -> None:
        value = {"as_expr": {"expr_str": text.replace("CANARY", str(canary)), "hint": None}}
        document["graph_module"]["graph"]["tensor_values"]["linear"]["sizes"][0] = value

    return _graph(edit)


def _weight(**changes: Any) -> Callable[[Path], bytes]:
    return _config(WEIGHTS_CONFIG, lambda config: config["first.weight"].update(changes))


def _weight_meta(**changes: Any) -> Callable[[Path], bytes]:
    return _config(WEIGHTS_CONFIG, lambda config: config["first.weight"]["tensor_meta"].update(changes))


def _declaring_more(canary: Path) -> bytes:
    """A stored member whose directory entry claims a gigabyte."""

    def edit(entries: list[zipfile.ZipInfo], weight: zipfile.ZipInfo) -> None:
        weight.file_size = weight.compress_size = 2**30

    return _with_directory(edit)


def _overlapping(canary: Path) -> bytes:
    """Many directory entries that share the same bytes."""

    def edit(entries: list[zipfile.ZipInfo], weight: zipfile.ZipInfo) -> None:
        for number in range(100, 300):
            entry = copy.copy(weight)
            entry.filename = f"train/data/weights/weight_{number}"
            entries.append(entry)

    return _with_directory(edit)


def _with_directory(edit: Callable[[list[zipfile.ZipInfo], zipfile.ZipInfo], None]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in _train().items():
            archive.writestr("train/" + name, content)
        edit(archive.filelist, archive.getinfo("train/data/weights/weight_0"))
    return buffer.getvalue()


def _twice(canary: Path) -> bytes:
    """Two members of one name; readers differ in which one they take."""
    archive = packed(_train() | {"models/modem.json": b"{}"})
    return archive.replace(b"models/modem.json", b"models/model.json")


def _deep(contents: Members, canary: Path) -> None:
    contents[GRAPH] = b"[" * 200_000


HOSTILE = [
    Hostile("pickled sample inputs", _changed(lambda m, c: _set(m, SAMPLE_INPUTS, pickled(c))), "sample inputs"),
    Hostile("pickled weight", _weight(use_pickle=True, path_name="weight_9"), "pickled payload"),
    Hostile("pickled weight, told as a number", _weight(use_pickle=1, path_name="weight_9"), "pickled payload"),
    Hostile("custom object", _changed(lambda m, c: _set(m, "data/constants/custom_obj_0", pickled(c))), "custom_obj_0"),
    Hostile("opaque object", _changed(lambda m, c: _set(m, "data/constants/opaque_obj_0", pickled(c))), "opaque_obj_0"),
    Hostile("legacy weights", _changed(lambda m, c: _set(m, "data/weights/model.pt", pickled(c))), "model.pt"),
    Hostile("legacy format", lambda c: packed({"version": b"8.20", "serialized_state_dict.pt": pickled(c)}), "version"),
    Hostile("compiled library", _changed(lambda m, c: _set(m, "data/aotinductor/model/a.so", b"\x7fELF")), "a.so"),
    Hostile("extra file", _changed(lambda m, c: _set(m, "extra/notes", b"")), "extra/notes"),
    Hostile("second model", _changed(lambda m, c: _set(m, "models/other.json", m[GRAPH])), "models/other.json"),
    Hostile("python call", _target("torch.os.mkdir"), "torch.os.mkdir"),
    Hostile("python builtin", _target("math.factorial"), "math.factorial"),
    Hostile("operator of another namespace", _target("torch.ops.prims.add.default"), "torch.ops.prims"),
    Hostile("extension operator", _target("#triton:mine"), "#triton:mine"),
    Hostile("higher-order operator", _target("torch.ops.higher_order.cond"), "higher_order.cond"),
    Hostile("operator that reads files", _target("torch.ops.aten.from_file.default"), "aten.from_file"),
    Hostile("operator that shows old memory", _target("torch.ops.aten.empty.memory_format"), "aten.empty"),
    Hostile("operator that makes strides", _target("torch.ops.aten.as_strided.default"), "aten.as_strided"),
    Hostile("operator that is none", _target("torch.ops.aten.relu.__class__"), "aten.relu.__class__"),
    Hostile("operator on lists", _target("torch.ops.aten.mul.left_t"), "does not give tensors"),
    Hostile("out argument", _target("torch.ops.aten.mul.out"), "out"),
    Hostile("power of integers", _target("_operator.pow"), "_operator.pow"),
    Hostile("subgraph", _argument(lambda c: {"as_graph": {"name": "g", "graph": {}}}), "subgraph"),
    Hostile(
        "object argument", _argument(lambda c: {"as_custom_obj": {"name": "o", "class_fqn": "x"}}), "custom object"
    ),
    Hostile("operator argument", _argument(lambda c: {"as_operator": "torch.os.mkdir"}), "operator as an argument"),
    Hostile("text argument", _argument(lambda c: {"as_string": "x" * 1000}), "text argument"),
    Hostile("huge integer", _argument(lambda c: {"as_int": 10**30}), "64 bits"),
    Hostile("expression that calls", _expression("__import__('pathlib').Path('CANARY').touch()"), "expression"),
    Hostile("expression that grows", _expression("Pow(Integer(9), Pow(Integer(9), Integer(9)))"), "expression"),
    Hostile("expression by attribute", _expression("Symbol('s1').__class__"), "expression"),
    Hostile("expression with a trick", _expression("Symbol('s1', integer=True)\nopen('CANARY','w')"), "expression"),
    Hostile("guards", _graph(lambda d, c: _set(d, "guards_code", [f"open({str(c)!r}, 'w')"])), "guards_code"),
    Hostile("metadata", _graph(lambda d, c: _set(_nodes(d)[0], "metadata", {"source_fn_stack": "a,b"})), "metadata"),
    Hostile("unknown key", _graph(lambda d, c: _set(d, "surprise", 1)), "surprise"),
    Hostile("missing key", _graph(lambda d, c: d.pop("verifiers")), "verifiers"),
    Hostile("other schema", _graph(lambda d, c: d["schema_version"].update(major=9)), "schema version"),
    Hostile(
        "two outputs", _graph(lambda d, c: d["graph_module"]["signature"]["output_specs"].append({})), "one tensor"
    ),
    Hostile("use before definition", _graph(lambda d, c: _nodes(d).reverse()), "before it is computed"),
    Hostile("deep JSON", _changed(_deep), "not JSON"),
    Hostile("no JSON", _changed(lambda m, c: _set(m, GRAPH, b"\xff")), "not JSON"),
    Hostile("key twice", _changed(lambda m, c: _set(m, GRAPH, b'{"a": 1, "a": 2}')), "twice"),
    Hostile("huge declared tensor", _weight_meta(sizes=[{"as_int": 2**30}, {"as_int": 2**9}]), "weight_0"),
    Hostile("endless declared tensor", _weight_meta(sizes=[{"as_int": 2**62}] * 8), "size"),
    Hostile("tensor with strides", _weight_meta(strides=[{"as_int": 0}, {"as_int": 0}]), "contiguous"),
    Hostile("tensor of unknown type", _weight_meta(dtype=99), "element type"),
    Hostile("tensor outside its folder", _weight(path_name="../../../etc/passwd"), "missing"),
    Hostile("missing weight", _changed(lambda m, c: m.pop("data/weights/weight_0")), "weight_0"),
    Hostile("missing index", _changed(lambda m, c: m.pop(CONSTANTS_CONFIG)), "missing"),
    Hostile("compressed", lambda c: packed(_train(), compression=zipfile.ZIP_DEFLATED), "compressed"),
    Hostile(
        "zip bomb",
        lambda c: packed(_train() | {"data/weights/weight_0": bytes(2**24)}, compression=zipfile.ZIP_BZIP2),
        "compressed",
    ),
    Hostile("declares more than it has", _declaring_more, "declare"),
    Hostile("overlapping members", _overlapping, "declare"),
    Hostile("member twice", _twice, "twice"),
    Hostile("absolute name", lambda c: packed(_train(), root="/"), "one folder"),
    Hostile("parent folder", lambda c: packed(_train(), root="../"), "one folder"),
    Hostile("two folders", lambda c: packed({**_train(), "../b/models/model.json": b"{}"}), "not a member"),
    Hostile("no folder", lambda c: packed(_train(), root=""), "is refused"),
    Hostile("truncated", lambda c: packed(_train())[:-100], "zip file"),
    Hostile("truncated early", lambda c: packed(_train())[:1000], "zip file"),
    Hostile("empty", lambda c: b"", "zip file"),
    Hostile("no archive", lambda c: pickled(c), "zip file"),
    Hostile("empty archive", lambda c: packed({}), "missing"),
    Hostile("other byte order", _changed(lambda m, c: _set(m, "byteorder", b"big")), "byteorder"),
]
