"""An auditor: recomputes everything and trusts nobody."""
