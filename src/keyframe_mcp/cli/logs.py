"""Log lines on standard error, as text or as JSON, with the ids they belong to and without what must not be read."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import IO
from urllib.parse import quote, quote_plus, unquote

import click

from keyframe_mcp.adapters.quotation import DATA, LONG_KEY, QUERY, REST_OF_KEY, SECRET, SHORTEST_FORM, USER, forms
from keyframe_mcp.telemetry.correlation import bearings

Ids = Callable[[], Mapping[str, str]]

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "time": "when, RFC 3339 in UTC",
        "level": "debug, info, warning, error or critical",
        "logger": "the module that says it, or the library",
        "message": "the text",
        "task_id": "the task it is about",
        "correlation_id": "the call it belongs to: the client's trace id, or 16 digits of our own",
        "trace_id": "the OpenTelemetry trace, where there is one",
        "span_id": "the span in it",
        "exception": "the traceback, on one line of JSON",
        "status": "the state a task has come into",
        "provider": "who makes it",
        "model": "with which model",
        "attempt": "which attempt to send it",
        "job_id": "the provider's id of the job",
        "provider_trace_id": "the provider's name for the exchange, for its support",
        "seconds": "from accepting a task to its end",
        "counted_usd": "what it counts for in budgets",
        "error_kind": "why it failed, or is unknown",
        "is_open": "whether a provider is left alone from now on",
    }
)
"""The fields of a JSON line. The first four are in every line."""
TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
NAMED_LIKE_A_SECRET = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|HEADER|CREDENTIAL)(S?)$", re.IGNORECASE)
AUTHORIZATION = re.compile(
    r"(?i)(authorization['\"]?\s*[:=,]\s*(?:b(?=['\"]))?['\"]?)(?:(?:bearer|basic|key|token)\s+)?[^\s\"',;)}\]]+"
)
RELATIVE_QUERY = re.compile(r"(?<=[\w/%.~-])\?[\w.%~-]+=[^\s\"'<>]*")
LOUD = ("httpx", "httpcore", "httpx2", "httpcore2", "urllib3")
"""They log whole URLs, and headers, in which a provider may repeat a key."""


class Redaction:
    """Takes keys, credentials and the queries of URLs out of a text. A secret shorter than eight characters stays."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Further secrets."""
        self._secrets |= {each for each in secrets if len(each) >= SHORTEST_FORM}
        spelled = sorted({form for each in self._secrets for form in written(each)}, key=len, reverse=True)
        begun = [re.escape(each[: LONG_KEY // 2]) + REST_OF_KEY for each in self._secrets if len(each) > LONG_KEY]
        parts = [*map(re.escape, spelled), *begun]
        self._pattern = re.compile("|".join(parts), re.IGNORECASE) if parts else None

    def __call__(self, text: str) -> str:
        """The text, with `[key]` where one was."""
        if self._pattern is not None:
            text = self._pattern.sub("[key]", text)
        text = SECRET.sub("[key]", AUTHORIZATION.sub(r"\1[key]", DATA.sub("data:...", text)))
        return RELATIVE_QUERY.sub("?...", QUERY.sub(r"\1?...", USER.sub(r"\1", text)))


def written(secret: str) -> set[str]:
    """A secret in every way in which a line may have it."""
    return {*forms(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}


def secrets_in(environment: Mapping[str, str]) -> Iterable[str]:
    """The values of variables that are named like secrets. Some are lists: `who:secret, who:secret`, `name=secret`."""
    for name, value in environment.items():
        named = NAMED_LIKE_A_SECRET.search(name)
        if named and named[1]:
            yield from (unquote(re.split("[:=]", part, maxsplit=1)[-1].strip()) for part in value.split(","))
        elif named:
            yield value.strip()


def no_ids() -> Mapping[str, str]:
    """Where there are no traces."""
    return {}


class TextLines(logging.Formatter):
    """Lines for people."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__(TEXT)
        self.redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        """The line, and after it a traceback if there is one."""
        line = self.redaction(super().format(record))
        correlation = facts_of(record).get("correlation_id") or bearings().correlation_id
        if correlation is None:
            return line
        first, *rest = line.split("\n", 1)
        return "\n".join([f"{first} [{correlation}]", *rest])


class JsonLines(logging.Formatter):
    """One JSON object a line, for programs."""

    def __init__(self, redaction: Redaction, ids: Ids = no_ids) -> None:
        super().__init__()
        self.redaction = redaction
        self._ids = ids

    def format(self, record: logging.LogRecord) -> str:
        """The object. A field without a value is left out."""
        here = bearings()
        fields: dict[str, object | None] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "task_id": here.task_id,
            "correlation_id": here.correlation_id,
            **self._ids(),
            **facts_of(record),
            "exception": self._exception(record),
        }
        clean = {name: self._clean(value) for name, value in fields.items() if value is not None}
        return json.dumps(clean, ensure_ascii=True, default=str)

    def _exception(self, record: logging.LogRecord) -> str | None:
        if record.exc_info and record.exc_info[0] is not None:
            return self.formatException(record.exc_info)
        return record.exc_text

    def _clean(self, value: object) -> object:
        return self.redaction(value) if isinstance(value, str) else value


def facts_of(record: logging.LogRecord) -> dict[str, object]:
    """The fields a line brings along."""
    return getattr(record, "facts", {})


def log_to(stream: IO[str], level: str, lines: logging.Formatter) -> None:
    """Log there, unless somebody has set logging up already."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(lines)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)


def redact(secrets: Iterable[str]) -> None:
    """Leave further secrets out of the lines from here on."""
    known = tuple(secrets)
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, TextLines | JsonLines):
            handler.formatter.redaction.learn(known)


def announce(text: str) -> None:
    """Tell a person who has just started something, whatever the level: as a line of the log where that is JSON."""
    root, log = logging.getLogger(), logging.getLogger("keyframe_mcp")
    if any(isinstance(handler.formatter, JsonLines) for handler in root.handlers):
        log.handle(log.makeRecord(log.name, logging.INFO, "", 0, text, (), None))
    else:
        click.echo(text, err=True)


def log_what_escapes() -> None:
    """Warnings of libraries and the traceback of a crash as log lines: else they would be no JSON."""
    logging.captureWarnings(capture=True)
    log = logging.getLogger("keyframe_mcp")
    sys.excepthook = lambda kind, error, trace: log.critical("the program broke", exc_info=(kind, error, trace))
