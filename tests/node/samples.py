"""A small manifest, package and offer that the node's tests share."""

from __future__ import annotations

import copy
import io
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ledger.records import RewardRule, Wei
from node.manifest import Manifest, manifest_from
from node.package.export import Package, export_package
from node.posting import Offer
from tests import builders as make

FIELDS: dict[str, Any] = {
    "name": "sample",
    "description": "A model for tests.",
    "task": {"kind": "classification", "loss": "cross_entropy", "metric": "accuracy"},
    "data": {"label": "label", "classes": ["0", "1", "2"], "minimum": -8.0, "maximum": 8.0, "min_examples": 1},
    "training": {"optimizer": "sgd", "learning_rate": 0.125, "batch_size": 4, "local_epochs": 1},
    "update": {"codec": "int16", "bits": 16, "clip": 4.0, "rounding": "nearest"},
    "merge": {"rule": "mean", "attackers": 0, "learning_rate": 1.0},
}

DOCUMENT: dict[str, Any] = {
    "format": 1,
    **FIELDS,
    "model": {
        "train_cid": "Qm" + "a" * 44,
        "train_bytes": 1000,
        "eval_cid": "Qm" + "b" * 44,
        "eval_bytes": 2000,
        "input_shape": [4],
        "input_dtype": "float32",
        "output_size": 3,
    },
    "tensors": [
        {"name": "layer.weight", "shape": [3, 4], "kind": "parameter"},
        {"name": "scale", "shape": [], "kind": "buffer"},
    ],
}


def document(**changes: Any) -> dict[str, Any]:
    """The sample manifest as plain data; `update__bits=14` sets one key, None takes it out."""
    made = copy.deepcopy(DOCUMENT)
    for path, value in changes.items():
        *sections, key = path.split("__")
        section = made
        for name in sections:
            section = section[name]
        if value is None:
            section.pop(key, None)
        else:
            section[key] = value
    return made


def manifest(**changes: Any) -> Manifest:
    return manifest_from(document(**changes))


def offer(**changes: Any) -> Offer:
    """Three rounds of two updates, in equal parts."""
    base = Offer(
        token=make.terms().token,
        pot=Wei(900),
        aggregator=make.AGGREGATOR,
        bond=Wei(50),
        stake=Wei(100),
        rounds=3,
        min_updates=2,
        max_updates=2,
        commit_seconds=10,
        reveal_seconds=10,
        merge_seconds=10,
        open_merge_seconds=10,
        challenge_seconds=10,
        demand_fee=Wei(1),
        answer_seconds=10,
        patience=3,
        reward_rule=RewardRule.EQUAL,
        max_weight=1,
    )
    return replace(base, **changes)


class Net(nn.Module):
    """Has what is awkward: batch norm, a counter, dropout, a constant that is not saved."""

    factor: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.25)
        self.second = nn.Linear(8, 3)
        self.register_buffer("factor", torch.tensor(0.5), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(self.drop(torch.relu(self.norm(self.first(x * self.factor)))))
        return result


@dataclass(frozen=True)
class Exported:
    train: bytes
    eval: bytes
    manifest: Manifest


def exported(module: nn.Module, example: Tensor, folder: Path, **sections: Mapping[str, Any]) -> Package:
    """Package a module with the sample's fields, `sections` changed."""
    fields = {
        key: {**value, **sections.get(key, {})} if isinstance(value, dict) else value for key, value in FIELDS.items()
    }
    return export_package(module, example, folder, fields)


@cache
def net() -> Exported:
    """The package of `Net`, made once."""
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(1)
        package = exported(Net(), torch.zeros(2, 4), Path(folder))
        return Exported(package.train_path.read_bytes(), package.eval_path.read_bytes(), package.manifest)


def members(archive: bytes) -> dict[str, bytes]:
    """The members of an archive, without its root folder."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name.partition("/")[2]: opened.read(name) for name in opened.namelist()}


def packed(contents: Mapping[str, bytes], root: str = "train/", compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(root + name, content)
    return buffer.getvalue()
