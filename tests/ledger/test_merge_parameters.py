"""The word of merge parameters, and what a bounty may ask for."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from ledger.merge_parameters import BadMergeParameters, MergeParameters
from ledger.records import MergeRule

CLIP = MergeParameters(MergeRule.CENTERED_CLIP, 65536, 58982, 0, 2, 3, 0x1999, 4)
WIDEST = MergeParameters(MergeRule.MEAN, 2**32 - 1, 2**16 - 1, 255, 255, 255, 2**32 - 1, 255)


@pytest.mark.unit
def test_pack__then_fields_have_their_bits() -> None:
    assert CLIP.pack() == bytes.fromhex(f"{'':0>36}04" + "00001999" + "03" + "02" + "00" + "e666" + "00010000")


@pytest.mark.unit
@pytest.mark.parametrize("parameters", [CLIP, WIDEST, MergeParameters(MergeRule.TRIMMED_MEAN, 1, trim=127)])
def test_unpack__when_packed__then_it_gives_the_same(parameters: MergeParameters) -> None:
    assert MergeParameters.unpack(parameters.rule, parameters.pack()) == parameters


@pytest.mark.unit
@pytest.mark.parametrize("packed", [bytes(31), bytes(33), (1 << 112).to_bytes(32, "big")])
def test_unpack__when_it_is_no_such_word__then_it_is_refused(packed: bytes) -> None:
    with pytest.raises(BadMergeParameters, match="merge parameters"):
        MergeParameters.unpack(MergeRule.MEAN, packed)


@pytest.mark.unit
def test_pack__when_fields_are_too_wide__then_all_are_named() -> None:
    with pytest.raises(BadMergeParameters) as caught:
        MergeParameters(MergeRule.MEAN, -1, 2**16, 256, 256, 256, 2**32, 256).pack()
    named = [problem.split()[0] for problem in caught.value.problems]
    assert named == [field.name for field in fields(MergeParameters)][1:]


@pytest.mark.unit
@pytest.mark.parametrize(
    ("parameters", "faulty"),
    [
        (replace(CLIP, attackers=2), []),
        (CLIP, ["attackers"]),
        (MergeParameters(MergeRule.MULTI_KRUM, 1, trim=1), ["trim", "attackers"]),
        (MergeParameters(MergeRule.MEAN, 1), []),
        (MergeParameters(MergeRule.MEAN, 0), ["eta"]),
        (MergeParameters(MergeRule.MEAN, 2**32, 2**16), ["eta", "beta"]),
        (MergeParameters(MergeRule.MEDIAN, 1, 0, 1, 1, 1, 1), ["trim", "bucket", "iterations", "tau"]),
        (MergeParameters(MergeRule.TRIMMED_MEAN, 1), ["trim"]),
        (MergeParameters(MergeRule.TRIMMED_MEAN, 1, 0, 4), []),
        (MergeParameters(MergeRule.TRIMMED_MEAN, 1, 0, 5), ["dropping"]),
        (MergeParameters(MergeRule.TRIMMED_MEAN, 1, 0, 128), ["trim", "dropping"]),
        (MergeParameters(MergeRule.CENTERED_CLIP, 1), ["bucket", "iterations", "tau"]),
        (MergeParameters(MergeRule.CENTERED_CLIP, 1, 0, 1, 17, 5, 2**32), ["trim", "bucket", "iterations", "tau"]),
    ],
)
def test_problems__when_numbers_are_out_of_range__then_each_is_named(
    parameters: MergeParameters, faulty: list[str]
) -> None:
    assert [problem.split()[0] for problem in parameters.problems(9)] == faulty


@pytest.mark.unit
@pytest.mark.parametrize(
    ("parameters", "planes"),
    [
        (MergeParameters(MergeRule.MEAN, 1), 1),
        (MergeParameters(MergeRule.MEDIAN, 1, 1), 2),
        (MergeParameters(MergeRule.TRIMMED_MEAN, 1, 0, 3), 1),
        (MergeParameters(MergeRule.CENTERED_CLIP, 1, 0, 0, 1, 1, 1), 2),
        (MergeParameters(MergeRule.MULTI_KRUM, 1, attackers=1), 1),
        (MergeParameters(MergeRule.NEAREST_NEIGHBOURS, 1, 1, attackers=1), 2),
    ],
)
def test_planes__then_there_is_a_second_where_the_aggregate_is_remembered(
    parameters: MergeParameters, planes: int
) -> None:
    assert parameters.planes == planes
