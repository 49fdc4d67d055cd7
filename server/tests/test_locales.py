"""Numbers stand on a page as the viewer's language writes them; the words around them stay English."""

from __future__ import annotations

import importlib.util
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx
import pytest
from babel import Locale
from babel.localedata import locale_identifiers
from babel.numbers import format_decimal

from agentsight_server.dashboard import formats
from agentsight_server.domain import locales
from tests.serving import ServerProcess


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    yield
    locales.CURRENT.set(locales.ENGLISH)


def made_by() -> ModuleType:
    """The program that writes the table."""
    path = Path(__file__).parents[1] / "make_locales.py"
    spec = importlib.util.spec_from_file_location("make_locales", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_what_babel_says() -> None:
    module = made_by()
    assert json.loads(module.FILE.read_text("utf-8")) == module.table(), "run server/make_locales.py"


def test_numbers_are_written_as_babel_writes_them() -> None:
    for name in locale_identifiers():
        if Locale.parse(name).decimal_formats[None].grouping[0] != 3 or "POSIX" in name:
            continue  # Toki Pona; what no browser asks for
        locales.CURRENT.set(locales.preferred(name.replace("_", "-")))
        for value in (0, 7, 1284, 123_456, 12_345_678.5, -1_234.5):
            babels = format_decimal(value, locale=Locale.parse(name), numbering_system="latn")
            assert locales.localise(f"{value:,}") == babels.replace("\u200e", "").replace("\u2212", "-"), name


@pytest.mark.parametrize(
    ("header", "tag", "shown"),
    [
        ("", "en", "1,284.5"),
        ("de", "de", "1.284,5"),
        ("de-CH,de;q=0.9", "de-CH", "1’284.5"),
        ("en;q=0.3, HR-hr;q=0.8", "hr-HR", "1.284,5"),
        ("fr;q=0.9,*;q=0.1", "fr", "1\u202f284,5"),
        ("zh-hant-tw", "zh-Hant-TW", "1,284.5"),
        ("ca-ES-valencia", "ca-ES-valencia", "1.284,5"),
        ("xx,de;q=0.5", "xx", "1,284.5"),
        ("de;q=0, sv;q=0.001", "sv", "1\xa0284,5"),
        ("de;q=x, <script>, a b c", "en", "1,284.5"),
        ("\x00\xff" * 4000, "en", "1,284.5"),
    ],
)
def test_the_language_that_is_liked_best(header: str, tag: str, shown: str) -> None:
    marks = locales.preferred(header)
    locales.CURRENT.set(marks)
    assert (marks.tag, locales.localise("1,284.5")) == (tag, shown)


def test_figures_follow_and_words_stay() -> None:
    locales.CURRENT.set(locales.preferred("de"))
    assert formats.number(1284) == "1.284"
    assert formats.compact(12_873) == "12,9k"
    assert formats.size(1_536_000) == "1,5 MB"
    assert formats.duration(1100) == "1,1 s"
    assert formats.plural(1284, "message") == "1.284 messages"
    assert formats.number(None) == formats.ABSENT


def test_a_page_is_written_for_the_browser_that_asks(sqlite_server: ServerProcess) -> None:
    agent = sqlite_server.agent()
    with agent.client() as client:
        for at in range(3):
            names = [{"conversation_id": f"many-{at}-{n}", "items": [], "is_used": True} for n in range(400)]
            assert client.post("/api/ingest/batch/", json={"conversations": names}).status_code == 200
    email = f"{uuid.uuid4().hex}@example.com"
    sqlite_server.person(email)
    with httpx.Client(base_url=sqlite_server.address, headers={"Accept": "text/html"}, timeout=30) as person:
        person.post("/sign-in", data={"email": email, "password": "correct horse battery"})
        path = f"/agents/{agent.id}/conversations/"
        english = person.get(path)
        german = person.get(path, headers={"Accept-Language": "de-DE,de;q=0.9"})
    assert 'data-locale="en"' in english.text
    assert 'data-locale="de-DE"' in german.text
    assert '<html lang="en"' in german.text
    assert "1,200" in english.text
    assert "1.200" in german.text
    assert "Accept-Language" in german.headers["vary"]


def test_what_is_kept_for_everybody_is_in_nobodys_language(sqlite_server: ServerProcess) -> None:
    with httpx.Client(base_url=sqlite_server.address, timeout=30) as client:
        for language in ("de", "fr"):
            page = client.get("/api/docs", headers={"Accept-Language": language, "Cookie": "theme=dark"})
            assert 'data-locale="en"' in page.text
