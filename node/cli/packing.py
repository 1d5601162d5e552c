"""`fedbounty bounty pack`: an owner's model and a sample of data become a package."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer

from ledger.errors import BadInput
from ledger.records import MergeRule
from node.cli.arguments import Json
from node.cli.output import console, pairs, print_json
from node.manifest import Manifest, describe, merge_parameters, render_manifest
from node.masking.groups import group_count
from node.package.export import MANIFEST_FILE, export_package
from node.package.owner_code import load_module
from node.package.survey import Survey, survey
from node.posting import QUORUM, read_package, with_target
from node.robustness import QuorumTooSmall, default_attackers, withstood, withstood_groups

RuleName = Literal["mean", "trimmed_mean", "median", "multi_krum", "geometric_median", "nearest_neighbours"]
"""The rules that need no radius; `centered_clip` is set in the manifest, once the updates' distances are known."""

Target = Annotated[
    float | None, typer.Option(help="End when the hold-out's accuracy (with --regression: the error) reaches this.")
]
Noise = Annotated[
    float | None, typer.Option(help="Private training: noise in units of the bound on an example's gradient.")
]
Masked = Annotated[
    int | None, typer.Option(min=3, max=15, help="Mask updates: only sums of groups of about so many can be seen.")
]
SealedFor = Annotated[
    list[str] | None,
    typer.Option(help="Encrypt updates for this key (`fedbounty key show`): the aggregator's, then auditors'."),
]


Replace = Annotated[
    bool, typer.Option("--replace", help="Write over the package in the folder, and your edits of its manifest.")
]


