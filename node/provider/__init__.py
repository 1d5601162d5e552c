"""A provider: trains on its own data, commits, reveals, is paid."""
