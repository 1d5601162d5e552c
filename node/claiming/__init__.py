"""What of a bounty's money is an account's own, whatever its part in it: what it can take now, and what later."""
