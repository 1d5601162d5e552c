"""The evaluator of a panel: measures what updates contributed, and reports it."""
