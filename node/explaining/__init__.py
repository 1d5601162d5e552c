"""What a bounty paid one provider and why, or what it may pay one that thinks of joining."""
