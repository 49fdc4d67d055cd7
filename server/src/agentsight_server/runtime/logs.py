"""Logs: one line an event, for people or as JSON, with the id of the request. Never message text, never keys."""

from __future__ import annotations

import contextvars
import datetime
import logging
import re
import secrets
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import msgspec

FORMATS = ("text", "json")
REQUEST_ID: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)
_USABLE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}\Z")
# Anything this long in an address may be a key or the secret of a link.
_LONG = re.compile(r"[A-Za-z0-9_-]{20,}")
_LONGEST = 500
_encode = msgspec.json.Encoder().encode
# Libraries that say more than anybody wants to know at an ordinary start.
_QUIET = ("alembic", "uvicorn", "httpx", "asyncio")


def configure(level: str, kind: str) -> None:
    """Send the process's log to standard error.

    Args:
        level: DEBUG, INFO, WARNING or ERROR.
        kind: `text` or `json`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if kind == "json" else TextLines())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # What no line shows need not be worked out.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class TextLines(logging.Formatter):
    """Lines for people: time, level, where from, what, the request's id."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and below it where an error came from."""
        moment = datetime.datetime.fromtimestamp(record.created).astimezone()
        text = f"{moment.isoformat(' ', 'milliseconds')} {record.levelname} {record.name}: {_message(record)}"
        identity = REQUEST_ID.get()
        if identity is not None:
            text += f" [{identity}]"
        return text + ("\n" + error_text(record.exc_info[1]) if record.exc_info else "")


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, and what the event has of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever happened."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds")[:-6] + "Z",
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        identity = REQUEST_ID.get()
        if identity is not None:
            line["request_id"] = identity
        line.update(getattr(record, "fields", ()))
        if record.exc_info:
            line["error"] = error_text(record.exc_info[1])
        return _encode(line).decode()


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if text.isprintable():
        return text
    # An address or an id may hold codes that steer a terminal.
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(text.split()))


def error_text(error: BaseException | None) -> str:
    """Where an error came from, innermost last. Of what it says, one line: the rest may hold what customers wrote.

    Example:
        >>> error_text(ValueError("one\\ntwo"))
        'ValueError: one'
    """
    parts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        first = (str(getattr(error, "orig", None) or error).strip().splitlines() or [""])[0][:_LONGEST]
        frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
        said = f"{type(error).__name__}: {first}" if first else type(error).__name__
        parts.append(f"{frames}\n{said}" if frames else said)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nwhich came of\n".join(parts)


def identity_of(given: bytes | None) -> str:
    """A request's id: the one it brought, if it is one, else a new one."""
    if given is not None:
        text = given.decode("latin-1")
        if _USABLE_ID.match(text):
            return text
    return secrets.token_hex(8)


def shown_path(scope: Mapping[str, Any]) -> str:
    """A request's path as it may stand in a log: numbers stay, what could be a secret does not.

    Example:
        >>> shown_path({"path_template": "/welcome/{token}", "path_params": {"token": "s3cret"}})
        '/welcome/{token}'
    """
    template = scope.get("path_template")
    if not template:
        return _LONG.sub("…", str(scope.get("path", "")))[:200]
    shown = str(template)
    for name, value in scope.get("path_params", {}).items():
        text = str(value)
        if text.isascii() and text.isdigit() and len(text) < 20:
            shown = re.sub(rf"\{{{re.escape(name)}(:\w+)?\}}", text, shown)
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", shown)
