"""What a role does: provider, aggregator, auditor; training, updates, merging; the command line."""
