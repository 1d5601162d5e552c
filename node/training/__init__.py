"""Local training of an exported program on one provider's data."""
