"""How numbers are written where the viewer is: 1,234.5 or 1.234,5.

The texts are English, and so are the names of months, days, countries and languages among them; marks in numbers are
no words, and follow the browser's language. They come from CLDR (locales.json, see server/make_locales.py).
"""

from __future__ import annotations

import functools
import importlib.resources
import re
from contextvars import ContextVar
from typing import NamedTuple

import msgspec

__all__ = ["CURRENT", "ENGLISH", "Marks", "localise", "preferred"]

_LONGEST_HEADER = 512
_TAG = re.compile(r"[a-z]{2,3}(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?(-[a-z0-9]{5,8}){0,2}", re.IGNORECASE)
_WHOLE = re.compile(r"\d{1,3}(,\d{3})+")


class Marks(NamedTuple):
    """A language, the marks of its numbers, and whether groups above the first have two digits (12,34,567)."""

    tag: str
    decimal: str
    group: str
    in_twos: bool = False


ENGLISH = Marks("en", ".", ",")
CURRENT: ContextVar[Marks] = ContextVar("locale", default=ENGLISH)
"""That of the request at hand; http/headers.py sets it."""


@functools.lru_cache(maxsize=256)
def preferred(header: str) -> Marks:
    """The marks of the language that an Accept-Language header likes best; those of English where it says nothing.

    Example:
        >>> preferred("de-AT,de;q=0.9,en;q=0.8")
        Marks(tag='de-AT', decimal=',', group='.', in_twos=False)
        >>> preferred("*").tag
        'en'
    """
    best, most = None, 0.0
    for each in header[:_LONGEST_HEADER].split(","):
        tag, _, weight = (part.strip() for part in each.partition(";"))
        match = re.fullmatch(r"q\s*=\s*([01](\.\d{0,3})?)", weight)
        liked = 1.0 if not weight else float(match[1]) if match else 0.0
        if liked > most and _TAG.fullmatch(tag):
            best, most = tag, liked
    if best is None:
        return ENGLISH
    language, *rest = best.split("-")
    # As CLDR writes them: zh-Hant-TW.
    tag = "-".join([language.lower(), *map(_as_written, rest)])
    known, name = _table(), tag
    while name not in known and "-" in name:
        name = name.rpartition("-")[0]
    marks = known.get(name, ".,")
    return Marks(tag, marks[0], marks[1], marks.endswith("2"))


def _as_written(part: str) -> str:
    if len(part) == 4:
        return part.title()
    return part.upper() if len(part) < 4 else part.lower()


@functools.cache
def _table() -> dict[str, str]:
    text = (importlib.resources.files("agentsight_server.domain") / "locales.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, str])


def localise(text: str) -> str:
    """A number in English marks, in the viewer's; what stands around it is kept if it has no such marks.

    Example:
        >>> CURRENT.set(preferred("hi")) and localise("-1,234,567.8 s")
        '-12,34,567.8 s'
    """
    marks = CURRENT.get()
    if marks.decimal == "." and marks.group == "," and not marks.in_twos:
        return text
    if marks.in_twos:
        text = _WHOLE.sub(_in_twos, text)
    return text.translate({ord(","): marks.group, ord("."): marks.decimal})


def _in_twos(found: re.Match[str]) -> str:
    digits = found[0].replace(",", "")
    head, last = digits[:-3], digits[-3:]
    first = len(head) % 2
    groups = [head[:first], *(head[at : at + 2] for at in range(first, len(head), 2)), last]
    return ",".join(filter(None, groups))
