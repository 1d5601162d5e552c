"""The one door to IPFS: any Kubo RPC endpoint, our embedded node included.

Every fetch has a time limit, and a size limit that holds before the first byte; what comes back is the content of
its CID or an error, whatever the endpoint says. The root that a record commits to is the caller's to check.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, TypeVar

import requests
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from ledger.bounded_answers import BoundedAdapter
from ledger.cid import Digest, from_cid, to_cid
from ledger.errors import (
    BadInput,
    ContentError,
    ContentMismatch,
    ContentTooLarge,
    ContentUnavailable,
    ContentUnreachable,
)
from ledger.multiaddr import check_multiaddr, endpoint_multiaddr
from ledger.notices import FetchFailed, FileFetched, FilePublished, Observer, ignore
from ledger.unixfs import CHUNK_BYTES, digest_of, digest_of_file
from ledger.whole_files import replacing

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import ipfshttpclient
    from ipfshttpclient import exceptions as ipfs
    from ipfshttpclient.http_requests import ClientSync

T = TypeVar("T")

CALL_SECONDS = 30.0
"""Time limit of a call that needs nobody else's help."""
ATTEMPTS = 3

_IMPORT_SETTING = {"chunker": "size-262144", "cid-version": 0, "raw-leaves": "false", "pin": "true"}
_MALFORMED = re.compile(r"not a (file|block|dag-pb|UnixFS)|is a directory|protobuf|proto:|wire type|unrecognized", re.I)


class FileSource(Protocol):
    """Where files come from: an IPFS endpoint, or a CAR file."""

    def fetch_to(self, digest: Digest, path: Path, max_bytes: int, timeout_s: float) -> None:
        """Write the file to `path`; `path` is whole and right, or untouched.

        Raises: ContentTooLarge, ContentUnavailable, ContentMismatch, ContentUnreachable.
        """


class _Http(ClientSync):  # type: ignore[misc]
    """The client library's transport, on plain `requests` sessions: its own patched ones are too old for urllib3."""

    def _make_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", BoundedAdapter(streamed=("/cat",)))
        session.mount("https://", BoundedAdapter(streamed=("/cat",)))
        return session


