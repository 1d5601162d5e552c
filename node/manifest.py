"""The manifest: what an owner asks providers to train, as TOML of at most 64 KiB (docs/PROTOCOL.md, section 8).

A manifest is hostile until parsed: unknown or missing keys, control characters and absurd sizes are refused,
and all problems are reported at once.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ledger.commitments import CHUNK
from node.errors import BadManifest, shown

MAX_BYTES = 64 * 1024
MAX_PROGRAM_BYTES = 4 * 1024**3
MAX_HOLDOUT_BYTES = 4 * 1024**3
MAX_COORDINATES = 2**31
MAX_SQUARED_NORM = 2**64 - 1
STATE_EXTRA_BITS = 8
"""How many bits finer the state's grid is than the update's."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has control or invisible characters")
    return text


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]
TensorName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=200)]
Text = Annotated[str, Field(max_length=2000), AfterValidator(_printable)]
Cid = Annotated[str, Field(pattern=r"^Qm[1-9A-HJ-NP-Za-km-z]{44}$")]
Names = Annotated[tuple[Name, ...], BeforeValidator(_as_tuple)]
Dimension = Annotated[int, Field(ge=1, le=2**31)]
Shape = Annotated[tuple[Dimension, ...], Field(max_length=8), BeforeValidator(_as_tuple)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelSection(_Section):
    """The two programs (their sizes are known before any download) and what goes in and out of them."""

    train_cid: Cid
    train_bytes: int = Field(ge=1, le=MAX_PROGRAM_BYTES)
    eval_cid: Cid
    eval_bytes: int = Field(ge=1, le=MAX_PROGRAM_BYTES)
    input_shape: Shape
    """One example's shape, without the batch."""
    input_dtype: Literal["float32", "int64"]
    output_size: int = Field(ge=1, le=2**20)
    """Numbers that the model gives for one example: one a class, or one a regression target."""


class TensorSection(_Section):
    """A float32 tensor whose values are coordinates; the order of these sections is the coordinates' order."""

    name: TensorName
    shape: Shape
    kind: Literal["parameter", "buffer"]

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class TaskSection(_Section):
    kind: Literal["classification", "regression"]
    loss: Literal["cross_entropy", "mse", "l1", "huber"]
    metric: Literal["accuracy", "mse", "mae"]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        classifies = self.kind == "classification"
        if classifies != (self.loss == "cross_entropy"):
            raise ValueError(f"loss {self.loss} does not go with {self.kind}")
        if classifies != (self.metric == "accuracy"):
            raise ValueError(f"metric {self.metric} does not go with {self.kind}")
        return self


class DataSection(_Section):
    """The schema that a provider's data is checked against before any training."""

    label: Name
    """The label's column in a table; an NPZ file's arrays are `x` and `y`."""
    columns: Names | None = None
    """A table's feature columns in order; without it, all columns but the label's, in the file's order."""
    classes: Names | None = None
    """Class names by label index; only for classification."""
    minimum: float
    maximum: float
    min_examples: int = Field(ge=1, le=2**31)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.minimum >= self.maximum:
            raise ValueError("minimum must be less than maximum")
        for key, names in (("classes", self.classes), ("columns", self.columns)):
            if names is not None and len(set(names)) != len(names):
                raise ValueError(f"{key} has a name twice")
        if self.columns is not None and self.label in self.columns:
            raise ValueError("the label is among the columns")
        return self


class TrainingSection(_Section):
    """What every provider runs. Exactly one of `local_epochs` and `seconds` bounds it."""

    optimizer: Literal["sgd", "adamw"]
    learning_rate: float = Field(gt=0, le=100)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Only for sgd."""
    weight_decay: float = Field(default=0.0, ge=0, le=10)
    batch_size: int = Field(ge=1, le=2**20)
    local_epochs: int | None = Field(default=None, ge=1, le=10_000)
    seconds: float | None = Field(default=None, gt=0, le=7 * 86_400)
    """Time budget; an epoch that is running when it ends is cut short."""
    proximal_mu: float = Field(default=0.0, ge=0, le=1000)
    """FedProx: the weight of half the squared distance from the global model in the loss. 0: none."""
    clip_norm: float = Field(default=0.0, ge=0, le=1e6)
    """L2 bound on a batch's gradient. 0: none."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.local_epochs is None) == (self.seconds is None):
            raise ValueError("set exactly one of local_epochs and seconds")
        if self.optimizer == "adamw" and self.momentum:
            raise ValueError("momentum is for sgd only")
        return self


class UpdateSection(_Section):
    """The grid and the bound of every update."""

    codec: Literal["int16"]
    bits: int = Field(ge=1, le=24)
    """u: one grid unit is 2**-u of a weight."""
    clip: float = Field(gt=0, le=1e6)
    """L2 bound on an update, in weights."""
    rounding: Literal["nearest", "stochastic"]

    @property
    def squared_norm_bound(self) -> int:
        """The greatest squared L2 norm in squared grid units, rounded down; exact for `clip` as a binary64."""
        return int(Fraction(self.clip) ** 2 * 4**self.bits)


class MergeSection(_Section):
    rule: Literal["mean"]
    learning_rate: float = Field(gt=0, le=1000)
    """The server's step, on a grid of 2**-16."""

    @property
    def rate_units(self) -> int:
        """`eta` of docs/PROTOCOL.md section 7: the learning rate in units of 2**-16."""
        return round(self.learning_rate * 65536)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.rate_units < 1:
            raise ValueError("learning_rate is below one unit of 2**-16")
        return self


class HoldoutSection(_Section):
    """The owner's published test data, on which every merge is measured."""

    cid: Cid
    bytes: int = Field(ge=1, le=MAX_HOLDOUT_BYTES)
    format: Literal["csv", "parquet", "npz"]


class Manifest(_Section):
    format: int = Field(ge=1, le=1)
    name: Name
    description: Text
    model: ModelSection
    tensors: Annotated[tuple[TensorSection, ...], Field(min_length=1), BeforeValidator(_as_tuple)]
    task: TaskSection
    data: DataSection
    training: TrainingSection
    update: UpdateSection
    merge: MergeSection
    holdout: HoldoutSection | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        problems = [*_tensor_problems(self), *_data_problems(self), *_bound_problems(self)]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _tensor_problems(manifest: Manifest) -> list[str]:
    names = [tensor.name for tensor in manifest.tensors]
    problems = [f"tensor {name} is listed twice" for name in sorted({n for n in names if names.count(n) > 1})]
    if coordinates(manifest) > MAX_COORDINATES:
        problems.append(f"the tensors have {coordinates(manifest)} coordinates; at most {MAX_COORDINATES} are allowed")
    return problems


def _data_problems(manifest: Manifest) -> list[str]:
    problems = []
    classes, size = manifest.data.classes, manifest.model.output_size
    if manifest.task.kind == "regression" and classes is not None:
        problems.append("data.classes is for classification only")
    if manifest.task.kind == "classification" and (classes is None or len(classes) != size):
        problems.append(f"data.classes must name the model's {size} outputs")
    columns, features = manifest.data.columns, math.prod(manifest.model.input_shape)
    if columns is not None and len(columns) != features:
        problems.append(f"data.columns names {len(columns)} columns; the model takes {features} numbers")
    return problems


def _bound_problems(manifest: Manifest) -> list[str]:
    bound = squared_norm_bound(manifest)
    return [] if 1 <= bound <= MAX_SQUARED_NORM else ["(update.clip * 2**update.bits)**2 must be in 1 .. 2**64 - 1"]


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest that anyone may have written.

    Raises: BadManifest with every problem that was found.
    """
    if len(data) > MAX_BYTES:
        raise BadManifest([f"it has {len(data)} bytes; at most {MAX_BYTES} are allowed"])
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadManifest([f"it is not UTF-8 (byte {error.start})"]) from error
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise BadManifest([f"it is not TOML: {shown(error)}"]) from error
    return manifest_from(document)


def manifest_from(document: Mapping[str, Any]) -> Manifest:
    """Check plain data, as read from TOML, and make it a manifest.

    Raises: BadManifest with every problem that was found.
    """
    try:
        return Manifest.model_validate(dict(document))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        raise BadManifest([_problem(d["loc"], d["msg"]) for d in details]) from error


def _problem(location: tuple[int | str, ...], message: str) -> str:
    where = ".".join(shown(part, 60) for part in location) or "the manifest"
    sentence = message.removeprefix("Value error, ")
    return f"{shown(where)}: {shown(sentence[0].lower() + sentence[1:], 300)}"


def render_manifest(manifest: Manifest) -> bytes:
    """Write the manifest; the same manifest gives the same bytes, and `parse_manifest` gives it back.

    Raises: BadManifest if the file would be too large.
    """
    content = manifest.model_dump(exclude_none=True)
    lines = [f"{key} = {_toml(value)}" for key, value in content.items() if not isinstance(value, dict | tuple)]
    for key, value in content.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *_assignments(value)]
        elif isinstance(value, tuple):
            for entry in value:
                lines += ["", f"[[{key}]]", *_assignments(entry)]
    data = ("\n".join(lines) + "\n").encode()
    if len(data) > MAX_BYTES:
        raise BadManifest([f"it has {len(data)} bytes; at most {MAX_BYTES} are allowed"])
    return data


def _assignments(section: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in section.items()]


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def coordinates(manifest: Manifest) -> int:
    """How many numbers the model's float tensors hold."""
    return sum(tensor.size for tensor in manifest.tensors)


def chunks(manifest: Manifest) -> int:
    """How many whole chunks of 128 coordinates an update has, padding included."""
    return -(-coordinates(manifest) // CHUNK)


def squared_norm_bound(manifest: Manifest) -> int:
    """The greatest squared L2 norm of an update, in squared grid units, rounded down."""
    return manifest.update.squared_norm_bound


def describe(manifest: Manifest) -> dict[str, str]:
    """What a person should see before joining, by label."""
    training, model = manifest.training, manifest.model
    length = f"{training.seconds:g} s" if training.seconds is not None else f"{training.local_epochs} local epochs"
    megabytes = (model.train_bytes + model.eval_bytes) / 1e6
    return {
        "name": manifest.name,
        "description": manifest.description,
        "task": f"{manifest.task.kind}, {manifest.task.loss}, measured by {manifest.task.metric}",
        "parameters": f"{coordinates(manifest):,} in {len(manifest.tensors)} tensors",
        "programs": f"{megabytes:.2f} MB (train {model.train_cid}, eval {model.eval_cid})",
        "input": f"{model.input_dtype} {list(model.input_shape)} "
        f"in {manifest.data.minimum:g} .. {manifest.data.maximum:g}",
        "labels": _described_labels(manifest),
        "examples": f"at least {manifest.data.min_examples}",
        "training": f"{training.optimizer}, learning rate {training.learning_rate:g}, "
        f"batches of {training.batch_size}, {length}",
        "update": f"{manifest.update.codec}, grid 2^-{manifest.update.bits}, L2 norm at most {manifest.update.clip:g}, "
        f"{chunks(manifest) * CHUNK * 2 / 1e6:.2f} MB",
        "merge": f"{manifest.merge.rule}, server step {manifest.merge.learning_rate:g}",
        "holdout": "published" if manifest.holdout else "none published",
    }


def _described_labels(manifest: Manifest) -> str:
    classes = manifest.data.classes
    if classes is None:
        return f"{manifest.data.label}: {manifest.model.output_size} numbers"
    return f"{manifest.data.label}: " + shown(", ".join(classes))