def pack(
    model: Annotated[str, typer.Argument(help="Your model: module:function that returns a torch.nn.Module.")],
    folder: Annotated[Path, typer.Argument(help="Where the package is written.")],
    holdout: Annotated[Path, typer.Option(help="Test data (.csv, .parquet, .npz); published, and never trained on.")],
    label: Annotated[str, typer.Option(help="The label's column.")] = "label",
    name: Annotated[str, typer.Option(help="What providers see.")] = "",
    description: Annotated[str, typer.Option(help="What providers read.")] = "",
    regression: Annotated[bool, typer.Option("--regression", help="Predict numbers instead of classes.")] = False,
    optimizer: Annotated[Literal["sgd", "adamw"], typer.Option(help="Local optimizer.")] = "sgd",
    learning_rate: Annotated[float, typer.Option(help="Local learning rate.")] = 0.05,
    batch_size: Annotated[int, typer.Option(help="Local batch size.")] = 32,
    local_epochs: Annotated[int, typer.Option(help="Passes over a provider's data a round.")] = 2,
    clip: Annotated[float, typer.Option(help="L2 bound on an update, in weights.")] = 10.0,
    bits: Annotated[int, typer.Option(help="Grid of an update: 2^-bits of a weight.")] = 16,
    minimum: Annotated[float | None, typer.Option(help="Least feature value; default: from the test data.")] = None,
    maximum: Annotated[float | None, typer.Option(help="Greatest feature value; default: from the test data.")] = None,
    rule: Annotated[RuleName, typer.Option(help="How updates are merged.")] = "trimmed_mean",
    attackers: Annotated[
        int | None, typer.Option(min=0, max=127, help="Faulty updates to withstand; default: a quarter of the quorum.")
    ] = None,
    min_updates: Annotated[int, typer.Option(min=1, max=256, help="Quorum that it will be posted with.")] = QUORUM,
    target: Target = None,
    noise: Noise = None,
    sample_rate: Annotated[float, typer.Option(help="With --noise: part of the examples in a step.")] = 0.04,
    steps: Annotated[int, typer.Option(help="With --noise: steps of training a round, for epochs.")] = 50,
    masked: Masked = None,
    sealed_for: SealedFor = None,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Export a model with torch.export and write a manifest, ready for `fedbounty bounty post`.

    The schema that providers' data must fit is read off the test data: its columns, its classes and its range of values
    (widened by half its width on both sides). Edit manifest.toml in the folder to change anything else.

    With --noise, providers train with differential privacy for each example, and --batch-size is the number that each
    step's sum is divided by: --sample-rate times what a provider has, as you guess it. `fedbounty privacy cost` shows
    what epsilon that gives.

    With --masked, the rule counts groups instead of updates, and pay is by groups: all of one are paid, or nobody.
    With --sealed-for, nobody else can read updates; disputes are settled by disclosing the keys of single updates.
    """
    check_folder(folder, replace)
    merge = chosen_merge(rule, attackers, min_updates, masked)
    seen = survey(holdout, label, regression)
    module = load_module(model, Path.cwd())
    fields: dict[str, Any] = {
        "name": name or model.partition(":")[0],
        "description": description,
        "task": _task(regression),
        "data": _schema(seen, minimum, maximum),
        "training": _training(optimizer, learning_rate, batch_size) | {"local_epochs": local_epochs, "clip_norm": 5.0},
        "update": {"codec": "int16", "bits": bits, "clip": clip, "rounding": "stochastic"},
        "merge": merge,
        "screening": {},
    } | ({} if noise is None else _private(noise, sample_rate, steps, _training(optimizer, learning_rate, batch_size)))
    fields = fields if masked is None else _masked(fields, masked)
    fields = _sealed(fields, sealed_for) if sealed_for else fields
    package = export_package(module, torch.zeros(2, *seen.input_shape), folder, fields)
    shutil.copyfile(holdout, folder / f"holdout{holdout.suffix}")
    manifest = read_package(folder) if target is None else with_target(read_package(folder), target)
    package.manifest_path.write_bytes(render_manifest(manifest))
    if as_json:
        print_json({"folder": str(folder), **describe(manifest)})
    else:
        pairs(f"package in {folder}", describe(manifest))
        console.print(f"{_promised(manifest, min_updates)}.", highlight=False)
        console.print(f"Next: fedbounty bounty post {folder} --pot 100 --min-updates {min_updates}")


def check_folder(folder: Path, replace: bool) -> None:
    """Raises: BadInput if a package is there, which may have been edited."""
    if (folder / MANIFEST_FILE).exists() and not replace:
        raise BadInput(f"There is a package in {folder}. Name another folder, or write over it with --replace.")


def _promised(manifest: Manifest, quorum: int) -> str:
    parameters = merge_parameters(manifest)
    return withstood_groups(parameters) if manifest.masking else withstood(parameters, quorum)


def merge_section(rule: RuleName, attackers: int | None, quorum: int) -> dict[str, Any]:
    """The manifest's section for a rule at a quorum.

    Raises: QuorumTooSmall where no number of attackers is given and the rule can't withstand one.
    """
    known = MergeRule[rule.upper()]
    if attackers is None:
        attackers = default_attackers(known, quorum)
    section: dict[str, Any] = {"rule": rule, "attackers": attackers, "learning_rate": 1.0}
    return section | {"trim": max(1, attackers)} if known == MergeRule.TRIMMED_MEAN else section


def chosen_merge(rule: RuleName, attackers: int | None, quorum: int, group: int | None) -> dict[str, Any]:
    """The manifest's section for a rule; where updates are masked it runs across groups.

    Raises: BadInput where the quorum is too small, or makes too few groups.
    """
    if group is None:
        return merge_section(rule, attackers, quorum)
    groups = group_count(quorum, group)
    try:
        return merge_section(rule, attackers, groups)
    except QuorumTooSmall as error:
        raise BadInput(
            f"{error} Where updates are masked it counts groups, and a quorum of {quorum} updates in groups of {group} "
            f"makes {groups}: raise --min-updates, or accept that none is withstood (--rule mean --attackers 0)."
        ) from error


def _training(optimizer: str, learning_rate: float, batch_size: int) -> dict[str, Any]:
    momentum = 0.9 if optimizer == "sgd" else 0.0
    return {"optimizer": optimizer, "learning_rate": learning_rate, "momentum": momentum, "batch_size": batch_size}


def _private(noise: float, sample_rate: float, steps: int, training: dict[str, Any]) -> dict[str, Any]:
    """The sections of private training: its steps stand for epochs, its bound for that on a batch's gradient."""
    section = {"noise_multiplier": noise, "sample_rate": sample_rate, "steps": steps, "clip_norm": 1.0, "delta": 1e-5}
    return {"privacy": {"mode": "dp", **section}, "training": training}


def _masked(fields: dict[str, Any], group: int) -> dict[str, Any]:
    """The sections with masks: two thirds of a group have to live, and nobody screens what nobody sees."""
    section = {"group": group, "threshold": max(group // 2 + 1, round(2 * group / 3))}
    rest = {name: value for name, value in fields.items() if name != "screening"}
    return rest | {"privacy": {**fields.get("privacy", {}), "mode": "masked"}, "masking": section}


def _sealed(fields: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    """The sections with encryption; noise stays.

    Raises: BadInput together with masks, which hide more.
    """
    if "masking" in fields:
        raise BadInput("Masked updates need no encryption: nobody can read them. Use --masked or --sealed-for.")
    section = {"aggregator": keys[0], "auditors": keys[1:]}
    return fields | {"privacy": {**fields.get("privacy", {}), "mode": "encrypted"}, "encryption": section}


def _task(regression: bool) -> dict[str, str]:
    if regression:
        return {"kind": "regression", "loss": "mse", "metric": "mse"}
    return {"kind": "classification", "loss": "cross_entropy", "metric": "accuracy"}


def _schema(seen: Survey, minimum: float | None, maximum: float | None) -> dict[str, Any]:
    margin = max((seen.maximum - seen.minimum) / 2, 1e-6)
    found: dict[str, Any] = {
        "label": seen.label,
        "columns": seen.columns,
        "classes": seen.classes,
        "minimum": seen.minimum - margin if minimum is None else minimum,
        "maximum": seen.maximum + margin if maximum is None else maximum,
        "min_examples": 1,
    }
    return {key: value for key, value in found.items() if value is not None}
