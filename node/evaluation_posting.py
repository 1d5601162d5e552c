"""Posting an evaluation: a model version, a metric and who may report become terms for the chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from ledger.cid import Digest
from ledger.commitments import zero_state_root
from ledger.content import ContentStore
from ledger.errors import BadInput
from ledger.evaluation_records import MOST_DECIMALS, EvaluationTerms, Metric, Units, list_tree
from ledger.history import build_history
from ledger.keccak import ZERO_HASH, Hash32
from ledger.market import Market
from ledger.records import Address, BountyId, Wei
from node import manifest as manifests
from node.evaluation_files import METRIC_NAMES, problems_of, render_list
from node.manifest import Manifest

MOST_REPORTS = 2**16 - 1
_INT64 = 2**63


class BadEvaluation(BadInput):
    """`problems` holds everything that is wrong with what was asked for."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"The evaluation can't be posted like this: {'; '.join(problems)}.")


@dataclass(frozen=True)
class Subject:
    """The model version that is evaluated. state_cid: 0 for the package's own weights."""

    manifest: Digest
    state_root: Hash32
    state_cid: Digest


@dataclass(frozen=True)
class Grid:
    """What a report may say, in units of 10^-decimals; noise: scale that reporters are asked to add."""

    metric: Metric
    decimals: int
    low: Units
    high: Units
    noise: int


@dataclass(frozen=True)
class Offer:
    """What an owner decides besides model and grid; units and meanings as in `EvaluationTerms`."""

    token: Address
    payment: Wei
    stake: Wei
    min_reports: int
    max_reports: int
    commit_seconds: int
    reveal_seconds: int


def package_subject(manifest: Manifest, digest: Digest) -> Subject:
    """A package as it is, with its own weights."""
    planes = manifests.merge_parameters(manifest).planes
    return Subject(digest, zero_state_root(manifests.chunks(manifest), planes), Digest(ZERO_HASH))


def bounty_subject(market: Market, bounty: BountyId, round_number: int | None) -> Subject:
    """A training bounty's model after a round that was merged, by default the last.

    Raises: UnknownBounty; BadEvaluation if that round has no merge that stands.
    """
    history = build_history(market.events(bounty))
    terms = market.terms(bounty)
    merged = history.latest_merge()
    if round_number is not None:
        found = history.rounds.get(round_number)
        merged = found.merged if found else None
        if merged is None:
            raise BadEvaluation([f"round {round_number} of bounty {bounty} has no merge that stands"])
    if merged is None:
        return Subject(terms.manifest, terms.state_root, Digest(ZERO_HASH))
    return Subject(terms.manifest, merged.claim.state_root, merged.claim.state_cid)


def metric_for(manifest: Manifest, name: str) -> Metric:
    """The metric of a name, by default the manifest's own.

    Raises: BadEvaluation for a name that there is not.
    """
    wanted = name or manifest.task.metric
    for metric, known in METRIC_NAMES.items():
        if known == wanted:
            return metric
    raise BadEvaluation([f"there is no metric {wanted!r}: take one of {', '.join(METRIC_NAMES.values())}"])


def grid_for(metric: Metric, span: str, decimals: int, noise: str) -> Grid:
    """The grid from what a person says.

    span:  `LOW:HIGH` in the metric's own numbers; empty for 0:1, which accuracy has.
    noise: scale in the metric's own numbers; empty for none.
    Raises: BadEvaluation with every problem.
    """
    problems = []
    if not span and metric != Metric.ACCURACY:
        problems.append(f"--range LOW:HIGH is missing, and {METRIC_NAMES[metric]} has no range of its own")
    if not 0 <= decimals <= MOST_DECIMALS:
        problems.append(f"--decimals must be 0 .. {MOST_DECIMALS}")
    if problems:
        raise BadEvaluation(problems)
    low_text, colon, high_text = (span or "0:1").partition(":")
    if not colon:
        raise BadEvaluation([f"--range {span!r} is not LOW:HIGH, such as 0:1"])
    low, high = _units(low_text, decimals, "--range"), _units(high_text, decimals, "--range")
    scale = _units(noise, decimals, "--noise") if noise else 0
    if high <= low:
        problems.append(f"--range {span!r} must rise")
    if scale < 0:
        problems.append("--noise must not be negative")
    if problems:
        raise BadEvaluation(problems)
    return Grid(metric, decimals, Units(low), Units(high), scale)


def _units(text: str, decimals: int, option: str) -> int:
    """A number in units of 10^-decimals, exactly."""
    try:
        scaled = Decimal(text).scaleb(decimals)
    except InvalidOperation as error:
        raise BadEvaluation([f"{option}: {text!r} is not a number"]) from error
    if not scaled.is_finite() or scaled != scaled.to_integral_value() or not -_INT64 <= scaled < _INT64:
        raise BadEvaluation([f"{option}: {text!r} is not a number with at most {decimals} decimals (--decimals)"])
    return int(scaled)


def evaluation_terms(
    offer: Offer, subject: Subject, grid: Grid, manifest: Manifest, allowed: tuple[Hash32, Digest]
) -> EvaluationTerms:
    """The terms to post. allowed: the list's root and file, zeros for everyone.

    Raises: BadEvaluation naming everything that the contract or a provider's node would refuse.
    """
    root, cid = allowed
    made = EvaluationTerms(
        token=offer.token,
        payment=offer.payment,
        stake=offer.stake,
        min_reports=offer.min_reports,
        max_reports=offer.max_reports,
        commit_seconds=offer.commit_seconds,
        reveal_seconds=offer.reveal_seconds,
        metric=grid.metric,
        decimals=grid.decimals,
        low=grid.low,
        high=grid.high,
        noise=grid.noise,
        manifest=subject.manifest,
        state_root=subject.state_root,
        state_cid=subject.state_cid,
        list_root=root,
        list_cid=cid,
    )
    rules = [
        (offer.payment > 0, "the payment is 0"),
        (offer.stake > 0, "the stake is 0"),
        (
            offer.min_reports <= offer.max_reports,
            f"the quorum of {offer.min_reports} reports is more than the {offer.max_reports} places",
        ),
    ]
    problems = [problem for holds, problem in rules if not holds] + problems_of(made, manifest)
    if problems:
        raise BadEvaluation(problems)
    return made


def publish_list(store: ContentStore, accounts: Sequence[Address]) -> tuple[Hash32, Digest]:
    """Pin the list of those that may report; its root and its digest. Zeros for nobody in particular: everyone may."""
    if not accounts:
        return ZERO_HASH, Digest(ZERO_HASH)
    return list_tree(accounts).root, store.add(render_list(accounts))
