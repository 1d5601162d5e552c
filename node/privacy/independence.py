"""Whether a program treats each example by itself: what per-example gradients need.

Privacy does not rest on these checks: gradients are taken of runs on one example alone (`node.privacy.dp_sgd`). They
keep out programs that mean something else in a batch than alone, and say why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from node.errors import BadPackage
from node.manifest import Manifest
from node.package.arguments import Ref
from node.package.dry_run import INPUT_DTYPES
from node.package.graph import Step
from node.package.program import Program
from node.privacy.dp_sgd import example_gradients

_ROWS = 6
_CHANGED = 2
"""The row that is changed; neither flipping nor rolling six rows by one puts another in its place."""

_SEED = 20_170_211
_TOLERANCE = {"rtol": 1e-4, "atol": 1e-6}
_REMEDY = "Private training needs a model that treats examples one by one: use GroupNorm or LayerNorm for BatchNorm."


def check_independence(program: Program, manifest: Manifest) -> None:
    """Refuse a training program that mixes the examples of a batch, or has no gradient for one of them.

    Raises: BadPackage naming the step and the reason.
    """
    _check_steps(program)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        rows, others = _random_rows(manifest), _random_rows(manifest)
        changed = rows.clone()
        changed[_CHANGED] = others[_CHANGED]
        _check_outputs(program, rows, changed)
        _check_gradients(program, manifest, rows, changed)


def _refused(program: Program, step: str, reason: str) -> BadPackage:
    return BadPackage(program.name, step, reason, _REMEDY)


def _check_steps(program: Program) -> None:
    """What can be read off the graph: statistics over the batch, and buffers that remember examples."""
    steps = [(step.label.removeprefix("torch.ops.aten.").partition(".")[0], step) for step in program.graph.steps]
    for name, step in steps:
        if name == "batch_norm" and _argument(step, 5, "training"):
            raise _refused(program, step.label, "BatchNorm takes its mean and variance over all examples of a batch")
    buffers = program.graph.buffers
    for name, step in steps:
        first = step.positional[0] if step.positional else None
        if name == "instance_norm" and _argument(step, 5, "use_input_stats") and _argument(step, 3, "running_mean"):
            raise _refused(program, step.label, "it keeps statistics of the examples in a buffer")
        if name.endswith("_") and isinstance(first, Ref) and first.name in buffers:
            raise _refused(program, step.label, f"it writes to the buffer {buffers[first.name]}")


def _argument(step: Step, place: int, name: str) -> Any:
    if len(step.positional) > place:
        return step.positional[place]
    return dict(step.keyword).get(name)


def _random_rows(manifest: Manifest) -> Tensor:
    shape, low, high = (_ROWS, *manifest.model.input_shape), manifest.data.minimum, manifest.data.maximum
    drawn = low + (high - low) * torch.rand(shape, dtype=torch.float64)
    return drawn.to(INPUT_DTYPES[manifest.model.input_dtype])


def _tensors(program: Program) -> dict[str, Tensor]:
    groups = (program.initial, program.local, program.constants)
    return {name: tensor.clone() for group in groups for name, tensor in group.items()}


def _check_outputs(program: Program, rows: Tensor, changed: Tensor) -> None:
    """Run the program on two batches that differ in one row, with the same chance: no other row may notice."""
    seen: list[tuple[str, list[Tensor]]] = []

    def note(step: Step, results: Sequence[Any]) -> None:
        seen.append((step.label, [one.clone() for one in results if isinstance(one, Tensor)]))

    output = _same_chance(lambda: program.run(_tensors(program), rows, note))
    before, seen = seen, []
    other = _same_chance(lambda: program.run(_tensors(program), changed, note))
    if _others_same(output, other):
        return
    pairs = zip(before, seen, strict=True)
    label = next((label for (label, a), (_, b) in pairs if not all(map(_others_same, a, b))), "the output")
    raise _refused(program, label, "from here on an example's values depend on the other examples of its batch")


def _check_gradients(program: Program, manifest: Manifest, rows: Tensor, changed: Tensor) -> None:
    labels = torch.zeros((_ROWS, manifest.model.output_size))
    if manifest.task.kind == "classification":
        labels = torch.arange(_ROWS) % manifest.model.output_size
    loss = manifest.task.loss
    both = [
        _same_chance(lambda x=x: example_gradients(program, _tensors(program), loss, x, labels)[0])  # type: ignore[misc]
        for x in (rows, changed)
    ]
    for name, gradient in both[0].items():
        if not _others_same(gradient, both[1][name]):
            raise _refused(program, name, "an example's gradient depends on another example")


def _same_chance(run: Callable[[], Any]) -> Any:
    torch.manual_seed(_SEED)
    return run()


def _others_same(one: Tensor, other: Tensor) -> bool:
    """Whether two results by example are the same but for the changed row; results of another form pass."""
    if one.shape != other.shape:
        return False
    if one.dim() == 0 or one.shape[0] != _ROWS:
        return True
    kept = torch.arange(_ROWS) != _CHANGED
    a, b = one.detach()[kept], other.detach()[kept]
    if not a.dtype.is_floating_point:
        return torch.equal(a, b)
    return torch.allclose(a, b, equal_nan=True, **_TOLERANCE)
