"""Data sets that are the provider's own code: `module:function` gives a torch data set or any sequence of pairs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from node.data.schema import MAX_DATA_BYTES, Raw
from node.errors import BadData, shown
from node.manifest import Manifest


def read_code(spec: str, manifest: Manifest) -> Raw:
    """Call the provider's function, without arguments, and read every (features, label) pair of what it gives.

    The working directory can be imported from. Integer labels are class indices, texts are class names.
    Raises: BadData if the module, the function or the data set fails.
    """
    return _raw(spec, read_pairs(spec), manifest)


def read_pairs(spec: str) -> list[Any]:
    """What the provider's function gives, item by item.

    Raises: BadData if it fails.
    """
    module_name, _, function_name = spec.partition(":")
    try:
        with _working_directory():
            dataset = getattr(importlib.import_module(module_name), function_name)()
            return [dataset[index] for index in range(len(dataset))]
    except Exception as error:
        raise BadData(spec, [f"it failed with {type(error).__name__}: {shown(error)}"]) from error


@contextmanager
def _working_directory() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _raw(spec: str, pairs: list[Any], manifest: Manifest) -> Raw:
    features, labels, problems = [], [], []
    shape = manifest.model.input_shape
    if len(pairs) * 8 * int(np.prod(shape, dtype=np.int64)) > MAX_DATA_BYTES:
        raise BadData(spec, [f"{len(pairs)} examples take more than {MAX_DATA_BYTES} bytes"])
    for index, pair in enumerate(pairs):
        problem = _pair_problem(pair, shape)
        if problem:
            problems.append(f"{spec}[{index}]: {problem}")
            continue
        features.append(as_array(pair[0]).reshape(-1))
        labels.append(as_array(pair[1]) if not isinstance(pair[1], str) else pair[1])
    if problems:
        raise BadData(spec, problems)
    features_NF = np.stack(features) if features else np.empty((0, int(np.prod(shape))))
    return Raw(
        spec,
        features_NF,
        np.array(labels, dtype=object) if any(isinstance(label, str) for label in labels) else np.array(labels),
        lambda row, feature: f"{spec}[{row}], number {feature}",
        lambda row: f"{spec}[{row}]",
    )


def as_array(value: Any) -> np.ndarray[Any, Any]:
    """A number, a tensor or an array as an array."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _pair_problem(pair: Any, shape: tuple[int, ...]) -> str:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        return "not a (features, label) pair"
    features = as_array(pair[0])
    if features.dtype.kind not in "biuf":
        return f"the features are {features.dtype}, not numbers"
    if features.shape != shape:
        return f"the features have the shape {list(features.shape)}; the model takes {list(shape)}"
    return ""
