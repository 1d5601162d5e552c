"""Running a program on shapes alone: torch's `meta` device computes sizes and allocates nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from node.errors import BadPackage
from node.manifest import Manifest
from node.package.program import Program

MAX_ACTIVATION_BYTES = 16 * 1024**3
"""What the intermediate results of one batch may take, all together."""

INPUT_DTYPES = {"float32": torch.float32, "int64": torch.int64}


def check_shapes(program: Program, manifest: Manifest, batch_size: int) -> int:
    """Run the program on shapes; give the bytes that a batch's intermediate results take together.

    Raises: BadPackage if a step can't be computed, a batch needs too much memory, or the output's shape is wrong.
    """
    groups = (program.initial, program.local, program.constants)
    tensors = {name: tensor.to("meta") for group in groups for name, tensor in group.items()}
    needed = 0
    for size in {batch_size, 2}:
        shape = (size, *manifest.model.input_shape)
        batch = torch.empty(shape, dtype=INPUT_DTYPES[manifest.model.input_dtype], device="meta")
        with torch.no_grad(), _Meter() as meter:
            output = program.run(tensors, batch)
        needed = max(needed, meter.total)
        expected = (size, manifest.model.output_size)
        if tuple(output.shape) != expected or output.dtype != torch.float32:
            found = f"{output.dtype} {list(output.shape)}"
            raise BadPackage(program.name, "the output", f"it is {found}, not float32 {list(expected)}")
    if needed > MAX_ACTIVATION_BYTES:
        raise BadPackage(
            program.name,
            "the graph",
            f"a batch of {batch_size} needs {needed / 2**30:.1f} GiB; at most {MAX_ACTIVATION_BYTES >> 30} are allowed",
            "Ask for smaller batches, or make the model smaller.",
        )
    return needed


class _Meter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the memory of every new result while it is active."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0
        self._seen: dict[int, torch.UntypedStorage] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        for leaf in tree_leaves((args, kwargs)):
            self._note(leaf, counted=False)
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            self._note(leaf, counted=True)
        return result

    def _note(self, value: object, counted: bool) -> None:
        if not isinstance(value, Tensor):
            return
        storage = value.untyped_storage()
        if storage._cdata not in self._seen:
            self._seen[storage._cdata] = storage  # held, so that the number is not used again
            self.total += storage.nbytes() if counted else 0
