"""What the settings of a key take: checked here for the command line, the REST API and the dashboard alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, get_args
from urllib.parse import urlsplit

import msgspec

from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid
from agentsight_server.domain.problems import Code, Problem, either
from agentsight_server.security import keys
from agentsight_server.store.agents import KeySettings

MOST_ORIGINS = 50
LABEL_LENGTH = 255
LARGEST_LIMIT = 10**12
LIMITS = ("items_per_minute", "items_per_day", "bytes_per_day")
SETTABLE = ("allowed_origins", *LIMITS, "expires_at")

_HOST = re.compile(
    r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*|\[[0-9a-f:.]+\]"
)
_USUAL_PORTS = {"http": 80, "https": 443}


def checked(settings: KeySettings, given: Mapping[str, Any], now: int) -> KeySettings:
    """The settings with what is given in place: texts for origins, whole numbers for limits, a datetime for the end;
    None takes a limit away.

    Args:
        now: microseconds; a key cannot be made to have ended already.

    Raises:
        Invalid: names the fields and what they take.

    Example:
        >>> checked(KeySettings(), {"items_per_minute": 60}, 0).items_per_minute
        60
    """
    values: dict[str, Any] = {}
    wrong: list[Problem] = []
    for name, value in given.items():
        try:
            values[name] = _CHECKS[name](name, value, now)
        except Invalid as error:
            wrong += error.problems
    if wrong:
        raise Invalid(*wrong)
    return msgspec.structs.replace(settings, **values)


def label(value: str) -> str:
    """What a key is for.

    Raises:
        Invalid: too long, or not one line.
    """
    text = value.strip()
    if len(text) > LABEL_LENGTH or any(ord(each) < 32 for each in text):
        raise Invalid(Problem("label", Code.FORMAT, f"one line of at most {LABEL_LENGTH} characters"))
    return text


def role(value: object) -> str:
    """What a key may do.

    Raises:
        Invalid: no role.
    """
    if value not in get_args(keys.Role):
        raise Invalid(Problem("role", Code.CHOICE, either(keys.ROLES)))
    return str(value)


def origin(text: str) -> str:
    """An origin as browsers write it: scheme, host and, where it is not the usual one, the port.

    Raises:
        Invalid: it is none.

    Example:
        >>> origin("HTTPS://Shop.Example.com:443/")
        'https://shop.example.com'
    """
    taken = "addresses such as https://shop.example.com or https://*.example.com"
    wrong = Invalid(Problem("allowed_origins", Code.FORMAT, taken, repr(text)))
    try:
        parts = urlsplit(text.strip())
        host, port = (parts.hostname or ""), parts.port
        host = host if host.isascii() else host.encode("idna").decode()
    except ValueError:
        raise wrong from None
    host = f"[{host}]" if ":" in host else host
    if (
        parts.scheme not in _USUAL_PORTS
        or parts.path not in {"", "/"}
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
        or len(host) > 255
        or any(ord(each) <= 32 for each in text.strip())
        or not _HOST.fullmatch(host)
    ):
        raise wrong
    shown = "" if port in {None, _USUAL_PORTS[parts.scheme]} else f":{port}"
    return f"{parts.scheme}://{host}{shown}"


def is_allowed(origins: Iterable[str], given: str) -> bool:
    """Whether an `Origin` header is one of them; `*.` stands for any name before the rest.

    Example:
        >>> is_allowed(["https://*.example.com"], "https://shop.example.com")
        True
    """
    given = given.lower()
    for each in origins:
        scheme, star, rest = each.partition("*")
        if each == given or (star and given.startswith(scheme) and given.endswith(rest)):
            return True
    return False


def _origins(name: str, value: Any, _: int) -> tuple[str, ...] | None:
    if value is None:
        return None
    found = tuple(dict.fromkeys(origin(each) for each in value))
    if len(found) > MOST_ORIGINS:
        raise Invalid(Problem(name, Code.TOO_MANY, f"{MOST_ORIGINS} addresses"))
    return found or None


def _limit(name: str, value: Any, _: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_LIMIT:
        raise Invalid(
            Problem(name, Code.RANGE, f"a whole number from 1 to {LARGEST_LIMIT:,}, or nothing for no limit")
        )
    return value


def _end(name: str, value: Any, now: int) -> int | None:
    if value is None:
        return None
    moment = times.from_datetime(value if value.tzinfo else value.replace(tzinfo=timezone.utc))
    if moment <= now or value.year > datetime.max.year - 2:
        raise Invalid(Problem(name, Code.RANGE, "a time that is still to come"))
    return moment


_CHECKS: dict[str, Any] = {"allowed_origins": _origins, "expires_at": _end, **dict.fromkeys(LIMITS, _limit)}
