"""Running a checked program: a loop over its steps, nothing more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from node.errors import BadPackage
from node.package.arguments import HereDevice, Ref
from node.package.graph import Graph, Step

EVALUATION_BATCH = 256
"""Evaluation runs in batches of this size; another one could sum in another order."""

_BIGGEST_SIZE = 2**63

Watch = Callable[[Step, Sequence[Any]], None]
"""Is told of a step and of its results."""


@dataclass(frozen=True)
class Program:
    """A model in one mode (training or evaluation).

    `initial` holds the float32 tensors that are coordinates (W0), `local` the other buffers (counters),
    `constants` what never changes; all on the CPU, by the model's names.
    """

    name: str
    graph: Graph
    initial: Mapping[str, Tensor]
    parameters: frozenset[str]
    """Names in `initial` that are trained; the rest are buffers."""
    local: Mapping[str, Tensor]
    constants: Mapping[str, Tensor]

    @property
    def operators(self) -> tuple[str, ...]:
        """The names of the operators that the program uses, sorted."""
        return tuple(sorted({step.label for step in self.graph.steps}))

    def run(self, tensors: Mapping[str, Tensor], batch: Tensor, watch: Watch = lambda step, results: None) -> Tensor:
        """Compute the model's output for a batch. Buffers in `tensors` are written in place by a training program.

        Shapes: batch (B, *input_shape) -> (B, output_size) float32, on the batch's device.
        tensors: every name of `initial`, `local` and `constants`, on the batch's device.
        watch:   sees what each step gives.
        Raises: BadPackage naming the step that can't be computed.
        """
        graph = self.graph
        values: dict[str, Any] = {name: tensors[target] for name, target in self._bound()}
        values[graph.input] = batch
        for step in graph.steps:
            try:
                watch(step, self._run_step(step, values, batch.device))
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                raise BadPackage(self.name, step.label, f"it can't be computed: {error}") from error
        result: Tensor = values[graph.output]
        return result

    def _bound(self) -> list[tuple[str, str]]:
        graph = self.graph
        return [*graph.parameters.items(), *graph.buffers.items(), *graph.constants.items()]

    def _run_step(self, step: Step, values: dict[str, Any], device: torch.device) -> Sequence[Any]:
        positional = [_filled(argument, values, device) for argument in step.positional]
        keyword = {name: _filled(argument, values, device) for name, argument in step.keyword}
        _check_pieces(step, positional, keyword)
        result = step.function(*positional, **keyword)
        if len(step.outputs) == 1 and not isinstance(result, tuple | list):
            result = (result,)
        for name, value in zip(step.outputs, result if step.outputs else (), strict=True):
            if type(value) is int and abs(value) >= _BIGGEST_SIZE:
                raise ValueError("a size does not fit 64 bits")
            if name is not None:
                values[name] = value
        for name in step.frees:
            del values[name]
        return result if step.outputs else ()


_DIMENSION_PLACE = {"unbind": 1, "split": 2, "chunk": 2, "tensor_split": 2}
"""Operators that cut a tensor into pieces, and where their `dim` argument stands."""


def _check_pieces(step: Step, positional: list[Any], keyword: Mapping[str, Any]) -> None:
    """Refuse to cut a tensor into more pieces than the step names, before a billion of them are made."""
    name = step.label.removeprefix("torch.ops.aten.").partition(".")[0]
    if name not in _DIMENSION_PLACE or not isinstance(positional[0], Tensor):
        return
    place = _DIMENSION_PLACE[name]
    axis = positional[place] if len(positional) > place else keyword.get("dim", 0)
    length = positional[0].shape[axis]
    number = positional[1] if len(positional) > 1 else 1
    if name == "unbind":
        pieces = length
    elif type(number) is not int or number < 1:
        return  # a list of sizes is as long as the program wrote it
    else:
        pieces = -(-length // number) if name == "split" else number
    if pieces > len(step.outputs):
        raise ValueError(f"it would make {pieces} pieces, the program takes {len(step.outputs)}")


def _filled(argument: Any, values: Mapping[str, Any], device: torch.device) -> Any:
    if isinstance(argument, Ref):
        return values[argument.name]
    if isinstance(argument, HereDevice):
        return device
    if isinstance(argument, list):
        return [_filled(item, values, device) for item in argument]
    return argument
