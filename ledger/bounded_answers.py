"""HTTP answers within a size and a time, whatever an endpoint sends: endless bytes, or one byte a second.

`requests` reads an answer whole unless it is told otherwise, and its time limit begins anew with every byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

MOST_ANSWER_BYTES = 128 << 20
"""Of an answer that is held in memory; 50,000 logs have some 40 MB."""

_PART_BYTES = 1 << 16


class AnswerTooLong(requests.RequestException):
    """An endpoint sent more than any answer has."""


class BoundedAdapter(HTTPAdapter):
    """The transport of a `requests` session, with bounds on each answer's body.

    most:     bytes of an answer, decompressed.
    streamed: how the paths end whose answers are read part by part, by whoever counts them; nothing else is unbounded.
    """

    def __init__(self, most: int = MOST_ANSWER_BYTES, streamed: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._most, self._streamed = most, streamed

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        """As usual; the body has to come within the time that the request allows for the first byte."""
        answer = super().send(request, True, timeout, verify, cert, proxies)
        path = (request.url or "").partition("?")[0]
        most = None if self._streamed and path.endswith(self._streamed) else self._most
        seconds = timeout[1] if isinstance(timeout, tuple) else timeout
        answer.raw = _Body(answer.raw, most, None if seconds is None else monotonic() + seconds)
        return answer


class _Body:
    """A response that is read as it arrives, never more at once than a part."""

    def __init__(self, raw: HTTPResponse, most: int | None, deadline: float | None) -> None:
        self._raw, self._most, self._deadline = raw, most, deadline

    def stream(self, _amount: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:
        received = 0
        while part := self._raw.read1(_PART_BYTES, decode_content=decode_content):
            received += len(part)
            if self._most is not None and received > self._most:
                self._raw.close()
                raise AnswerTooLong(f"its answer is longer than {self._most} bytes")
            if self._deadline is not None and monotonic() > self._deadline:
                self._raw.close()
                raise requests.ReadTimeout("its answer took too long")
            yield part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
