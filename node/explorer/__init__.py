"""The explorer: read-only web pages on what chain and IPFS hold, for auditors."""