class ContentStore:
    """Files by the digest of their CID. Safe to use from several threads."""

    def __init__(self, api: str, *, cache: Path | None = None, tell: Observer = ignore) -> None:
        """Talk to the endpoint `api`, an `http://host:port` or a multiaddress.

        `cache` is a folder for fetched files, by CID; they are verified again when read.
        Raises: BadInput if `api` is neither.
        """
        self.api = api
        self._cache = cache
        self._tell = tell
        try:
            self._client: Any = ipfshttpclient.Client(endpoint_multiaddr(api))
            self._client._client = _Http(endpoint_multiaddr(api), "api/v0", timeout=CALL_SECONDS)
        except (ipfs.AddressError, ValueError) as error:
            raise BadInput(f"{api!r} is not the address of an IPFS endpoint, such as http://127.0.0.1:5001.") from error

    def add(self, data: bytes | Path) -> Digest:
        """Add and pin bytes or a file, and return the digest of its CID.

        Raises: ContentMismatch if the endpoint gives it another CID than the protocol's import setting.
        """
        started = monotonic()
        expected = digest_of_file(data) if isinstance(data, Path) else digest_of(data)
        answer = self._call(lambda: self._client.add_bytes(_stream(data), opts=dict(_IMPORT_SETTING)))
        if answer != to_cid(expected):
            raise ContentMismatch(to_cid(expected), f"the endpoint {self.api} added it as {str(answer)[:100]}")
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        self._tell(FilePublished(answer, size, monotonic() - started))
        return expected

    def fetch(self, digest: Digest, max_bytes: int, timeout_s: float) -> bytes:
        """Return the file's bytes.

        Raises: ContentTooLarge before the download if the file is larger than `max_bytes`, ContentUnavailable if
        nobody served it in time, ContentMismatch if the CID is not a file of the protocol's import setting.
        """
        cached = self._cached(digest)
        if cached is not None:
            data = cached.read_bytes()
            if len(data) > max_bytes:
                raise ContentTooLarge(to_cid(digest), max_bytes)
            return data
        with self._fetching(digest) as received:
            data = b"".join(self._download(digest, max_bytes, timeout_s))
            received.append(len(data))
            if digest_of(data) != digest:
                raise ContentMismatch(to_cid(digest), f"the endpoint {self.api} served other bytes")
        self._keep(digest, [data])
        return data

    def fetch_to(self, digest: Digest, path: Path, max_bytes: int, timeout_s: float) -> None:
        """Write the file to `path`, in constant memory; `path` is whole and right, or untouched.

        Raises: as `fetch`.
        """
        cached = self._cached(digest)
        if cached is not None and cached.stat().st_size > max_bytes:
            raise ContentTooLarge(to_cid(digest), max_bytes)
        fetching = self._fetching(digest) if cached is None else nullcontext(list[int]())
        with fetching as received, replacing(path) as file:
            parts = _stream(cached) if cached is not None else self._download(digest, max_bytes, timeout_s)
            file.writelines(parts)
            file.flush()
            received.append(file.tell())
            if digest_of_file(Path(file.name)) != digest:
                raise ContentMismatch(to_cid(digest), f"the endpoint {self.api} served other bytes")
        if cached is None:
            self._keep(digest, _stream(path))

    def size(self, digest: Digest, timeout_s: float) -> int:
        """Return the file's size in bytes, from its root block alone.

        Raises: ContentUnavailable, ContentMismatch if it is not a file.
        """
        path, opts = f"/ipfs/{to_cid(digest)}", {"timeout": _duration(timeout_s)}

        def stat() -> tuple[object, object]:
            answer = self._client.files.stat(path, opts=dict(opts), timeout=_wait(timeout_s))
            return answer["Type"], answer["Size"]

        with self._serving(digest, timeout_s):
            kind, size = self._call(stat)
        if kind != "file" or not isinstance(size, int):
            raise ContentMismatch(to_cid(digest), "it is not a file")
        return size

    def pin(self, digest: Digest, timeout_s: float = CALL_SECONDS) -> None:
        """Keep the file on the endpoint, fetching what of it is not there.

        Raises: ContentUnavailable, ContentMismatch if it is not a file.
        """
        cid, opts = to_cid(digest), {"timeout": _duration(timeout_s)}
        with self._serving(digest, timeout_s):
            self._call(lambda: self._client.pin.add(cid, opts=dict(opts), timeout=_wait(timeout_s)))

    def unpin(self, digest: Digest) -> None:
        """Let the endpoint forget the file; nothing happens where it is not pinned."""
        try:
            self._call(lambda: self._client.pin.rm(to_cid(digest)))
        except ipfs.ErrorResponse as error:
            if "not pinned" not in str(error):
                raise ContentError(f"The IPFS endpoint {self.api} did not unpin {to_cid(digest)}: {error}.") from error

    def pinned(self) -> set[Digest]:
        """Return the files that the endpoint was told to keep."""
        cids = self._ask(lambda: [str(cid) for cid in self._client.pin.ls(type="recursive")["Keys"] or ()])
        return {from_cid(cid) for cid in cids if cid.startswith("Qm")}

    def connect_peer(self, multiaddr: str, timeout_s: float = CALL_SECONDS) -> None:
        """Connect the endpoint to a peer.

        Raises: BadInput if `multiaddr`, which may be somebody's hostile text, is not one; ContentError if it fails.
        """
        check_multiaddr(multiaddr)
        opts = {"timeout": _duration(timeout_s)}
        client = self._client._client  # the library's own `swarm.connect` sends the address letter by letter
        self._ask(
            lambda: client.request("/swarm/connect", (multiaddr,), opts=opts, decoder="json", timeout=_wait(timeout_s))
        )

    def addresses(self) -> list[str]:
        """List the multiaddresses at which others reach the endpoint's node."""
        return self._ask(lambda: [str(address) for address in self._client.id()["Addresses"] or ()])

    def peers(self) -> list[str]:
        """List the peer ids that the endpoint's node is connected to."""
        return self._ask(lambda: [str(peer["Peer"]) for peer in self._client.swarm.peers()["Peers"] or ()])

    def version(self) -> str:
        """Return the endpoint's version: the cheapest way to learn whether it answers."""
        return self._ask(lambda: str(self._client.version()["Version"]))

    def _download(self, digest: Digest, max_bytes: int, timeout_s: float) -> Iterator[bytes]:
        """Yield the file, never more than `max_bytes`, for no longer than `timeout_s`."""
        cid, deadline = to_cid(digest), monotonic() + timeout_s
        if self.size(digest, timeout_s) > max_bytes:
            raise ContentTooLarge(cid, max_bytes)
        left = max(0.001, deadline - monotonic())
        opts = {"timeout": _duration(left), "length": max_bytes + 1}
        received = 0
        with self._serving(digest, timeout_s):
            answer = self._call(lambda: self._client.cat(cid, opts=dict(opts), stream=True, timeout=_wait(left)))
            with closing(answer):
                for part in answer:
                    received += len(part)
                    if received > max_bytes:
                        raise ContentTooLarge(cid, max_bytes)
                    if monotonic() > deadline:
                        raise ContentUnavailable(cid, timeout_s)
                    yield part

    @contextmanager
    def _fetching(self, digest: Digest) -> Iterator[list[int]]:
        """Tell how a fetch went; the body puts into the list how many bytes came."""
        started, received = monotonic(), list[int]()
        try:
            yield received
        except ContentError as error:
            self._tell(FetchFailed(to_cid(digest), type(error).__name__, monotonic() - started))
            raise
        self._tell(FileFetched(to_cid(digest), sum(received), monotonic() - started))

    def _cached(self, digest: Digest) -> Path | None:
        if self._cache is None:
            return None
        path = self._cache / to_cid(digest)
        try:
            if digest_of_file(path) == digest:
                return path
        except FileNotFoundError:
            return None
        path.unlink()
        return None

    def _keep(self, digest: Digest, parts: Iterable[bytes]) -> None:
        if self._cache is not None:
            with replacing(self._cache / to_cid(digest)) as file:
                file.writelines(parts)

    @contextmanager
    def _serving(self, digest: Digest, timeout_s: float) -> Iterator[None]:
        """Say what an endpoint's error about one file means."""
        try:
            yield
        except ipfs.ErrorResponse as error:
            if _MALFORMED.search(str(error)):
                raise ContentMismatch(to_cid(digest), str(error)[:200]) from error
            raise ContentUnavailable(to_cid(digest), timeout_s) from error
        except (ipfs.TimeoutError, requests.RequestException) as error:
            raise ContentUnavailable(to_cid(digest), timeout_s) from error

    def _ask(self, call: Callable[[], T]) -> T:
        try:
            return self._call(call)
        except ipfs.ErrorResponse as error:
            raise ContentError(f"The IPFS endpoint {self.api} said no: {str(error)[:200]}.") from error
        except (ipfs.TimeoutError, requests.Timeout) as error:
            raise ContentUnreachable(self.api, "it took too long") from error

    def _call(self, call: Callable[[], T]) -> T:
        """Make one call, again where the connection failed; leaves the endpoint's own errors to the caller."""
        again = retry(
            retry=retry_if_exception_type((ipfs.ConnectionError, ipfs.ProtocolError)),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=0.1, max=1.0),
            reraise=True,
        )
        try:
            return again(call)()
        except (ipfs.ErrorResponse, ipfs.TimeoutError, requests.Timeout):
            raise
        except ipfs.StatusError as error:
            raise ContentUnreachable(self.api, f"it is no Kubo RPC interface: {error}") from error
        except (ipfs.Error, requests.RequestException, AssertionError, AttributeError, KeyError, TypeError) as error:
            raise ContentUnreachable(self.api, _cause(error)) from error


def _stream(data: bytes | Path) -> Iterator[bytes]:
    if isinstance(data, bytes):
        for start in range(0, len(data), CHUNK_BYTES):
            yield data[start : start + CHUNK_BYTES]
        return
    with data.open("rb") as file:
        yield from iter(lambda: file.read(CHUNK_BYTES), b"")


def _duration(seconds: float) -> str:
    return f"{max(seconds, 0.001):.3f}s"


def _wait(seconds: float) -> float:
    """How long to wait for an answer: the endpoint keeps the limit, we only notice when it does not."""
    return seconds + 1.0


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    text = re.sub(r".*(Caused by \w+\(\"?|\w+\(host=[^)]*\): |<[^>]*>: )", "", str(error))
    return text.rstrip("\"')")[:200] or type(error).__name__
