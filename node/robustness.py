"""How many faulty updates a merge rule withstands, in numbers and in words. docs/PROTOCOL.md, section 7."""

from __future__ import annotations

from dataclasses import replace

from ledger.errors import BadInput
from ledger.merge_parameters import PROVABLE, MergeParameters
from ledger.records import MergeRule, PrivacyMode, Terms
from node.merge_arithmetic import least_updates

SHARE = 4
"""By default a rule is to withstand a quarter of the quorum."""

LEAST_LIVING = 2
"""A masked group is counted with so many updates at least: `node.masking.groups.scaled_threshold`."""


class QuorumTooSmall(BadInput):
    def __init__(self, rule: MergeRule, quorum: int) -> None:
        self.rule, self.quorum = rule, quorum
        if rule == MergeRule.MEAN:
            super().__init__(
                "The rule mean withstands no faulty update: choose another, or accept that (--attackers 0)."
            )
            return
        least = least_accepted(MergeParameters(rule, 1, trim=1, bucket=1, attackers=1))
        super().__init__(
            f"A quorum of {quorum} is too small for {rule.name.lower()} to withstand a faulty update: it takes at "
            f"least {least}."
        )


def default_attackers(rule: MergeRule, quorum: int) -> int:
    """As many as the rule can withstand at this quorum, but at most a quarter of it; never 0.

    Raises: QuorumTooSmall where the rule can't withstand one.
    """
    most = most_attackers(MergeParameters(rule, 1, bucket=1), quorum)
    if most < 1:
        raise QuorumTooSmall(rule, quorum)
    return min(most, max(1, quorum // SHARE))


def most_attackers(parameters: MergeParameters, quorum: int) -> int:
    """What a rule can withstand at a quorum if its `trim` is chosen for it, with its `bucket` as it is."""
    fitted = replace(parameters, trim=max(0, quorum - 1) // 2, bucket=max(1, parameters.bucket))
    return fitted.most_attackers(quorum)


def least_accepted(parameters: MergeParameters) -> int:
    """With how many accepted updates the rule still withstands its attackers."""
    attackers = parameters.attackers
    match parameters.rule:
        case MergeRule.MEAN:
            return 1
        case MergeRule.TRIMMED_MEAN:
            return 2 * parameters.trim + 1
        case MergeRule.CENTERED_CLIP:
            return 2 * attackers * max(1, parameters.bucket) + 1
        case MergeRule.MULTI_KRUM:
            return 2 * attackers + 3
    return 2 * attackers + 1


def refusals(parameters: MergeParameters, quorum: int) -> list[str]:
    """Why a rule can't withstand its attackers at this quorum, with what to change instead."""
    rule, attackers = parameters.rule.name.lower(), parameters.attackers
    if parameters.rule in (MergeRule.MULTI_KRUM, MergeRule.NEAREST_NEIGHBOURS) and attackers == 0:
        return [f"{rule} needs merge.attackers = 1 or more"]
    if attackers <= min(parameters.most_attackers(quorum), most_attackers(parameters, quorum)):
        return []
    if parameters.rule == MergeRule.MEAN:
        return [
            f"mean withstands no faulty update, but merge.attackers is {attackers}: "
            f"set merge.rule to another rule, or merge.attackers to 0"
        ]
    least = least_accepted(replace(parameters, trim=max(parameters.trim, attackers)))
    if least <= quorum:
        return [
            f"trimmed_mean drops {parameters.trim} at each end: withstanding {attackers} takes merge.trim = {attackers}"
        ]
    most = most_attackers(parameters, quorum)
    instead = f", or merge.attackers = {most}" if most else ""
    return [f"{rule} withstands {_updates(attackers)} from a quorum of {least} on: raise --min-updates{instead}"]


def withstood(parameters: MergeParameters, quorum: int) -> str:
    """A sentence for people: what is withstood, while how many are accepted, and who can show that it was kept to."""
    rule, attackers, least = parameters.rule.name.lower(), parameters.attackers, least_accepted(parameters)
    known = "provable on chain" if parameters.rule in PROVABLE else "re-executable, not provable on chain"
    if attackers == 0:
        return f"{rule} ({known}) is to withstand no faulty update: one provider can steer the model within the bound"
    if least > quorum:
        return f"{rule} ({known}) can't withstand {attackers} of {quorum}"
    return (
        f"{rule} ({known}) at a quorum of {quorum} withstands {_updates(attackers)} of {quorum}, "
        f"while at least {least} are accepted"
    )


def promise(terms: Terms) -> str:
    """What a posted bounty's rule withstands, in a sentence."""
    parameters = MergeParameters.unpack(terms.merge_rule, terms.merge_parameters)
    if terms.privacy == PrivacyMode.MASKED:
        return withstood_groups(parameters)
    return withstood(parameters, terms.min_updates)


def withstood_groups(parameters: MergeParameters) -> str:
    """The same for masked updates, of which the rule sees sums of groups alone."""
    rule, attackers = parameters.rule.name.lower(), parameters.attackers
    if attackers == 0:
        return f"{rule} over sums of groups is to withstand no faulty update: one can steer the model within the bound"
    groups = "1 faulty group" if attackers == 1 else f"{attackers} faulty groups"
    return (
        f"{rule} over sums of groups (provable on chain) withstands {groups}, while at least "
        f"{least_accepted(parameters)} groups are accepted; one faulty member spoils its group"
    )


def shortfall(terms: Terms, accepted: int) -> str:
    """Why a merge of so few does not keep what its terms promise; empty where it does, and where nothing is promised.

    accepted: how many updates were counted; of a masked bounty how many groups.
    """
    parameters = MergeParameters.unpack(terms.merge_rule, terms.merge_parameters)
    attackers, least = parameters.attackers, least_accepted(parameters)
    if attackers == 0 or not 0 < accepted < least:
        return ""
    what = "groups" if terms.privacy == PrivacyMode.MASKED else "updates"
    counted = f"{accepted} accepted {what if accepted > 1 else what.removesuffix('s')}"
    rule = parameters.rule.name.lower()
    if accepted < least_updates(parameters):
        return f"{rule} has nothing to merge in {counted}, so the model stayed as it was; it takes {least}"
    withstands = min(attackers, parameters.most_attackers(accepted))
    return (
        f"{rule} over {counted} withstands {withstands or 'no'} faulty {what if withstands != 1 else what[:-1]}, "
        f"though the terms promise {attackers}; that takes {least}"
    )


def certain_shortfall(terms: Terms, accepted: int) -> str:
    """As `shortfall`, for who knows how many updates were accepted but not in how many groups: what is certain then."""
    if terms.privacy == PrivacyMode.MASKED:
        return shortfall(terms, accepted // LEAST_LIVING)
    return shortfall(terms, accepted)


def every_rule(quorum: int) -> dict[str, int]:
    """How many faulty updates each rule can withstand at a quorum; `centered_clip` in buckets of one."""
    return {rule.name.lower(): most_attackers(MergeParameters(rule, 1), quorum) for rule in MergeRule}


def _updates(count: int) -> str:
    return "1 faulty update" if count == 1 else f"{count} faulty updates"
