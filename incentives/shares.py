"""What a round may pay: its share of the pot, and what each update takes when nobody merged it.

docs/PROTOCOL.md, section 6. The Solidity twins are `TermsLib.share` and the market's lapse.
"""

from __future__ import annotations

from ledger.records import Terms, Wei

NOTHING = Wei(0)


def round_share(terms: Terms, number: int) -> Wei:
    """The part of the pot that round `number` may pay; the shares of all rounds add up to the pot.

    number:   1 .. terms.rounds.
    Rounding: both cumulative parts down, so two rounds' shares differ by at most one unit.
    Raises:   ValueError for a round that the bounty does not have.
    """
    if not 1 <= number <= terms.rounds:
        raise ValueError(f"round {number} is outside 1 .. {terms.rounds}")
    return Wei(terms.pot * number // terms.rounds - terms.pot * (number - 1) // terms.rounds)


def lapsed_share(terms: Terms, number: int, reveals: int, forfeited_bond: Wei = NOTHING) -> Wei:
    """What each revealed update of a round without a merge may take.

    reveals:        how many updates were revealed.
    forfeited_bond: the silent aggregator's, 0 where the quorum was missed.
    Rounding:       down; the divisor is never below the quorum, so nobody earns more by making a round fail.
    """
    pool = round_share(terms, number) + forfeited_bond
    return Wei(pool // max(reveals, terms.min_updates))
