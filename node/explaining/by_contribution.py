"""What joining a bounty that pays by contribution may bring: no promise but its range, and what the average is. Pure.

Nobody can say beforehand what an update will do to the model; docs/PROTOCOL.md, section 14.
"""

from __future__ import annotations

from incentives.economics import least_pot
from incentives.settlement import Settlement
from incentives.shares import lapsed_share, round_share
from ledger.records import Terms, Wei
from ledger.score_records import Panel
from node.explaining.prospect import Risk, Scenario

SETTLING_GAS = (269_200, 10_681_800)
"""Of dividing a round: of 5 updates by 3 evaluators, and of 256 by 15. Source: contracts/README.md, section "Gas"."""


def scored_scenarios(
    terms: Terms, panel: Panel, settlement: Settlement, remaining: tuple[int, int]
) -> tuple[Scenario, ...]:
    """Pay if the newcomer's updates contribute nothing, the average, or all; every evaluator earns its fee.

    Holds: the average is that of a round of no fewer updates than the quorum, of which all are accepted.
    """
    together = settlement.members + 1
    present = min(max(together, terms.min_updates), terms.max_updates)
    who = "the members of today and you"
    if present > together:
        who += f", and {present - together} more for the quorum"
    elif present < together:
        who = f"{present} a round"
    cases = [
        ("nothing: by the panel's medians they did not help, or are copies, noise or replays", 0, present),
        (f"the average of {who}", 1, present),
        (f"the average of full rounds of {terms.max_updates}", 1, terms.max_updates),
        ("everything: no other update helps", present, present),
    ]
    return tuple(_scenario(terms, panel, remaining, f"yours contribute {what}", *part) for what, *part in cases)


def _scenario(
    terms: Terms, panel: Panel, remaining: tuple[int, int], assumes: str, weight: int, updates: int
) -> Scenario:
    numbers = range(remaining[0], remaining[1] + 1)
    pays = [Wei(least_pot(round_share(terms, number), panel) * weight // updates) for number in numbers]
    a_round = (min(pays, default=Wei(0)), max(pays, default=Wei(0)))
    return Scenario(assumes, updates, weight, updates, a_round, Wei(sum(pays)))


def scored_risks(terms: Terms, panel: Panel | None) -> tuple[Risk, ...]:
    """What else can become of a round's pay where it is divided by contribution; a stake is never lost by it."""
    none = Wei(0)
    low, high = SETTLING_GAS
    settling = Risk(
        "nobody has divided a round when you claim it",
        none,
        f"none, but gas: {low:,} for 5 updates and 3 evaluators, up to {high:,} for 256 and 15",
        "claim later: evaluators and the other providers divide rounds too",
    )
    if panel is None:
        return (settling,)
    majority = len(panel.evaluators) // 2 + 1
    equal = (lapsed_share(terms, 1, terms.max_updates, none), lapsed_share(terms, 1, terms.min_updates, none))
    return (
        Risk(
            "your update does not help on the panel's validation data, which you can't see",
            none,
            "the round's",
            "train on data of the task that the manifest describes; leave, if it goes on",
        ),
        Risk(
            f"{majority} or more of the {len(panel.evaluators)} evaluators report what is not so",
            none,
            "the round's, and no contract can see it",
            "look at who the evaluators are: the owner chose them",
        ),
        Risk(
            f"fewer than {panel.quorum} evaluators report",
            none,
            "the round's by contribution; it is divided equally",
            "nothing to do; evaluators who do not open lose a forfeit to the round",
            equal,
        ),
        settling,
    )
