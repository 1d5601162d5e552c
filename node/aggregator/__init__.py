"""An aggregator: verifies the recorded updates and merges them."""
