"""The game between those who could lie under a bond and those who may look. Estimates; nobody is paid by them.

An aggregator lies once a round, gains `gain` if nobody looks before its pay vests, and loses its bond if anybody does:
a proof is certain where the lie is about committed bytes (docs/PROTOCOL.md, section 10). Half of the bond is the
prover's. Amounts are in one unit, chances 0 .. 1.
"""

from __future__ import annotations

PROVERS_PART = 0.5
"""Of a lost bond; `incentives.proofs.merge_voided`."""


def chance_of_a_look(look: float, auditors: int) -> float:
    """That at least one of so many looks, each by itself with the chance `look`."""
    _check_chance(look)
    return 1 - (1 - look) ** auditors


def lying_pays(gain: float, bond: float, seen: float, rounds: int = 1) -> float:
    """What an aggregator expects of lying in each round until it is caught.

    seen:  the chance that somebody looks at a round in time.
    Holds: positive exactly if (1 - seen) * gain > seen * bond, whatever the rounds.
    """
    _check_chance(seen)
    each = (1 - seen) * gain - seen * bond
    return each * sum((1 - seen) ** number for number in range(rounds))


def least_chance(gain: float, bond: float) -> float:
    """The chance of being seen from which lying does not pay."""
    return gain / (gain + bond) if gain > 0 else 0.0


def least_bond(gain: float, seen: float) -> float:
    """The bond from which lying does not pay; infinite if nobody ever looks."""
    _check_chance(seen)
    if gain <= 0:
        return 0.0
    return gain * (1 - seen) / seen if seen else float("inf")


def auditing_pays(bond: float, lies: float, cost: float, proof: float, rivals: float = 0.0) -> float:
    """What an auditor without money at stake expects of looking at a round.

    lies:   the chance that the merge is wrong; cost: of recomputing it; proof: of proving it to the contract.
    rivals: how many others look as well, on average; each is as likely to be first, and only the first is paid.
    """
    _check_chance(lies)
    return lies * (PROVERS_PART * bond / (1 + rivals) - proof) - cost


def lies_in_balance(bond: float, cost: float, proof: float) -> float:
    """How often aggregators must lie for looking to pay one who looks alone; 1 at most.

    Holds: below it nobody looks for the reward: an honest market can't live on rewards for proofs alone.
    """
    reward = PROVERS_PART * bond - proof
    return min(1.0, cost / reward) if reward > 0 else 1.0


def own_look_pays(at_stake: float, lies: float, cost: float) -> float:
    """What looking is worth to one who would lose `at_stake` by a lie that nobody else sees."""
    _check_chance(lies)
    return lies * at_stake - cost


def _check_chance(value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"a chance is between 0 and 1, not {value}")
