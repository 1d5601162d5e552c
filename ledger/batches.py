"""Many JSON-RPC requests in one: raw answers, in the order of the questions, in batches as large as the node takes.

Nothing is decoded here: answers are what the node wrote, and whoever reads them takes nothing for granted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import orjson
import requests

from ledger.bounded_answers import AnswerTooLong
from ledger.chain import Chain, NodeRefused
from ledger.errors import ChainError, ChainUnreachable, StrangeAnswer

Request: TypeAlias = tuple[str, list[Any]]
"""A method and its parameters."""

FIRST_BATCH = 500
_TOO_MUCH = (requests.Timeout, requests.HTTPError, requests.exceptions.ChunkedEncodingError, AnswerTooLong)


class Batches:
    """One node's batches. Their size is halved where the node refuses, and grows again after success."""

    def __init__(self, chain: Chain, size: int = FIRST_BATCH) -> None:
        self.chain = chain
        self._size = self._most = size

    def ask(self, questions: Sequence[Request]) -> list[Any]:
        """The raw results, in order.

        Raises: ChainUnreachable; NodeRefused where a single request is refused; StrangeAnswer.
        """
        found: list[Any] = []
        while len(found) < len(questions):
            part = questions[len(found) : len(found) + self._size]
            try:
                found += self._post(part)
            except ChainError as error:
                if len(part) == 1 or not may_be_too_much(error):
                    raise
                self._size = max(1, len(part) // 2)
            else:
                self._size = min(self._size * 2, self._most)
        return found

    def _post(self, part: Sequence[Request]) -> list[Any]:
        url = self.chain.rpc_url
        calls = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": given}
            for number, (method, given) in enumerate(part)
        ]
        body = orjson.dumps(calls if len(calls) > 1 else calls[0])
        try:
            answers = orjson.loads(self.chain.post(body))
        except orjson.JSONDecodeError as error:
            raise StrangeAnswer(url, "no JSON") from error
        if len(calls) == 1 and isinstance(answers, dict):
            return [_result(url, answers)]
        if isinstance(answers, dict):
            raise NodeRefused(url, _words(answers))
        listed = answers if isinstance(answers, list) else []
        by_number = {one["id"]: one for one in listed if isinstance(one, dict) and isinstance(one.get("id"), int)}
        if len(listed) != len(calls) or set(by_number) != set(range(len(calls))):
            raise StrangeAnswer(url, f"not one result for each of {len(calls)} requests")
        return [_result(url, by_number[number]) for number in range(len(calls))]


def may_be_too_much(error: ChainError) -> bool:
    """Whether asking for less can help: the node refused, or it took too long."""
    if isinstance(error, ChainUnreachable):
        return isinstance(error.__cause__, _TOO_MUCH)
    return isinstance(error, NodeRefused)


def _result(url: str, answer: dict[str, Any]) -> Any:
    if "error" in answer or "result" not in answer:
        raise NodeRefused(url, _words(answer))
    return answer["result"]


def _words(answer: dict[str, Any]) -> str:
    error = answer.get("error")
    message = error.get("message") if isinstance(error, dict) else None
    return str(message or "no result")[:300].rstrip(".")
