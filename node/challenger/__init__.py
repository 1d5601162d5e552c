"""A challenger: recomputes merges, proves wrong ones wrong on chain, and demands what is withheld."""
