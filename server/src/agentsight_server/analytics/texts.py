"""What the columns keep of a message's text: a number of its normal form, and whether it asks. Never the text."""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

# What is left out between words: punctuation, separators, symbols, control characters.
_FOLDED = frozenset("PZSC")
_MARKS = (
    "?\u037e\u055e\u061f\u1367\u1945\u203d\u2047\u2048\u2049\u2cfa\u2cfb\u2e2e\ua60f\ua6f7\ufe16\ufe56\uff1f"
)
_ASKING = re.compile(rf"[{_MARKS}][^\w]*\Z")
# On a Greek keyboard the question mark is a semicolon.
_GREEK_ASKING = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff][^\w;]*;[^\w]*\Z")
_NUMBER = re.compile("##+")


class _Folding(dict[int, str]):
    """What becomes of a character; worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kind = unicodedata.category(character)
        folded = " " if kind[0] in _FOLDED else "#" if kind == "Nd" else character
        self[code] = folded
        return folded


_folding = _Folding()


def normal_form(text: str) -> str:
    """A text without what differs between two that say the same: NFKC, lower case, a number as #, spaces and
    punctuation as one space.

    Example:
        >>> normal_form("Your order  #12,345 is on its way!")
        'your order # # is on its way'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    words = " ".join(text.lower().translate(_folding).split())
    return _NUMBER.sub("#", words) if "##" in words else words


def fingerprint(text: str | None) -> int | None:
    """64 bits of the normal form, the same in every process; None where nothing is left of it.

    Example:
        >>> fingerprint("It costs 5 EUR.") == fingerprint("it costs 12 eur")
        True
    """
    words = normal_form(text) if text else ""
    return (
        int.from_bytes(blake2b(words.encode(), digest_size=8).digest(), "big", signed=True) if words else None
    )


def asks(text: str | None) -> bool:
    """Whether a text ends in a question mark of any script; what is no letter or number may follow.

    Example:
        >>> asks("Anything else? \U0001f642"), asks("Is it? Yes."), asks("\u0395\u03af\u03bd\u03b1\u03b9;")
        (True, False, True)
    """
    if not text:
        return False
    if text[-1] == "?":
        return True
    end = text[-200:]
    return bool(_ASKING.search(end) or (";" in end and _GREEK_ASKING.search(end)))
