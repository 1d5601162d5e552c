"""Differential privacy: noise, what it costs, and the budget of a data set."""
