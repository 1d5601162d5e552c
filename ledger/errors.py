"""The tree of errors; every error that a user can meet descends from `FedbountyError`.

FedbountyError
├── BadInput            what the user gave is wrong: a file, a key, a setting, a name        exit 2
├── ChainError          the chain or the contract said no                                    exit 3
│   ├── ChainUnreachable    (retryable) the RPC endpoint did not answer
│   ├── StrangeAnswer       (retryable) what the RPC endpoint answered has another form
│   ├── WrongChain          another chain id, or no contract at the address
│   ├── Reverted            the contract refused; carries the decoded custom error
│   ├── TooLittleFunds      balance or allowance is too small
│   ├── StuckTransaction    (retryable) not mined in time, even at a higher fee
│   └── NonceTaken          (retryable) another program sends with the same key
├── ContentError        an artefact could not be had or is not what was committed            exit 4
│   ├── ContentUnreachable  (retryable) the IPFS endpoint did not answer
│   ├── ContentUnavailable  (retryable) nobody served the CID in time
│   ├── ContentTooLarge     more bytes than the limit that was known before
│   └── ContentMismatch     the bytes are not the committed ones
└── ProtocolFault       someone's record breaks the protocol (found by verification, audit)   exit 1

Packages add leaves of their own (`node.errors`, `incentives.errors`). Errors take values, keep them as
attributes, and say in one sentence what is wrong and what to do. They are caught only in the daemons' loops
(which retry the retryable) and at the command line (one line, exit code by class).
"""

from __future__ import annotations


class FedbountyError(Exception):
    """An error with a sentence for a person, an exit code, and whether trying again can help."""

    exit_code: int = 1
    retryable: bool = False


class BadInput(FedbountyError):
    exit_code = 2


class ChainError(FedbountyError):
    exit_code = 3


class ChainUnreachable(ChainError):
    retryable = True

    def __init__(self, rpc_url: str, detail: str) -> None:
        self.rpc_url, self.detail = rpc_url, detail
        super().__init__(
            f"No answer from the Ethereum endpoint {rpc_url} ({detail}). "
            f"Start it, or set chain.rpc_url (FEDBOUNTY_RPC_URL)."
        )


class StrangeAnswer(ChainError):
    """The endpoint's answer is not what its protocol says: it is broken for now, or no Ethereum node."""

    retryable = True

    def __init__(self, rpc_url: str, detail: str) -> None:
        self.rpc_url, self.detail = rpc_url, detail
        super().__init__(f"The Ethereum endpoint {rpc_url} gave a strange answer: {detail}.")


class WrongChain(ChainError):
    pass


_ADVICE = {
    "NotOwner": "Only the account that posted it may; name that one with --account.",
    "NotAggregator": "Only the named aggregator may, until its time has passed.",
    "NotMember": "The account has not joined, or has left.",
    "AlreadyMember": "The account has joined before.",
    "AlreadyAppointed": "Its panel stands, and can't be changed.",
    "TooManyMembers": "It is full.",
    "WrongPhase": "That can't be done in the phase which it is in: `fedbounty bounty show` says which, and until when.",
    "StakeLocked": "Run the command again after that time (in Unix seconds).",
    "BondLocked": "Run the command again after that time (in Unix seconds).",
    "WrongBalance": "The token does not move the amounts that it is told to, so no bounty can be paid in it.",
}
"""What to do about refusals that a person can meet."""


class Reverted(ChainError):
    """The contract refused a call.

    `name` is the custom error's name, `arguments` its decoded values by name.
    """

    def __init__(self, action: str, name: str, arguments: dict[str, object]) -> None:
        self.action, self.name, self.arguments = action, name, arguments
        shown = ", ".join(f"{key}={value}" for key, value in arguments.items())
        super().__init__(f"The contract refused to {action}: {name}({shown}). {_ADVICE.get(name, '')}".rstrip())


def _whole(amount: int) -> str:
    """Exactly, in whole ones: 1500000000000000000 -> `1.5`."""
    whole, part = divmod(amount, 10**18)
    return f"{whole}.{part:018d}".rstrip("0").rstrip(".")


class TooLittleFunds(ChainError):
    """`needed` and `available` are in the smallest unit; the sentence has them with 18 decimals."""

    def __init__(self, account: str, what: str, needed: int, available: int) -> None:
        self.account, self.what, self.needed, self.available = account, what, needed, available
        super().__init__(
            f"{account} has {_whole(available)} {what} but needs {_whole(needed)}. "
            f"Fund the account and run the command again."
        )


class StuckTransaction(ChainError):
    retryable = True

    def __init__(self, action: str, transaction: str, waited_seconds: float) -> None:
        self.action, self.transaction, self.waited_seconds = action, transaction, waited_seconds
        super().__init__(
            f"The transaction {transaction} ({action}) was not mined within {waited_seconds:.0f} s, "
            f"even at a higher fee."
        )


class NonceTaken(ChainError):
    """Somebody else sends transactions with this key."""

    retryable = True

    def __init__(self, action: str, nonce: int) -> None:
        self.action, self.nonce = action, nonce
        super().__init__(f"The transaction to {action} was overtaken: another program uses this key (nonce {nonce}).")


class ContentError(FedbountyError):
    exit_code = 4


class ContentUnreachable(ContentError):
    retryable = True

    def __init__(self, endpoint: str, detail: str) -> None:
        self.endpoint, self.detail = endpoint, detail
        super().__init__(
            f"No answer from the IPFS endpoint {endpoint} ({detail}). "
            f"Start it with `fedbounty ipfs`, or set ipfs.api (FEDBOUNTY_IPFS_API)."
        )


class ContentUnavailable(ContentError):
    retryable = True

    def __init__(self, cid: str, waited_seconds: float) -> None:
        self.cid, self.waited_seconds = cid, waited_seconds
        super().__init__(f"Nobody served {cid} within {waited_seconds:.0f} s.")


class ContentTooLarge(ContentError):
    def __init__(self, cid: str, limit_bytes: int) -> None:
        self.cid, self.limit_bytes = cid, limit_bytes
        super().__init__(f"{cid} is larger than the {limit_bytes} bytes that it may have.")


class ContentMismatch(ContentError):
    def __init__(self, cid: str, detail: str) -> None:
        self.cid, self.detail = cid, detail
        super().__init__(f"{cid} is not what was committed: {detail}.")


class ProtocolFault(FedbountyError):
    pass
