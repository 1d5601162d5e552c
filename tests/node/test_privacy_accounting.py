"""What noise costs: golden values, two libraries, and how releases add up."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from opacus.accountants import PRVAccountant, RDPAccountant

from node.privacy.accounting import (
    PLD_STEPS,
    Bare,
    Concentrated,
    Pure,
    SampledGaussian,
    Spend,
    epsilon,
    pld_epsilon,
    renyi_epsilon,
    round_guarantees,
    sum_rho,
)
from node.privacy_section import PrivacySection

pytestmark = pytest.mark.unit

GOLDEN = SampledGaussian(sigma=1.5, q=0.04, steps=2250)
DELTA = 1e-5


def test_renyi_epsilon__of_the_golden_run__then_is_7_329_by_both_libraries() -> None:
    opacus = RDPAccountant()
    opacus.history = [(GOLDEN.sigma, GOLDEN.q, GOLDEN.steps)]
    assert renyi_epsilon([(GOLDEN, 1)], DELTA) == pytest.approx(7.329, abs=1e-3)
    assert opacus.get_epsilon(DELTA) == pytest.approx(7.329, abs=1e-3)


def test_pld_epsilon__of_the_golden_run__then_is_6_77_by_both_libraries() -> None:
    opacus = PRVAccountant()
    opacus.history = [(GOLDEN.sigma, GOLDEN.q, GOLDEN.steps)]
    assert pld_epsilon([(GOLDEN, 1)], DELTA) == pytest.approx(6.77, abs=1e-2)
    assert opacus.get_epsilon(DELTA, eps_error=0.01) == pytest.approx(6.77, abs=2e-2)


@pytest.mark.parametrize("spend", [SampledGaussian(0.8, 0.1, 60), SampledGaussian(4.0, 0.01, 5000)])
def test_renyi_epsilon__of_other_runs__then_both_libraries_agree(spend: SampledGaussian) -> None:
    opacus = RDPAccountant()
    opacus.history = [(spend.sigma, spend.q, spend.steps)]
    assert renyi_epsilon([(spend, 1)], DELTA) == pytest.approx(opacus.get_epsilon(DELTA), rel=0.01)


def test_epsilon__of_rounds__then_is_that_of_all_their_steps() -> None:
    rounds = [SampledGaussian(1.5, 0.04, 225)] * 10
    assert epsilon(rounds, DELTA) == pytest.approx(6.77, abs=1e-2)


def test_epsilon__of_nothing__then_is_0() -> None:
    assert epsilon([], DELTA) == 0


def test_epsilon__with_a_release_without_noise__then_is_infinite() -> None:
    assert epsilon([GOLDEN, Bare()], DELTA) == math.inf
    assert renyi_epsilon([(Bare(), 1)], DELTA) == math.inf
    with pytest.raises(ValueError, match="no privacy loss"):
        pld_epsilon([(Concentrated(0.1), 1)], DELTA)


def test_epsilon__of_pure_releases__then_never_exceeds_their_sum() -> None:
    assert epsilon([Pure(0.5)], DELTA) <= 0.5
    assert epsilon([Pure(0.5)] * 3, DELTA) <= 1.5
    assert epsilon([Pure(0.5)], DELTA) > 0.4
    assert epsilon([Pure(200.0)], DELTA) == 200


def test_epsilon__of_zcdp__then_is_that_of_its_rho() -> None:
    """Canonne, Kamath and Steinke 2020, corollary 13, is tighter than rho + 2 sqrt(rho ln 1/delta)."""
    rho, found = 0.3, epsilon([Concentrated(0.1)] * 3, DELTA)
    assert found <= rho + 2 * math.sqrt(rho * math.log(1 / DELTA))
    assert found > math.sqrt(2 * rho)
    assert found == pytest.approx(epsilon([Concentrated(0.3)], DELTA))


@pytest.mark.parametrize("more", [Pure(0.1), Concentrated(0.01), SampledGaussian(2.0, 0.01, 100)])
def test_epsilon__of_one_release_more__then_is_greater(more: Spend) -> None:
    assert epsilon([GOLDEN, Concentrated(0.001), more], DELTA) > epsilon([GOLDEN, Concentrated(0.001)], DELTA)


def test_epsilon__where_no_bound_is_worth_anything__then_is_found_all_the_same() -> None:
    assert epsilon([SampledGaussian(0.3, 1.0, 1_000_000)], DELTA) > 1e6


def test_epsilon__of_steps_without_number__then_by_renyi_orders_and_at_once() -> None:
    """Privacy loss distributions of such a manifest took minutes."""
    endless = SampledGaussian(sigma=0.7, q=1e-9, steps=10**6)
    assert epsilon([endless] * 1024, DELTA) == renyi_epsilon([(endless, 1024)], DELTA) > 0.3
    most = replace(GOLDEN, sigma=100.0, steps=PLD_STEPS)
    assert epsilon([most, GOLDEN], DELTA) == renyi_epsilon([(most, 1), (GOLDEN, 1)], DELTA)


def test_sum_rho__of_one_provider__then_is_the_gaussians() -> None:
    assert sum_rho(512.0, 128, 1, 10**6) == pytest.approx(512**2 / (2 * 128**2))


def test_sum_rho__of_several__then_their_variances_add() -> None:
    assert sum_rho(512.0, 128, 4, 10**9) == pytest.approx(512**2 / (2 * 4 * 128**2))


def test_sum_rho__of_coarse_noise__then_costs_what_the_sum_is_off_a_gaussian() -> None:
    fine, coarse = 4.0**2 / (2 * 16), sum_rho(4.0, 1, 16, 1000)
    assert coarse > fine


RECORD = PrivacySection(mode="dp", noise_multiplier=1.5, sample_rate=0.04, steps=225, clip_norm=1.0, delta=1e-5)
UPDATE = PrivacySection(mode="dp", update_noise=128, honest=4, delta=1e-5)


def test_round_guarantees__of_dp_sgd__then_an_example_has_its_steps() -> None:
    found = round_guarantees(RECORD, 2**20, 1000)
    assert found.example == SampledGaussian(1.5, 0.04, 225)
    assert (found.alone, found.summed) == (None, None)


def test_round_guarantees__of_public_updates__then_no_sum_counts_for_an_example() -> None:
    found = round_guarantees(UPDATE, 512**2, 1000)
    assert found.alone == Concentrated(pytest.approx(8.0))
    assert found.summed == Concentrated(pytest.approx(2.0))
    assert found.example == Concentrated(pytest.approx(32.0))


def test_round_guarantees__of_masked_updates__then_the_sum_counts() -> None:
    masked = UPDATE.model_copy(update={"mode": "masked"})
    assert round_guarantees(masked, 512**2, 1000).example == Concentrated(pytest.approx(8.0))


def test_round_guarantees__without_noise__then_nothing_is_hidden() -> None:
    assert round_guarantees(PrivacySection(mode="open"), 2**20, 1000).example == Bare()
