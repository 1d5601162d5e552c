"""Logs: one line an effect, for people or as JSON, to standard error or a file.

Everything that this process says goes through one handler: our events, other libraries' loggers, Python's warnings, and
the traceback of what nobody caught. A line is one line: text from chain, IPFS or a peer can't begin another one, nor
steer a terminal. What the settings hold as secret is struck out, wherever it comes from.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import math
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from ledger.errors import BadInput
from node.errors import escaped

STRUCK_OUT = "***"


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
    handler.setFormatter(
        _Formatter(
            setup.secrets,
            setup.as_json,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(setup.as_json, colors)],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
        )
    )
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _Ours)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if setup.verbose else logging.INFO),
        logger_factory=_OwnLoggers(handler),
    )


def logs_are_json() -> bool:
    """Whether this process logs JSON to standard error: then everything else that goes there must be JSON too."""
    return any(ours.as_json and not isinstance(handler, _ToFile) for handler, ours in _formatters())


def struck_out(text: str) -> str:
    """Text without the secrets that the logs were told of."""
    for _, ours in _formatters():
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


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Renders a record, then strikes the secrets out of the whole line, whichever field they came in."""

    def __init__(self, secrets: Sequence[str], as_json: bool, **options: Any) -> None:
        super().__init__(**options)
        self.as_json = as_json
        self._secrets = sorted({form for secret in secrets if secret for form in _forms(secret)}, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        return self.strike(super().format(record))

    def strike(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, STRUCK_OUT)
        return text


def _formatters() -> list[tuple[logging.Handler, _Formatter]]:
    handlers = logging.getLogger().handlers
    return [(one, one.formatter) for one in handlers if isinstance(one.formatter, _Formatter)]


def _forms(secret: str) -> set[str]:
    """A secret as it looks in text and in JSON."""
    return {secret, json.dumps(secret)[1:-1], escaped(secret)}


def _rendering(as_json: bool, colors: bool) -> list[Processor]:
    if as_json:
        return [_plain, structlog.processors.JSONRenderer(default=str)]
    for_people = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    return [_printable, for_people]


def _plain(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """The event in values that JSON has; it escapes text itself."""
    return {str(name): _clean(value, str) for name, value in event.items()}


def _printable(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """The event with nothing in it that a terminal would obey; a traceback keeps its lines, each with a mark."""
    trace = event.pop("exception", None)
    clean: EventDict = {escaped(str(name)): _clean(value, _escaped) for name, value in event.items()}
    if trace is not None:
        clean["exception"] = "\n".join(f"  | {escaped(line)}" for line in str(trace).splitlines())
    return clean


def _clean(value: Any, text: Callable[[object], str]) -> Any:
    if isinstance(value, Mapping):
        return {text(key): _clean(item, text) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item, text) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | None) else text(value)


def _escaped(value: object) -> str:
    return escaped(str(value))


def _uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None and told.exc_type is not SystemExit:
        log_crash(told.exc_value)
