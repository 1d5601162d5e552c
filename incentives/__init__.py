"""Pure rules of pay. Knows no network, clock, chance or tensors."""
