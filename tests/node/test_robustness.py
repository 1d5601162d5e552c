"""What each rule withstands: the words, against the ledger's inequalities and against merges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ledger.merge_parameters import MergeParameters
from ledger.records import MergeRule, PrivacyMode
from node.explorer.bounty_page import terms_lines
from node.masking.groups import scaled_threshold
from node.merging import ONE, merge_round
from node.robustness import (
    LEAST_LIVING,
    QuorumTooSmall,
    certain_shortfall,
    default_attackers,
    every_rule,
    least_accepted,
    most_attackers,
    promise,
    refusals,
    shortfall,
    withstood,
)
from tests import builders as make

pytestmark = pytest.mark.unit

ROBUST = [rule for rule in MergeRule if rule != MergeRule.MEAN]


def parameters_for(rule: MergeRule, attackers: int, bucket: int = 1) -> MergeParameters:
    clips = rule == MergeRule.CENTERED_CLIP
    return MergeParameters(
        rule,
        ONE,
        trim=attackers if rule == MergeRule.TRIMMED_MEAN else 0,
        bucket=bucket if clips else 0,
        iterations=4 if clips else 0,
        tau=500 if clips else 0,
        attackers=attackers,
    )


@pytest.mark.parametrize("rule", ROBUST)
def test_default_attackers__at_every_quorum__then_the_contract_takes_it(rule: MergeRule) -> None:
    for quorum in range(1, 257):
        try:
            chosen = default_attackers(rule, quorum)
        except QuorumTooSmall:
            assert parameters_for(rule, 1).problems(quorum)
            continue
        assert 1 <= chosen <= max(1, quorum // 4)
        assert parameters_for(rule, chosen).problems(quorum) == []
        assert chosen == max(1, quorum // 4) or parameters_for(rule, chosen + 1).problems(quorum)


@pytest.mark.parametrize(
    ("rule", "quorum", "said"),
    [
        (MergeRule.MEAN, 100, "mean withstands no faulty update"),
        (MergeRule.TRIMMED_MEAN, 2, "takes at least 3"),
        (MergeRule.MULTI_KRUM, 4, "takes at least 5"),
    ],
)
def test_default_attackers__when_none_can_be_withstood__then_it_says_what_can(
    rule: MergeRule, quorum: int, said: str
) -> None:
    with pytest.raises(QuorumTooSmall, match=said):
        default_attackers(rule, quorum)


@pytest.mark.parametrize("rule", MergeRule)
@pytest.mark.parametrize("bucket", [1, 2, 3])
def test_refusals__at_every_quorum__then_exactly_what_the_contract_refuses(rule: MergeRule, bucket: int) -> None:
    for attackers in range(5):
        for quorum in range(1, 40):
            parameters = parameters_for(rule, attackers, bucket)
            if rule == MergeRule.TRIMMED_MEAN:
                parameters = replace(parameters, trim=2)
            assert (
                bool(refusals(parameters, quorum)) == bool(parameters.problems(quorum)) or 2 * parameters.trim >= quorum
            )


@pytest.mark.parametrize("rule", ROBUST)
@pytest.mark.parametrize("bucket", [1, 2, 3])
def test_least_accepted__then_it_is_the_smallest_quorum_that_the_contract_takes(rule: MergeRule, bucket: int) -> None:
    for attackers in range(1, 6):
        parameters = parameters_for(rule, attackers, bucket)
        least = least_accepted(parameters)
        assert parameters.problems(least) == []
        assert parameters.problems(least - 1)


@pytest.mark.parametrize(
    ("parameters", "quorum", "said"),
    [
        (parameters_for(MergeRule.MEDIAN, 2), 4, "from a quorum of 5 on: raise --min-updates, or merge.attackers = 1"),
        (parameters_for(MergeRule.MEDIAN, 1), 2, "median withstands 1 faulty update from a quorum of 3 on: raise --m"),
        (parameters_for(MergeRule.CENTERED_CLIP, 2, bucket=2), 8, "from a quorum of 9 on"),
        (parameters_for(MergeRule.MULTI_KRUM, 0), 8, "multi_krum needs merge.attackers = 1"),
        (parameters_for(MergeRule.MEAN, 1), 8, "set merge.rule to another rule"),
        (replace(parameters_for(MergeRule.TRIMMED_MEAN, 2), trim=1), 8, "takes merge.trim = 2"),
    ],
)
def test_refusals__then_they_say_what_to_change(parameters: MergeParameters, quorum: int, said: str) -> None:
    (refusal,) = refusals(parameters, quorum)
    assert said in refusal


def test_withstood__then_it_names_rule_quorum_and_trust() -> None:
    assert withstood(parameters_for(MergeRule.TRIMMED_MEAN, 1), 5) == (
        "trimmed_mean (provable on chain) at a quorum of 5 withstands 1 faulty update of 5, "
        "while at least 3 are accepted"
    )
    assert "(re-executable, not provable on chain)" in withstood(parameters_for(MergeRule.MULTI_KRUM, 1), 5)
    assert "one provider can steer the model" in withstood(parameters_for(MergeRule.MEAN, 0), 5)
    assert withstood(parameters_for(MergeRule.MEDIAN, 3), 6).endswith("can't withstand 3 of 6")


def test_promise__of_a_posted_bounty__then_pages_and_receipts_say_it() -> None:
    parameters = parameters_for(MergeRule.NEAREST_NEIGHBOURS, 2)
    terms = replace(make.terms(), merge_rule=parameters.rule, merge_parameters=parameters.pack(), min_updates=6)
    assert promise(terms) == withstood(parameters, 6)
    assert "withstands 2 faulty updates of 6, while at least 5 are accepted" in promise(terms)
    assert dict(terms_lines(terms))["faulty updates"] == promise(terms)


@pytest.mark.parametrize("rule", ROBUST)
def test_shortfall__at_every_count__then_exactly_where_the_terms_promise_too_much(rule: MergeRule) -> None:
    parameters = parameters_for(rule, 2)
    terms = replace(make.terms(), merge_rule=rule, merge_parameters=parameters.pack(), min_updates=9)
    for accepted in range(1, 12):
        assert bool(shortfall(terms, accepted)) == bool(parameters.problems(accepted))
    assert shortfall(terms, 0) == "", "nothing was merged, so nobody steered"


@pytest.mark.parametrize(
    ("parameters", "accepted", "said"),
    [
        (parameters_for(MergeRule.MEDIAN, 2), 4, "median over 4 accepted updates withstands 1 faulty update, though"),
        (parameters_for(MergeRule.MEDIAN, 2), 1, "over 1 accepted update withstands no faulty updates, though the te"),
        (parameters_for(MergeRule.CENTERED_CLIP, 2, bucket=2), 8, "withstands 1 faulty update, though the terms prom"),
        (parameters_for(MergeRule.TRIMMED_MEAN, 2), 4, "nothing to merge in 4 accepted updates, so the model stayed"),
        (parameters_for(MergeRule.MULTI_KRUM, 1), 4, "so the model stayed as it was; it takes 5"),
    ],
)
def test_shortfall__then_it_says_what_is_withstood_instead(
    parameters: MergeParameters, accepted: int, said: str
) -> None:
    terms = replace(make.terms(), merge_rule=parameters.rule, merge_parameters=parameters.pack())
    assert said in shortfall(terms, accepted)
    assert certain_shortfall(terms, accepted) == shortfall(terms, accepted)


def test_certain_shortfall__when_masked__then_only_where_no_grouping_keeps_the_promise() -> None:
    parameters = parameters_for(MergeRule.MEDIAN, 1)
    masked = replace(make.terms(), merge_rule=parameters.rule, merge_parameters=parameters.pack())
    masked = replace(masked, privacy=PrivacyMode.MASKED)
    assert "median over 2 accepted groups withstands no faulty groups" in shortfall(masked, 2)
    assert certain_shortfall(masked, 6) == ""
    assert certain_shortfall(masked, 5) == shortfall(masked, 2)
    assert scaled_threshold(1, 3, 3) == LEAST_LIVING


def test_every_rule__at_a_quorum_of_five__then_the_greatest_numbers() -> None:
    assert every_rule(5) == {
        "mean": 0,
        "trimmed_mean": 2,
        "median": 2,
        "centered_clip": 2,
        "multi_krum": 1,
        "geometric_median": 2,
        "nearest_neighbours": 2,
    }
    assert set(every_rule(1).values()) == {0}


@pytest.mark.parametrize("rule", ROBUST)
def test_most_attackers__when_so_many_lie__then_the_aggregate_stays_among_the_honest(rule: MergeRule) -> None:
    """Eleven updates around 1000, of which as many as the rule withstands become 32767 everywhere."""
    count, size = 11, 128
    attackers = most_attackers(MergeParameters(rule, ONE), count)
    draw = np.random.default_rng(1)
    updates = list(draw.integers(990, 1010, (count, size)).astype(np.int16))
    for liar in range(attackers):
        updates[liar] = np.full(size, 32767, dtype=np.int16)
    parameters = parameters_for(rule, attackers)
    before_PD = np.zeros((parameters.planes, size), dtype=np.int32)
    if parameters.planes == 2:
        before_PD[1] = 256 * 1000
    merged_PD = merge_round(parameters, before_PD, updates, None).planes_PD
    assert merged_PD[0].min() >= 256 * 900
    assert merged_PD[0].max() <= 256 * 1100
