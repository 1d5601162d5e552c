"""An IPFS node of our own: Kubo as a library, in a process of its own, behind the Kubo RPC routes that we use.

`start_ipfs` is all that others need; what it starts looks like any Kubo to an IPFS client.
"""

from ledger.kubo.process import IpfsDaemon, start_ipfs

__all__ = ["IpfsDaemon", "start_ipfs"]
