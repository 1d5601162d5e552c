"""The manifest: what an owner asks providers to train, as TOML of at most 64 KiB (docs/PROTOCOL.md, section 8).

A manifest is hostile until parsed: unknown or missing keys, control characters and absurd sizes are refused,
and all problems are reported at once.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from ledger.commitments import CHUNK
from ledger.merge_parameters import MergeParameters
from ledger.records import MergeRule, PrivacyMode
from node.encryption_section import EncryptionSection
from node.errors import BadManifest, shown
from node.manifest_sections import (
    DataSection,
    HoldoutSection,
    MergeSection,
    ModelSection,
    Name,
    ScreeningSection,
    Section,
    TargetSection,
    TaskSection,
    TensorSection,
    Text,
    TrainingSection,
    UpdateSection,
    as_tuple,
)
from node.masking_section import MaskingSection, masking_problems
from node.privacy_section import OPEN, PrivacySection

MAX_BYTES = 64 * 1024
MAX_COORDINATES = 2**31
MAX_SQUARED_NORM = 2**64 - 1
MAX_RADIUS = 2**32 - 1
GREATEST_COORDINATE = 32767
"""An update's coordinate in grid units; docs/PROTOCOL.md, section 4."""
NO_TARGET = "none: all rounds are played"
STATE_EXTRA_BITS = 8
"""How many bits finer the state's grid is than the update's."""

_DEEP_KEY = re.compile(rb"(?:[\w\"'-]{1,50}[ \t]*\.[ \t]*){64}")
"""The TOML parser takes seconds for a key of thousands of parts; ours have two."""


class Manifest(Section):
    format: int = Field(ge=1, le=1)
    name: Name
    description: Text
    model: ModelSection
    tensors: Annotated[tuple[TensorSection, ...], Field(min_length=1), BeforeValidator(as_tuple)]
    task: TaskSection
    data: DataSection
    training: TrainingSection
    update: UpdateSection
    merge: MergeSection
    screening: ScreeningSection | None = None
    holdout: HoldoutSection | None = None
    target: TargetSection | None = None
    privacy: PrivacySection | None = None
    encryption: EncryptionSection | None = None
    masking: MaskingSection | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        problems = [*_tensor_problems(self), *_data_problems(self), *_training_problems(self), *_bound_problems(self)]
        problems += self.screening.momentum_problems(self.training.local_momentum) if self.screening else []
        if self.screening and self.screening.harm is not None and self.holdout is None:
            problems.append("screening.harm needs a hold-out")
        if self.target:
            problems += self.target.problems(self.task.metric, has_holdout=self.holdout is not None)
        if (privacy(self).mode == "encrypted") != (self.encryption is not None):
            problems.append('the section encryption goes with privacy.mode = "encrypted", and only with it')
        mode, honest = privacy(self).mode, privacy(self).honest or 0
        problems += masking_problems(mode, honest, self.masking, self.merge.rule, self.screening is not None)
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


def _training_problems(manifest: Manifest) -> list[str]:
    """Plain training is bounded by epochs or seconds; DP-SGD by its steps."""
    training = manifest.training
    if not privacy(manifest).hides_examples:
        endless = training.local_epochs is None and training.seconds is None
        return ["training: set exactly one of local_epochs and seconds"] if endless else []
    problems = []
    if training.local_epochs is not None or training.seconds is not None:
        problems.append("training: leave local_epochs and seconds out; privacy.steps bounds the training")
    if training.clip_norm:
        problems.append("training.clip_norm: leave it out; privacy.clip_norm bounds each example's gradient")
    return problems


