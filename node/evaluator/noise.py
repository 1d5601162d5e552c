"""What noise on a reported number hides; it is drawn by `node.privacy.discrete_noise`."""

from __future__ import annotations

from fractions import Fraction

from ledger.evaluation_records import EvaluationTerms


def sensitivity(terms: EvaluationTerms, examples: int) -> int:
    """By how many units the value can move where one of so many examples is another."""
    return -(-(terms.high - terms.low) // examples)


def epsilon(terms: EvaluationTerms, examples: int, scale: int) -> Fraction | None:
    """What one report tells at most about one example, as differential privacy counts it; None without noise."""
    return Fraction(sensitivity(terms, examples), scale) if scale else None
