"""Writes domain/locales.json: how numbers are written in each language, from CLDR by way of Babel.

A development tool: Babel and its data are 33 MB, what the dashboard needs of them is 5 KB. Run it after Babel was
updated: `python server/make_locales.py`; a test compares the file with Babel.
"""

from __future__ import annotations

import json
from pathlib import Path

from babel import Locale
from babel.localedata import locale_identifiers

FILE = Path(__file__).parent / "src" / "agentsight_server" / "domain" / "locales.json"


def table() -> dict[str, str]:
    """Language tag → decimal mark, mark between groups, and "2" where groups above the first have two digits.

    A tag that is written as the shorter tag before it is left out.
    """
    found: dict[str, str] = {}
    for name in sorted(locale_identifiers(), key=lambda each: (each.count("_"), each)):
        locale = Locale.parse(name)
        marks = locale.number_symbols["latn"]
        groups = locale.decimal_formats[None].grouping
        written = marks["decimal"] + marks["group"] + ("2" if groups[1] == 2 else "")
        tag = name.replace("_", "-")
        if found.get(shorter(tag, found)) != written:
            found[tag] = written
    return found


def shorter(tag: str, known: dict[str, str]) -> str:
    """The longest known tag before the last part of a tag; "en" where there is none."""
    while "-" in tag:
        tag = tag.rpartition("-")[0]
        if tag in known:
            return tag
    return "en"


if __name__ == "__main__":
    FILE.write_text(json.dumps(table(), ensure_ascii=False, indent=0, sort_keys=True) + "\n", "utf-8")
