"""Posting a bounty: a package folder becomes content on IPFS and terms for the chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from ledger.cid import Digest, to_cid
from ledger.commitments import zero_state_root
from ledger.content import ContentStore
from ledger.errors import BadInput
from ledger.records import Address, RewardRule, Terms, Wei
from ledger.unixfs import digest_of_file
from node import manifest as manifests
from node.made_merges import MEASURABLE
from node.manifest import Manifest, manifest_from, parse_manifest, render_manifest
from node.masking.groups import LEAST_GROUP, MOST_GROUP, group_count, scaled_threshold
from node.masking_section import MaskingSection
from node.package.export import EVAL_FILE, MANIFEST_FILE, TRAIN_FILE
from node.package.loader import load_package
from node.privacy.independence import check_independence
from node.robustness import refusals
from node.targets import target_units

QUORUM = 3
"""Of a round, unless the owner says otherwise: the smallest in which a rule can withstand a faulty update."""
MOST_TOKENS = 2**96 - 1
MOST_SECONDS = 2**24 - 1
"""Of all commit windows of a round together: 194 days."""
MOST_ROUNDS = 512
MOST_CLIPPED = 512
"""Updates of a round times iterations of `centered_clip`: what one transaction can prove to be wrong."""
DEMANDS_IN_A_BOND = 1000
"""The default fee of a demanded chunk is this part of the bond."""


@dataclass(frozen=True)
class Offer:
    """What an owner decides besides the model; units and meanings as in `Terms`."""

    token: Address
    pot: Wei
    aggregator: Address
    bond: Wei
    stake: Wei
    rounds: int
    min_updates: int
    max_updates: int
    commit_seconds: int
    reveal_seconds: int
    merge_seconds: int
    open_merge_seconds: int
    challenge_seconds: int
    demand_fee: Wei
    answer_seconds: int
    patience: int
    reward_rule: RewardRule
    max_weight: int


class IncompletePackage(BadInput):
    def __init__(self, folder: Path, missing: str) -> None:
        self.folder, self.missing = folder, missing
        super().__init__(f"{folder} has no {missing}. `fedbounty bounty pack` writes a whole package.")


class BadOffer(BadInput):
    """`problems` holds everything that the contract would refuse."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"The bounty can't be posted like this: {'; '.join(problems)}.")


