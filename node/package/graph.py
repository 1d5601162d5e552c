"""A program's graph, read from its JSON into steps that `node.package.program` runs.

The graph is never handed to torch's own deserialiser, which evaluates expression strings, imports names and
compiles source text. Every key, kind, name and operator is checked here; what is not understood is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from node.errors import shown
from node.package.arguments import DTYPES, HERE, Ref, parse_argument
from node.package.operators import integer_operator, tensor_operator
from node.package.strict_json import StrictJson

MAX_STEPS = 20_000
MAX_EXPRESSION = 500
SCHEMA_MAJOR = 8

IN_SPEC = (
    '[1, {"type": "builtins.tuple", "context": "null", "children_spec": [{"type": "builtins.tuple", "context": "null", '
    '"children_spec": [{"type": null, "context": null, "children_spec": []}]}, {"type": "builtins.dict", '
    '"context": "[]", "children_spec": []}]}]'
)
OUT_SPEC = '[1, {"type": null, "context": null, "children_spec": []}]'

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_EXPRESSION = re.compile(
    r"(?:Symbol\('[su][0-9]{1,9}'(?:, (?:positive|nonnegative|integer)=True){0,3}\)"
    r"|(?:Add|Mul|Integer|FloorDiv|Mod|Max|Min)(?=\()|-?[0-9]{1,18}|[(),\s]){1,200}"
)
"""Sizes as torch.export writes them. We never evaluate them; this keeps them harmless for whoever does."""


@dataclass(frozen=True)
class Step:
    """One call: `function(*positional, **keyword)`; its results get the names `outputs` (None: not kept)."""

    label: str
    function: Callable[..., Any]
    positional: tuple[Any, ...]
    keyword: tuple[tuple[str, Any], ...]
    outputs: tuple[str | None, ...]
    frees: tuple[str, ...]
    """Names that no later step needs."""


@dataclass(frozen=True)
class Graph:
    """`parameters`, `buffers` and `constants` map a graph input's name to the tensor's name in the model."""

    parameters: dict[str, str]
    buffers: dict[str, str]
    constants: dict[str, str]
    input: str
    output: str
    steps: tuple[Step, ...]


def parse_graph(reader: StrictJson, content: bytes) -> Graph:
    """Read and check `models/model.json`.

    Raises: BadPackage naming what is not allowed.
    """
    document = reader.fields(
        reader.load(content),
        "graph_module opset_version range_constraints schema_version verifiers torch_version guards_code",
    )
    version = reader.fields(document["schema_version"], "major minor")
    if version["major"] != SCHEMA_MAJOR:
        raise reader.fault(f"schema version {shown(version['major'])}; this fedbounty reads {SCHEMA_MAJOR}")
    reader.empty(document["guards_code"], "guards_code (source text)")
    module = reader.fields(
        document["graph_module"], "graph signature module_call_graph metadata treespec_namedtuple_fields"
    )
    reader.empty(module["metadata"], "metadata")
    reader.empty(module["treespec_namedtuple_fields"], "treespec_namedtuple_fields")
    _check_calls(reader, module["module_call_graph"])
    inputs, output = _signature(reader, module["signature"])
    return _graph(reader, module["graph"], inputs, output)


def _check_calls(reader: StrictJson, value: Any) -> None:
    entries = reader.listed(value, dict)
    if len(entries) != 1:
        raise reader.fault("module_call_graph must have the one entry of the model itself")
    signature = reader.fields(reader.fields(entries[0], "fqn signature")["signature"], _CALL_KEYS)
    if [entries[0]["fqn"], signature["inputs"], signature["outputs"]] != ["", [], []]:
        raise reader.fault("the call signature must be empty but for its shape")
    if signature["in_spec"] != IN_SPEC or signature["out_spec"] != OUT_SPEC:
        raise reader.fault("the model must take one tensor and give one tensor")


_CALL_KEYS = "inputs outputs in_spec out_spec forward_arg_names"
_INPUT_KINDS = {
    "parameter": ("arg parameter_name", "parameter_name"),
    "buffer": ("arg buffer_name persistent", "buffer_name"),
    "tensor_constant": ("arg tensor_constant_name", "tensor_constant_name"),
}


@dataclass(frozen=True)
class _Input:
    kind: str
    name: str
    target: str


def _signature(reader: StrictJson, value: Any) -> tuple[list[_Input], str]:
    signature = reader.fields(value, "input_specs output_specs")
    inputs = [_input(reader, spec) for spec in reader.listed(signature["input_specs"], dict)]
    if [i.kind for i in inputs].count("user_input") != 1:
        raise reader.fault("the model must take exactly one tensor")
    outputs = reader.listed(signature["output_specs"], dict)
    if len(outputs) != 1 or list(outputs[0]) != ["user_output"]:
        raise reader.fault("the model must give exactly one tensor and nothing else")
    return inputs, _tensor_name(reader, reader.fields(outputs[0]["user_output"], "arg")["arg"])


def _input(reader: StrictJson, spec: Any) -> _Input:
    kind, content = reader.choice(spec)
    if kind == "user_input":
        return _Input(kind, _tensor_name(reader, reader.fields(content, "arg")["arg"]), "")
    if kind not in _INPUT_KINDS:
        raise reader.fault(f"an input of the kind {kind}")
    keys, key = _INPUT_KINDS[kind]
    found = reader.fields(content, keys)
    if kind == "buffer" and found["persistent"] is not True:
        kind = "tensor_constant"
    name = reader.typed(reader.fields(found["arg"], "name")["name"], str)
    return _Input(kind, name, reader.typed(found[key], str))


def _tensor_name(reader: StrictJson, value: Any) -> str:
    found = parse_argument(reader, value)
    if not isinstance(found, Ref):
        raise reader.fault("an input or output that is no tensor")
    return found.name


_GRAPH_KEYS = "inputs outputs nodes tensor_values sym_int_values sym_bool_values is_single_tensor_return"


def _graph(reader: StrictJson, value: Any, inputs: list[_Input], output: str) -> Graph:
    graph = reader.fields(value, _GRAPH_KEYS, "custom_obj_values sym_float_values")
    reader.empty(graph.get("custom_obj_values"), "custom_obj_values")
    for item in reader.typed(graph["tensor_values"], dict).values():
        _check_tensor_value(reader, item)
    for key in ("sym_int_values", "sym_bool_values", "sym_float_values"):
        for item in reader.typed(graph.get(key, {}), dict).values():
            _check_symbol(reader, item)
    if [_tensor_name(reader, i) for i in reader.listed(graph["inputs"], dict)] != [i.name for i in inputs]:
        raise reader.fault("the graph's inputs are not those of its signature")
    if [_tensor_name(reader, o) for o in reader.listed(graph["outputs"], dict)] != [output]:
        raise reader.fault("the graph's outputs are not those of its signature")
    steps = _steps(reader, reader.listed(graph["nodes"], dict), inputs, output)
    by_kind = {kind: {i.name: i.target for i in inputs if i.kind == kind} for kind in _INPUT_KINDS}
    user = next(i.name for i in inputs if i.kind == "user_input")
    return Graph(by_kind["parameter"], by_kind["buffer"], by_kind["tensor_constant"], user, output, steps)


def _check_tensor_value(reader: StrictJson, value: Any) -> None:
    meta = reader.fields(value, "dtype sizes requires_grad device strides storage_offset layout")
    if reader.typed(meta["dtype"], int) not in DTYPES:
        raise reader.fault(f"the element type number {shown(meta['dtype'])}")
    for size in (*reader.typed(meta["sizes"], list), *reader.typed(meta["strides"], list), meta["storage_offset"]):
        _check_symbol(reader, size)


def _check_symbol(reader: StrictJson, value: Any) -> None:
    kind, content = reader.choice(value)
    if kind in ("as_int", "as_bool", "as_float"):
        parse_argument(reader, value)
        return
    expression = reader.fields(content, "expr_str", "hint")["expr_str"]
    text = reader.typed(expression, str)
    if kind != "as_expr" or len(text) > MAX_EXPRESSION or not _EXPRESSION.fullmatch(text):
        raise reader.fault(f"the expression {shown(text, 80)}; only sums and products of sizes are allowed")


def _steps(reader: StrictJson, nodes: Sequence[Any], inputs: list[_Input], output: str) -> tuple[Step, ...]:
    if len(nodes) > MAX_STEPS:
        raise reader.fault(f"it has {len(nodes)} steps; at most {MAX_STEPS} are allowed")
    known: set[str] = set()
    for name in (i.name for i in inputs):
        _define(reader, known, name)
    fixed = frozenset(i.name for i in inputs if i.kind != "buffer")
    steps = [_step(reader, node, known, fixed) for node in nodes]
    if output not in known:
        raise reader.fault(f"the output {shown(output)} is never computed")
    return _freed(steps, {output, *(i.name for i in inputs)})


def _define(reader: StrictJson, known: set[str], name: str) -> None:
    if not _NAME.fullmatch(name) or name in known:
        raise reader.fault(f"the name {shown(name)} is not a plain one or is there twice")
    known.add(name)


def _step(reader: StrictJson, node: Any, known: set[str], fixed: frozenset[str]) -> Step:
    found = reader.fields(node, "target inputs outputs metadata", "is_hop_single_tensor_return name")
    target = reader.typed(found["target"], str)
    reader.empty(found["metadata"], "a step's metadata")
    arguments = []
    for item in reader.listed(found["inputs"], dict):
        part = reader.fields(item, "name arg", "kind")
        arguments.append((reader.typed(part["name"], str), parse_argument(reader, part["arg"])))
    for name in (ref for _, argument in arguments for ref in references(argument)):
        if name not in known:
            raise reader.fault(f"the step {shown(target)} uses {shown(name)} before it is computed")
    function, positional, keyword = _call(reader, target, arguments, fixed)
    outputs = _outputs(reader, found["outputs"])
    for output in outputs:
        if output is not None:
            _define(reader, known, output)
    return Step(shown(target), function, positional, keyword, outputs, ())


def references(argument: Any) -> list[str]:
    """The names of results that an argument refers to."""
    if isinstance(argument, Ref):
        return [argument.name]
    return [item.name for item in argument if isinstance(item, Ref)] if isinstance(argument, list) else []


def _call(
    reader: StrictJson, target: str, arguments: list[tuple[str, Any]], fixed: frozenset[str]
) -> tuple[Callable[..., Any], tuple[Any, ...], tuple[tuple[str, Any], ...]]:
    plain = integer_operator(target)
    if plain is not None:
        return plain, tuple(argument for _, argument in arguments), ()
    operator = tensor_operator(target, reader.program)
    given = dict(arguments)
    if len(given) != len(arguments):
        raise reader.fault(f"{target} has an argument twice")
    positional: list[Any] = []
    keyword: list[tuple[str, Any]] = []
    skipped = False
    for parameter in operator._schema.arguments:
        if parameter.name not in given:
            skipped = True
            if not parameter.has_default_value():
                raise reader.fault(f"{target} lacks the argument {parameter.name}")
            continue
        argument = given.pop(parameter.name)
        _check_written(reader, target, parameter, argument, fixed)
        if skipped or parameter.kwarg_only:
            keyword.append((parameter.name, argument))
        else:
            positional.append(argument)
    if given:
        raise reader.fault(f"{target} has no argument {shown(min(given))}")
    if _makes_tensors(operator) and all(name != "device" for name, _ in keyword):
        keyword.append(("device", HERE))
    return operator, tuple(positional), tuple(keyword)


def _makes_tensors(operator: torch._ops.OpOverload[..., Any]) -> bool:
    """Whether the operator takes a device and no tensor, so that without one its result would land on the CPU."""
    parameters = operator._schema.arguments
    takes_tensor = any("Tensor" in str(parameter.type) for parameter in parameters)
    return not takes_tensor and any(parameter.name == "device" for parameter in parameters)


def _check_written(
    reader: StrictJson, target: str, parameter: torch._C.Argument, argument: Any, fixed: frozenset[str]
) -> None:
    """Refuse writing in place to a weight, a constant or the batch itself; buffers and results may be written."""
    alias = parameter.alias_info
    if alias is not None and alias.is_write and fixed.intersection(references(argument)):
        raise reader.fault(f"{target} writes to {shown(references(argument)[0])}, which only training may change")


def _outputs(reader: StrictJson, value: Any) -> tuple[str | None, ...]:
    names: list[str | None] = []
    for item in reader.listed(value, dict):
        found = parse_argument(reader, item)
        for output in found if isinstance(found, list) else [found]:
            if output is not None and not isinstance(output, Ref):
                raise reader.fault("a step's result without a name")
            names.append(None if output is None else output.name)
    return tuple(names)


def _freed(steps: list[Step], kept: set[str]) -> tuple[Step, ...]:
    """Note for each step the results that no later step needs, so that a run holds no more than it must."""
    seen, result = set(kept), []
    for step in reversed(steps):
        touched = [n for a in (*step.positional, *(v for _, v in step.keyword)) for n in references(a)]
        touched += [name for name in step.outputs if name is not None]
        frees = tuple(dict.fromkeys(name for name in touched if name not in seen))
        seen.update(frees)
        result.append(Step(step.label, step.function, step.positional, step.keyword, step.outputs, frees))
    return tuple(reversed(result))