def _bound_problems(manifest: Manifest) -> list[str]:
    problems = []
    widest = privacy(manifest).widest_coordinate(manifest.update.squared_norm_bound)
    if widest > GREATEST_COORDINATE:
        problems.append(
            f"privacy.update_noise: a coordinate could reach {widest} grid units with its noise, more than "
            f"{GREATEST_COORDINATE}; lower update.bits, update.clip or the noise"
        )
    if not 1 <= squared_norm_bound(manifest) <= MAX_SQUARED_NORM:
        problems.append("(update.clip * 2**update.bits)**2, with room for noise, must be in 1 .. 2**64 - 1")
    radius = manifest.merge.radius_units(manifest.update.bits)
    if manifest.merge.rule == "centered_clip" and not 1 <= radius <= MAX_RADIUS:
        problems.append("merge.radius * 2**update.bits must be in 1 .. 2**32 - 1")
    return problems


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest that anyone may have written.

    Raises: BadManifest with every problem that was found.
    """
    if len(data) > MAX_BYTES:
        raise BadManifest([f"it has {len(data)} bytes; at most {MAX_BYTES} are allowed"])
    if _DEEP_KEY.search(data):
        raise BadManifest(["it has a key that is nested far too deep"])
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
    if isinstance(value, bool):
        return str(value).lower()
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
    """The greatest squared L2 norm of an update, its noise included, in squared grid units."""
    return privacy(manifest).squared_bound(manifest.update.squared_norm_bound, coordinates(manifest))


def privacy(manifest: Manifest) -> PrivacySection:
    """Who may read updates, and what noise they carry; open and none where the manifest says nothing."""
    return manifest.privacy or OPEN


def privacy_mode(manifest: Manifest) -> PrivacyMode:
    """The mode as the chain has it."""
    return PrivacyMode[privacy(manifest).mode.upper()]


def merge_parameters(manifest: Manifest) -> MergeParameters:
    """The merge rule's numbers, as the chain holds them."""
    merge = manifest.merge
    return MergeParameters(
        rule=MergeRule[merge.rule.upper()],
        eta=merge.rate_units,
        beta=merge.momentum_units,
        trim=merge.trim or 0,
        bucket=merge.bucket or 0,
        iterations=merge.iterations or 0,
        tau=merge.radius_units(manifest.update.bits),
        attackers=merge.attackers,
    )


def describe(manifest: Manifest) -> dict[str, str]:
    """What a person should see before joining, by label."""
    training, model = manifest.training, manifest.model
    length = _described_length(manifest)
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
        f"batches of {training.batch_size}, {length}"
        + (f", local momentum {training.local_momentum:g}" if training.local_momentum else ""),
        "update": f"{manifest.update.codec}, grid 2^-{manifest.update.bits}, L2 norm at most {manifest.update.clip:g}, "
        f"{chunks(manifest) * CHUNK * 2 / 1e6:.2f} MB",
        "merge": _described_merge(manifest),
        "screening": _described_screening(manifest),
        "holdout": "published" if manifest.holdout else "none published",
        "target": manifest.target.description(manifest.task.metric) if manifest.target else NO_TARGET,
        "privacy": _described_privacy(manifest),
    }


def _described_privacy(manifest: Manifest) -> str:
    sections = [one for one in (manifest.encryption, manifest.masking) if one is not None]
    return "; ".join([privacy(manifest).description, *(one.description for one in sections)])


def _described_length(manifest: Manifest) -> str:
    training, steps = manifest.training, privacy(manifest).steps
    if steps is not None:
        return f"{steps} steps"
    return f"{training.seconds:g} s" if training.seconds is not None else f"{training.local_epochs} local epochs"


def _described_merge(manifest: Manifest) -> str:
    merge = manifest.merge
    extras = [
        f"{label} {value:g}"
        for label, value in (
            ("attackers to withstand", merge.attackers),
            ("server momentum", merge.momentum),
            ("dropping at each end", merge.trim),
            ("updates a bucket", merge.bucket),
            ("iterations", merge.iterations),
            ("clipping radius", merge.radius),
        )
        if value is not None
    ]
    return ", ".join([merge.rule, f"server step {merge.learning_rate:g}", *extras])


def _described_screening(manifest: Manifest) -> str:
    screening = manifest.screening
    if screening is None:
        return "none: copies and empty updates are paid too"
    harm = "" if screening.harm is None else f", harm on the hold-out over {screening.harm:g}"
    own = ", but for one's own update before" if screening.own_momentum else ""
    return f"copies from a cosine of {screening.copy_cosine:g}{own}, norms up to {screening.least_norm:g}{harm}"


def _described_labels(manifest: Manifest) -> str:
    classes = manifest.data.classes
    if classes is None:
        return f"{manifest.data.label}: {manifest.model.output_size} numbers"
    return f"{manifest.data.label}: " + shown(", ".join(classes))
