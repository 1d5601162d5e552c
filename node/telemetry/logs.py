"""Logs: one line an effect, for people or as JSON, to standard error or a file.

Everything that this process says goes through one handler: our events, other libraries' loggers, Python's warnings, and
the traceback of what nobody caught. A line is one line: text from chain, IPFS or a peer can't begin another one, nor
steer a terminal. What the settings hold as secret is struck out, wherever it comes from.
"""

from __future__ import annotations

import logging
import logging.handlers
import math
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from ledger.errors import BadInput
from node.errors import escaped

STRUCK_OUT = "***"
EXACT_IN_JSON = 2**53
"""Integers from here on, such as amounts, are written as text: readers of JSON round them."""
SHORTEST_SECRET = 4
"""Shorter ones are no secrets, and struck out they would make the rest unreadable."""


class LogFileUnwritable(BadInput):
    def __init__(self, path: Path, detail: str) -> None:
        self.path, self.detail = path, detail
        super().__init__(f"The log can't be written to {path} ({detail}). Choose another --log-file.")


@dataclass(frozen=True)
class LogSetup:
    """How to log.

    as_json: one JSON object a line instead of text.
    verbose: details of ours too; other libraries are heard from warnings on, for some of them log whole requests.
    file:    where to; None for standard error. It may be moved away by a log rotation at any time.
    secrets: texts that never appear.
    """

    as_json: bool = False
    verbose: bool = False
    file: Path | None = None
    secrets: Sequence[str] = ()


def configure_logs(setup: LogSetup) -> None:
    """Set up the logs of this process; calling it again replaces what was set up.

    Raises: LogFileUnwritable.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
    ]
    colors = setup.file is None and not setup.as_json and sys.stderr.isatty()
    handler = _handler(setup.file)
    cleaning = _Cleaning(setup.secrets, setup.as_json)
    handler.setFormatter(_Formatter(cleaning, colors, [structlog.stdlib.add_logger_name, *shared]))
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _Ours)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    logging.captureWarnings(True)
    logging.getLogger("absl").setLevel(logging.ERROR)  # a bound that the accounting left out, as it may
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if setup.verbose else logging.INFO),
        logger_factory=_OwnLoggers(handler),
    )


def logs_are_json() -> bool:
    """Whether this process logs JSON to standard error: then everything else that goes there must be JSON too."""
    return any(ours.as_json and not isinstance(handler, _ToFile) for handler, ours in _cleanings())


def struck_out(text: str) -> str:
    """Text without the secrets that the logs were told of."""
    for _, ours in _cleanings():
        text = ours.strike(text)
    return text


@contextmanager
def crashes_logged() -> Iterator[None]:
    """Log what no thread caught, while the context is open."""
    before, threading.excepthook = threading.excepthook, _uncaught_in_thread
    try:
        yield
    finally:
        threading.excepthook = before


def log_crash(error: BaseException) -> None:
    """An error that nobody expected, with its traceback, as one event."""
    structlog.get_logger().critical("crashed", error=f"{type(error).__name__}: {error}", exc_info=error)


class _Ours:
    """Marks our handlers, so that they are replaced and others' left alone."""


class _ToStandardError(_Ours, logging.StreamHandler[Any]):
    """Writes to what `sys.stderr` is at that moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr


class _ToFile(_Ours, logging.handlers.WatchedFileHandler):
    pass


def _handler(file: Path | None) -> logging.Handler:
    if file is None:
        return _ToStandardError()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return _ToFile(file, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise LogFileUnwritable(file, error.strerror or str(error)) from error


class _OwnLoggers:
    """Makes the loggers under our events: they write to our handler, whatever level others are heard from."""

    def __init__(self, handler: logging.Handler) -> None:
        self._logger = logging.Logger("fedbounty", logging.DEBUG)
        self._logger.addHandler(handler)

    def __call__(self, *_: Any) -> logging.Logger:
        return self._logger


class _Cleaning:
    """The step before rendering: text without secrets, on one line, and values that JSON has."""

    def __init__(self, secrets: Sequence[str], as_json: bool) -> None:
        self.as_json = as_json
        forms = {form for one in secrets for form in (one, escaped(one), repr(one)[1:-1])}
        self._secrets = sorted((form for form in forms if len(form) >= SHORTEST_SECRET), key=len, reverse=True)

    def __call__(self, _logger: Any, _name: str, event: EventDict) -> EventDict:
        trace = None if self.as_json else event.pop("exception", None)
        clean: EventDict = {self._text(name): self._value(value) for name, value in event.items()}
        if trace is not None:  # keeps its lines, each with a mark
            clean["exception"] = "\n".join(f"  | {escaped(line)}" for line in self.strike(str(trace)).splitlines())
        return clean

    def strike(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, STRUCK_OUT)
        return text

    def _value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {self._text(key): self._value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._value(item) for item in value]
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        if isinstance(value, int) and abs(value) >= EXACT_IN_JSON:
            return str(value)
        return value if isinstance(value, bool | int | float | None) else self._text(value)

    def _text(self, value: object) -> str:
        """JSON escapes by itself; a terminal obeys what is not escaped."""
        text = self.strike(str(value))
        return text if self.as_json else escaped(text)


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Renders our events and other libraries' records."""

    def __init__(self, cleaning: _Cleaning, colors: bool, foreign: Sequence[Processor]) -> None:
        self.cleaning = cleaning
        for_people = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
        renderer: Processor = structlog.processors.JSONRenderer() if cleaning.as_json else for_people
        steps: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, cleaning, renderer]
        super().__init__(processors=steps, foreign_pre_chain=foreign)


def _cleanings() -> list[tuple[logging.Handler, _Cleaning]]:
    handlers = logging.getLogger().handlers
    return [(one, one.formatter.cleaning) for one in handlers if isinstance(one.formatter, _Formatter)]


def _uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None and told.exc_type is not SystemExit:
        log_crash(told.exc_value)
