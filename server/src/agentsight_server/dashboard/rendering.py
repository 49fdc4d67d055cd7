"""Templates, and what they may call: icons, addresses of built files, numbers and times."""

from __future__ import annotations

import functools
import json
from datetime import tzinfo
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from agentsight_server.dashboard import formats, markdown, names
from agentsight_server.domain import locales

HERE = Path(__file__).parent
STATIC = HERE / "static"
STATIC_URL = "/static/"


class AssetsMissingError(RuntimeError):
    """The web assets were not built; the text says how to build them."""


@functools.cache
def _built(name: str) -> dict[str, str]:
    try:
        content: dict[str, str] = json.loads((STATIC / name).read_text("utf-8"))
    except FileNotFoundError:
        raise AssetsMissingError("the dashboard's assets are not built: run `make web`") from None
    return content


def static(name: str) -> str:
    """The address of a built file, which carries a hash of its content.

    Raises:
        AssetsMissingError: the assets were not built.
        KeyError: there is no such file.
    """
    return STATIC_URL + _built("manifest.json")[name]


@functools.cache
def built_files() -> frozenset[str]:
    """The files that may be served."""
    return frozenset(_built("manifest.json").values())


@functools.lru_cache(maxsize=512)
def icon(name: str, css: str = "") -> Markup:
    """An outline icon of the Tabler set, in the colour and size of the text around it.

    Raises:
        KeyError: the icon was not copied by the build: name it as `icon("sun")` or `Icon("sun")`.
    """
    return Markup(  # noqa: S704 - the build's own drawings
        f'<svg class="icon{" " + css if css else ""}" viewBox="0 0 24 24" fill="none" stroke="currentColor"'
        ' stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">'
        f"{_built('icons.json')[name]}</svg>"
    )


@functools.lru_cache(maxsize=64)
def symbol(name: str) -> Markup:
    """An icon's drawing, kept once on a page for `icon_use`: a long transcript repeats a few icons often."""
    drawing = Markup(_built("icons.json")[name])  # noqa: S704 - the build's own
    return Markup('<symbol id="i-{}" viewBox="0 0 24 24">{}</symbol>').format(name, drawing)


@functools.lru_cache(maxsize=64)
def icon_use(name: str) -> Markup:
    """An icon whose drawing stands elsewhere on the page as a `symbol`."""
    return Markup('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>').format(name)


def monogram(name: str) -> str:
    """One or two letters that stand for a name.

    Example:
        >>> monogram("Hotel desk")
        'HD'
    """
    words = [word for word in name.replace("-", " ").replace("_", " ").split() if word[0].isalnum()]
    if not words:
        return "·"
    return (words[0][0] + (words[1][0] if len(words) > 1 else "")).upper()


def hue(number: int) -> int:
    """Which of the eight series colours is an agent's own: agents made one after the other look different."""
    return number % 8


def _zone(context: Context) -> tzinfo:
    tz = context["tz"]
    assert isinstance(tz, tzinfo)
    return tz


@pass_context
def _time(context: Context, at: int, form: str = "ago") -> Markup:
    """A `<time>` element: `ago`, `moment`, `clock`, `day` or `exact`. Hovering shows the exact moment."""
    tz, now = _zone(context), context["now"]
    exact = formats.exact(at, tz)
    moving = ""
    if form == "ago":
        text = formats.ago(at, now, tz)
        # Only what is younger than a day changes while the page is open.
        moving = " data-ago" if now - at < formats.DAY else ""
    elif form == "clock":
        text = formats.clock(at, tz)
    elif form == "moment":
        text = formats.moment(at, now, tz)
    else:
        text = formats.day(at, tz) if form == "day" else exact
    # Built by hand: a long transcript has thousands. Digits and names of months and zones need no escaping.
    return Markup(f'<time datetime="{formats.iso(at)}" title="{exact}"{moving}>{text}</time>')  # noqa: S704


@functools.cache
def environment() -> Environment:
    """The templates' environment; made once."""
    jinja = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.globals.update(
        static=static,
        locale=lambda: locales.CURRENT.get().tag,
        docs_url=names.DOCS_URL,
        icon=icon,
        # The same by another name, where the icon is not written out: the build looks for icon("sun").
        icon_of=icon,
        icon_use=icon_use,
        symbol=symbol,
        monogram=monogram,
        hue=hue,
        plural=formats.plural,
        short_day=formats.short_day,
        channel_name=names.channel_name,
        channel_icon=names.channel_icon,
        device_name=names.device_name,
        device_icon=names.device_icon,
        country_name=names.country_name,
        language_name=names.language_name,
        token_parts=names.token_parts,
        sentiment_name=names.sentiment_name,
        sentiment_icon=names.sentiment_icon,
    )
    jinja.filters.update(
        time=_time,
        iso=formats.iso,
        number=formats.number,
        compact=formats.compact,
        size=formats.size,
        duration=formats.duration,
        markdown=markdown.markdown,
        plain=markdown.plain,
        pretty=markdown.pretty,
    )
    return jinja


def render(template: str, **context: Any) -> str:
    """The text of a template.

    Args:
        template: a path under templates/, e.g. `pages/sign_in.html`.
        context: what the template reads; see `pages.page.Page` for what every page has.
    """
    return environment().get_template(template).render(context)
