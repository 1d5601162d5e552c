"""The shared record: chain, content, commitments. Knows no machine learning."""
