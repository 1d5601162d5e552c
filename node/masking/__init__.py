"""Secure aggregation: pairwise masks, shares against dropouts, unmasking of sums. docs/PROTOCOL.md, section 16."""