def default_fee(bond: Wei) -> Wei:
    """What a demanded chunk costs, unless the owner says otherwise."""
    return Wei(max(1, bond // DEMANDS_IN_A_BOND))


def check_offer(offer: Offer, manifest: Manifest) -> None:
    """Refuse what the contract would refuse, before anything is sent.

    Raises: BadOffer naming every problem.
    """
    rules = [
        (offer.pot > 0, "the pot is 0"),
        (offer.stake > 0, "the stake is 0"),
        (offer.bond > 0, "the bond is 0"),
        (offer.demand_fee > 0, "the fee of a demanded chunk is 0"),
        (offer.rounds <= MOST_ROUNDS, f"{offer.rounds} rounds are more than {MOST_ROUNDS}"),
        (offer.pot + offer.bond <= MOST_TOKENS, "pot and bond together exceed 2^96 - 1"),
        (
            offer.min_updates <= offer.max_updates,
            f"the quorum of {offer.min_updates} updates is more than the {offer.max_updates} that a round takes",
        ),
        (
            offer.patience * offer.commit_seconds <= MOST_SECONDS,
            f"{offer.patience} commit windows of {offer.commit_seconds} s are longer than {MOST_SECONDS} s together",
        ),
    ]
    parameters = manifests.merge_parameters(manifest)
    problems = [problem for holds, problem in rules if not holds]
    problems += _clipping_problems(offer, parameters.iterations)
    problems += [*parameters.problems(offer.min_updates), *refusals(parameters, merged_rows(offer, manifest))]
    problems += [*_masking_problems(offer, manifest), *_quorum_problems(offer, manifest)]
    if offer.reward_rule == RewardRule.CONTRIBUTION and parameters.rule not in MEASURABLE:
        rules_named = " or ".join(rule.name.lower() for rule in MEASURABLE)
        problems.append(f"contributions can't be measured under {parameters.rule.name.lower()}: take {rules_named}")
    if problems:
        raise BadOffer(problems)


def merged_rows(offer: Offer, manifest: Manifest) -> int:
    """What the merge rule has to count at the quorum: updates, or the sums of groups of a masked bounty."""
    if manifest.masking is None or offer.min_updates < LEAST_GROUP:
        return offer.min_updates
    return group_count(offer.min_updates, manifest.masking.group)


def _clipping_problems(offer: Offer, iterations: int) -> list[str]:
    if offer.max_updates * iterations <= MOST_CLIPPED:
        return []
    return [
        f"with {iterations} iterations of clipping a round may take {MOST_CLIPPED // iterations} updates, so that one "
        f"transaction can prove a wrong distance: lower --max-updates"
    ]


def _masking_problems(offer: Offer, manifest: Manifest) -> list[str]:
    if manifest.masking is None:
        return []
    problems = []
    if offer.min_updates < LEAST_GROUP:
        problems.append(f"masked updates need a quorum of {LEAST_GROUP} or more, so that a sum hides them")
    if offer.reward_rule == RewardRule.CONTRIBUTION:
        problems.append("nobody can measure the contribution of a masked update; pay equal or by stake")
    return problems


def _quorum_problems(offer: Offer, manifest: Manifest) -> list[str]:
    """Noise that is counted on must come from providers that a quorum has, or that a masked sum has at least."""
    honest = manifests.privacy(manifest).honest or 0
    sure = least_threshold(manifest.masking, offer.min_updates) if manifest.masking else offer.min_updates
    if honest <= sure:
        return []
    return [f"privacy.honest counts on the noise of {honest} providers, but a sum may have only {sure}"]


def least_threshold(section: MaskingSection, members: int) -> int:
    """The least threshold of a group in a round of so many members or more."""
    least = max(LEAST_GROUP, members)
    sizes = {number // group_count(number, section.group) for number in range(least, least + 4 * MOST_GROUP)}
    return min(scaled_threshold(section.threshold, section.group, size) for size in sizes)


def read_package(folder: Path) -> Manifest:
    """Read a package folder and check its programs as providers will; the CIDs are those of the files.

    Raises: IncompletePackage, BadManifest, BadPackage.
    """
    for name in (MANIFEST_FILE, TRAIN_FILE, EVAL_FILE):
        if not (folder / name).is_file():
            raise IncompletePackage(folder, name)
    manifest = parse_manifest((folder / MANIFEST_FILE).read_bytes())
    document = manifest.model_dump(exclude_none=True)
    document["model"] |= {
        "train_cid": to_cid(digest_of_file(folder / TRAIN_FILE)),
        "train_bytes": (folder / TRAIN_FILE).stat().st_size,
        "eval_cid": to_cid(digest_of_file(folder / EVAL_FILE)),
        "eval_bytes": (folder / EVAL_FILE).stat().st_size,
    }
    holdout = holdout_file(folder)
    if holdout is not None:
        document["holdout"] = {
            "cid": to_cid(digest_of_file(holdout)),
            "bytes": holdout.stat().st_size,
            "format": holdout.suffix[1:],
        }
    manifest = manifest_from(document)
    train, _ = load_package(folder / TRAIN_FILE, folder / EVAL_FILE, manifest)
    if manifests.privacy(manifest).hides_examples:
        check_independence(train, manifest)
    return manifest


def with_target(manifest: Manifest, value: float) -> Manifest:
    """The manifest of a bounty that ends when the hold-out's metric reaches a value.

    Raises: BadManifest if it can't be reached or there is no hold-out.
    """
    return manifest_from({**manifest.model_dump(exclude_none=True), "target": {"value": value}})


def holdout_file(folder: Path) -> Path | None:
    """The package's test data, `holdout.npz`, `.csv` or `.parquet`; None without one."""
    places = (folder / f"holdout.{suffix}" for suffix in ("npz", "csv", "parquet"))
    return next((place for place in places if place.is_file()), None)


def publish_package(store: ContentStore, folder: Path, manifest: Manifest) -> Digest:
    """Pin the package on IPFS; the digest of its manifest stands for all of it."""
    store.add(folder / TRAIN_FILE)
    store.add(folder / EVAL_FILE)
    holdout = holdout_file(folder)
    if holdout is not None:
        store.add(holdout)
    return store.add(render_manifest(manifest))


def terms_for(offer: Offer, manifest: Manifest, digest: Digest) -> Terms:
    """The terms to post: the offer, and what follows from the manifest. Half the stake is at risk in each round."""
    given = {field.name: getattr(offer, field.name) for field in fields(Offer)}
    chunks, parameters = manifests.chunks(manifest), manifests.merge_parameters(manifest)
    return Terms(
        **given,
        forfeit=Wei(max(1, offer.stake // 2)),
        squared_norm_bound=manifests.squared_norm_bound(manifest),
        chunks=chunks,
        manifest=digest,
        state_root=zero_state_root(chunks, parameters.planes),
        merge_rule=parameters.rule,
        merge_parameters=parameters.pack(),
        privacy=manifests.privacy_mode(manifest),
        target=target_units(manifest),
    )
