"""Texts on a page that stays small enough to be read, whatever was written into them."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import msgspec
from markupsafe import Markup, escape

from agentsight_server.dashboard.markdown import markdown, plain, pretty

# A message longer than this, or of more lines, is folded until it is opened.
HUGE = 6_000
_MANY_LINES = 80
# Characters of HTML that the texts of one page may take. Then each still shows its beginning.
ROOM = 3_000_000
_BEGINNING = 300
# Processor time for the Markdown of one page, in seconds. Hostile text takes half a second a message; 500 usual ones
# take a quarter together. Then messages are shown as they were typed.
_MARKDOWN_SECONDS = 1.0


class Text(msgspec.Struct):
    """A text as it stands on the page.

    Attributes:
        folded: it is so long that only its upper part is seen until it is opened.
        upto: how many of its characters stand here; 0 when it is whole.
    """

    html: Markup
    folded: bool = False
    upto: int = 0


class Texts:
    """The texts of one page.

    Args:
        longest: characters of one text that may stand on the page.
        room: characters of HTML for all texts together.

    Example:
        >>> Texts(20_000).said("It is **free**.", written=True).html
        Markup('<p>It is <strong>free</strong>.</p>\\n')
    """

    def __init__(self, longest: int, room: int = ROOM) -> None:
        self.longest = longest
        self._room = room
        self._seconds = _MARKDOWN_SECONDS

    def said(self, text: str, *, written: bool) -> Text:
        """What was said; `written` as Markdown, as assistants do, or typed."""
        shown = self._beginning(text)
        whole = len(shown) == len(text)
        html = self._markdown(shown) if written and whole and self._seconds > 0 else plain(shown)
        self._room -= len(html)
        folded = len(shown) > HUGE or shown.count("\n") > _MANY_LINES
        return Text(html, folded, 0 if whole else len(shown))

    def raw(self, text: str | None) -> Text | None:
        """A text that is no message: an error."""
        if not text:
            return None
        shown = self._beginning(text)
        return self._took(Text(escape(shown), upto=0 if len(shown) == len(text) else len(shown)))

    def details(self, text: str | None) -> Text | None:
        """JSON text as it is shown, or None where there is nothing in it."""
        if not text or text in ("{}", "null", "[]", '""'):
            return None
        shown = self._beginning(text)
        if len(shown) < len(text):
            return self._took(Text(escape(shown), upto=len(shown)))
        # Metadata says the same beside every message of a bot; what is short is kept.
        html = _short_details(text) if len(text) <= 300 else _shown(text)
        return None if html is None else self._took(Text(html))

    def _took(self, text: Text) -> Text:
        self._room -= len(text.html)
        return text

    def _beginning(self, text: str) -> str:
        limit = self.longest if self._room > 0 else _BEGINNING
        if len(text) <= limit:
            return text
        # Rather not in the middle of a word.
        near = limit - min(200, limit // 2)
        for end in ("\n", " "):
            found = text.rfind(end, near, limit)
            if found > 0:
                return text[: found + 1]
        return text[:limit]

    def _markdown(self, text: str) -> Markup:
        began = time.thread_time()
        html = markdown(text)
        self._seconds -= time.thread_time() - began
        return html


@lru_cache(maxsize=2_000)
def _short_details(text: str) -> Markup | None:
    return _shown(text)


def _shown(text: str) -> Markup | None:
    value: Any
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        value = text
    return None if value in (None, {}, [], "") else pretty(value)
