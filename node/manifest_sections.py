"""The manifest's sections (docs/PROTOCOL.md, section 8): frozen values that are checked when they are made."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MAX_PROGRAM_BYTES = 4 * 1024**3
MAX_HOLDOUT_BYTES = 4 * 1024**3
MOST_SCREENED_MOMENTUM = 0.9
"""Local momentum up to which different providers' honest updates were measured to stay unlike (docs/benchmarks)."""
LEAST_MOMENTUM_COSINE = 0.99


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has control or invisible characters")
    return text


def as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]
TensorName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$", max_length=200)]
Text = Annotated[str, Field(max_length=2000), AfterValidator(_printable)]
Cid = Annotated[str, Field(pattern=r"^Qm[1-9A-HJ-NP-Za-km-z]{44}$")]
Names = Annotated[tuple[Name, ...], BeforeValidator(as_tuple)]
Dimension = Annotated[int, Field(ge=1, le=2**31)]
Shape = Annotated[tuple[Dimension, ...], Field(max_length=8), BeforeValidator(as_tuple)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelSection(Section):
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


class TensorSection(Section):
    """A float32 tensor whose values are coordinates; the order of these sections is the coordinates' order."""

    name: TensorName
    shape: Shape
    kind: Literal["parameter", "buffer"]

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class TaskSection(Section):
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


class DataSection(Section):
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


class TrainingSection(Section):
    """What every provider runs. `local_epochs`, `seconds` or the steps of `[privacy]` bound it."""

    optimizer: Literal["sgd", "adamw"]
    learning_rate: float = Field(gt=0, le=100)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Only for sgd."""
    weight_decay: float = Field(default=0.0, ge=0, le=10)
    local_momentum: float = Field(default=0.0, ge=0, lt=1)
    """The weight of a provider's earlier updates in what it sends; kept from round to round. 0: none."""
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
        if self.local_epochs is not None and self.seconds is not None:
            raise ValueError("set exactly one of local_epochs and seconds")
        if self.optimizer == "adamw" and self.momentum:
            raise ValueError("momentum is for sgd only")
        return self


class UpdateSection(Section):
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


_RULE_KEYS = {
    "mean": (),
    "trimmed_mean": ("trim",),
    "median": (),
    "centered_clip": ("bucket", "iterations", "radius"),
    "multi_krum": (),
    "geometric_median": (),
    "nearest_neighbours": (),
}
"""What each rule needs besides the learning rate and the number of attackers."""


class MergeSection(Section):
    """How accepted updates become a new state; docs/PROTOCOL.md, section 7."""

    rule: Literal[
        "mean", "trimmed_mean", "median", "centered_clip", "multi_krum", "geometric_median", "nearest_neighbours"
    ]
    attackers: int = Field(ge=0, le=127)
    """How many faulty updates of a quorum the rule is to withstand."""
    learning_rate: float = Field(gt=0, le=1000)
    """The server's step, on a grid of 2**-16."""
    momentum: float | None = Field(default=None, gt=0, lt=1)
    """The weight of the previous step in a new one, on a grid of 2**-16. None: no momentum."""
    trim: int | None = Field(default=None, ge=1, le=127)
    """Values that are dropped at each end of a coordinate."""
    bucket: int | None = Field(default=None, ge=1, le=16)
    """Updates that are averaged before they are clipped."""
    iterations: int | None = Field(default=None, ge=1, le=4)
    radius: float | None = Field(default=None, gt=0, le=1e6)
    """L2 distance, in weights, beyond which a bucket is clipped."""

    @property
    def rate_units(self) -> int:
        """`eta` of docs/PROTOCOL.md section 7: the learning rate in units of 2**-16."""
        return round(self.learning_rate * 65536)

    @property
    def momentum_units(self) -> int:
        """`beta`: the momentum in units of 2**-16."""
        return round((self.momentum or 0.0) * 65536)

    def radius_units(self, bits: int) -> int:
        """`tau`: the radius in grid units of 2**-bits, rounded down; exact for `radius` as a binary64."""
        return int(Fraction(self.radius or 0) * 2**bits)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.rate_units < 1:
            raise ValueError("learning_rate is below one unit of 2**-16")
        if self.momentum is not None and not 1 <= self.momentum_units <= 65535:
            raise ValueError("momentum rounds to 0 or 1 in units of 2**-16")
        wanted = _RULE_KEYS[self.rule]
        for key in ("trim", "bucket", "iterations", "radius"):
            given = getattr(self, key) is not None
            if given and key not in wanted:
                raise ValueError(f"{key} does not go with the rule {self.rule}")
            if not given and key in wanted:
                raise ValueError(f"the rule {self.rule} needs {key}")
        self._check_attackers()
        return self

    def _check_attackers(self) -> None:
        """What no quorum mends."""
        if self.rule == "mean" and self.attackers:
            raise ValueError("mean withstands no faulty update: set attackers to 0, or choose another rule")
        if self.rule in ("multi_krum", "nearest_neighbours") and not self.attackers:
            raise ValueError(f"{self.rule} needs attackers of at least 1")
        if self.trim is not None and self.attackers > self.trim:
            raise ValueError(
                f"a trim of {self.trim} withstands no {self.attackers} attackers: set trim to {self.attackers}"
            )


class ScreeningSection(Section):
    """What an update must not be; docs/PROTOCOL.md, section 7."""

    copy_cosine: float = Field(default=0.99, ge=0.5, le=1)
    """Two updates whose cosine is at least this are alike, on a grid of 2**-16: the later commit is a copy."""
    own_momentum: bool = False
    """Whether an update may be alike its own provider's of the merge before: local momentum makes it so."""
    least_norm: float = Field(default=0.0, ge=0, le=1e6)
    """An L2 norm, in weights, that an update has to exceed."""
    harm: float | None = Field(default=None, gt=0, le=1e6)
    """An update is left out if the merge has a loss on the hold-out that is lower by more than this without it."""

    @property
    def copy_units(self) -> int:
        """`copy_cosine` in units of 2**-16."""
        return round(self.copy_cosine * 65536)

    def momentum_problems(self, local_momentum: float) -> list[str]:
        """Momentum makes a provider's updates alike its own before and, if there is much of it, alike others'."""
        if not local_momentum:
            return ["screening.own_momentum goes with training.local_momentum"] if self.own_momentum else []
        problems = []
        if not self.own_momentum:
            problems.append(
                "training.local_momentum makes honest updates alike their provider's own of the round before: "
                "set screening.own_momentum = true"
            )
        if local_momentum > MOST_SCREENED_MOMENTUM or self.copy_cosine < LEAST_MOMENTUM_COSINE:
            problems.append(
                f"training.local_momentum makes honest updates alike each other: beside screening it may be "
                f"{MOST_SCREENED_MOMENTUM} at most, with a copy_cosine of at least {LEAST_MOMENTUM_COSINE}"
            )
        return problems

    def least_squared_norm(self, bits: int) -> int:
        """The greatest squared norm that is negligible, in squared grid units of 2**-bits."""
        return int(Fraction(self.least_norm) ** 2 * 4**bits)


class TargetSection(Section):
    """What the hold-out's metric has to reach for the bounty to end before its last round."""

    value: float = Field(gt=0, lt=4294)
    """Accuracy: at least this, 1 at most; mse and mae: at most this. On a grid of 10**-6."""

    def problems(self, metric: str, *, has_holdout: bool) -> list[str]:
        found = [] if has_holdout else ["target needs a hold-out, on which it is measured"]
        if metric == "accuracy" and not 1e-6 <= self.value <= 1:
            found.append("target.value is an accuracy, in 0.000001 .. 1")
        return found

    def description(self, metric: str) -> str:
        bound = "at least" if metric == "accuracy" else "at most"
        return f"the bounty ends when {metric} is {bound} {self.value:g}"


class HoldoutSection(Section):
    """The owner's published test data, on which every merge is measured."""

    cid: Cid
    bytes: int = Field(ge=1, le=MAX_HOLDOUT_BYTES)
    format: Literal["csv", "parquet", "npz"]
