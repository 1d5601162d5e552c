"""Model packages: torch.export programs that run no code of their owner (docs/PROTOCOL.md, section 9)."""
