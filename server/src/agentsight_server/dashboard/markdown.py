"""What people and assistants wrote, as safe HTML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape

# Beyond this a message is shown as it is: hostile text takes the square of its length to parse.
LONGEST_MARKDOWN = 12_000
_LONGEST_COLOURED_JSON = 60_000
# What nobody can read and no browser follows is no link.
_LONGEST_ADDRESS = 2_000
# Text whose HTML is out of all proportion is shown as it was written: so many times its length, and what a short
# text with a few links may take.
_TIMES, _FREE = 10, 4_000

_TAGS = {
    "a", "blockquote", "br", "code", "del", "div", "em", "hr", "li", "ol", "p",
    "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
# Text of one line with none of Markdown's signs needs no parser: most messages are such.
_PLAIN = re.compile(r"\A(?!\s*(?:[-+]\s|--|==|\d+[.)]\s))[^\\`*_\[\]<>#~|\n&]*\Z")
_ADDRESS = re.compile(r"\bhttps?://[^\s<>\"'`]+", re.IGNORECASE)
_CLOSING = {")": "(", "]": "[", "}": "{"}


def _address_length(text: str) -> int:
    """How much of the text, from its start, is the address: not the full stop after it."""
    end = len(text)
    unopened = {last: text.count(last) - text.count(first) for last, first in _CLOSING.items()}
    while end > 8:
        last = text[end - 1]
        if unopened.get(last, 0) > 0:
            unopened[last] -= 1
        elif last not in ".,;:!?*_~":
            break
        end -= 1
    return end


def _split_addresses(text: str) -> Iterable[tuple[str, bool]]:
    """The text in pieces, each with whether it is an address."""
    at = 0
    for match in _ADDRESS.finditer(text):
        end = match.start() + _address_length(match.group())
        if end - match.start() > _LONGEST_ADDRESS:
            continue
        if match.start() > at:
            yield text[at : match.start()], False
        yield text[match.start() : end], True
        at = end
    if at < len(text):
        yield text[at:], False


def _link_addresses(children: Sequence[Token]) -> list[Token]:
    """Make links of bare addresses, outside links that stand already."""
    linked: list[Token] = []
    depth = 0
    for token in children:
        depth += (token.type == "link_open") - (token.type == "link_close")
        if token.type != "text" or depth or "://" not in token.content:
            linked.append(token)
            continue
        for piece, is_address in _split_addresses(token.content):
            text = Token("text", "", 0, content=piece)
            if is_address:
                linked.append(Token("link_open", "a", 1, attrs={"href": piece}))
                linked.append(text)
                linked.append(Token("link_close", "a", -1))
            else:
                linked.append(text)
    return linked


def _image(_: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: dict[str, Any]) -> str:
    # Pictures from elsewhere are never fetched: they would tell a stranger who reads this, and when.
    token = tokens[index]
    source = escapeHtml(str(token.attrs.get("src", "")))
    label = escapeHtml(token.content or "Image")
    return f'<a href="{source}">{label}</a>'


def _heading_open(
    _: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: dict[str, Any]
) -> str:
    # Headings inside a message are no headings of the page.
    return '<p class="md-heading">'


def _heading_close(
    _: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: dict[str, Any]
) -> str:
    return "</p>"


def _table_open(
    _: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: dict[str, Any]
) -> str:
    return '<div class="md-table"><table>'


def _table_close(
    _: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: dict[str, Any]
) -> str:
    return "</table></div>"


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    # A chat message needs no list of references, and one long address named once could be repeated a thousand times.
    parser.disable("reference")

    def link_addresses(state: Any) -> None:
        for token in state.tokens:
            if token.type == "inline" and token.children and "://" in token.content:
                token.children = _link_addresses(token.children)

    parser.core.ruler.push("link_addresses", link_addresses)
    parser.add_render_rule("image", _image)
    parser.add_render_rule("heading_open", _heading_open)
    parser.add_render_rule("heading_close", _heading_close)
    parser.add_render_rule("table_open", _table_open)
    parser.add_render_rule("table_close", _table_close)
    return parser


_markdown = _parser()
_cleaner = nh3.Cleaner(
    tags=_TAGS,
    attributes={"a": {"href", "title"}, "ol": {"start"}},
    allowed_classes={"div": {"md-table"}, "p": {"md-heading"}},
    # What scrolls sideways can be reached by keyboard.
    set_tag_attribute_values={
        "a": {"target": "_blank"},
        "div": {"tabindex": "0"},
        "pre": {"tabindex": "0"},
    },
    link_rel="noopener noreferrer nofollow",
    url_schemes={"http", "https", "mailto", "tel"},
)


def markdown(text: str) -> Markup:
    """An assistant's message: Markdown without raw HTML, cleaned.

    Example:
        >>> markdown("It is **free**.")
        Markup('<p>It is <strong>free</strong>.</p>\\n')
    """
    if "://" not in text and _PLAIN.match(text):
        return Markup("<p>{}</p>").format(text.strip())
    if len(text) > LONGEST_MARKDOWN:
        return plain(text)
    html = _markdown.render(text)
    if not _in_proportion(html, text):
        return plain(text)
    return Markup(_cleaner.clean(html))  # noqa: S704 - cleaned on the line itself


def _in_proportion(html: str, text: str) -> bool:
    return len(html) <= _TIMES * len(text) + _FREE


def plain(text: str) -> Markup:
    """A person's message: the words as typed, with lines kept and addresses as links.

    Example:
        >>> plain("1 < 2")
        Markup('<p class="as-typed">1 &lt; 2</p>')
    """
    if "://" not in text:
        return Markup('<p class="as-typed">{}</p>').format(text.strip())
    pieces = [
        Markup('<a href="{0}" target="_blank" rel="noopener noreferrer nofollow">{0}</a>').format(piece)
        if is_address
        else escape(piece)
        for piece, is_address in _split_addresses(text.strip())
    ]
    html = Markup('<p class="as-typed">{}</p>').format(Markup("").join(pieces))
    return html if _in_proportion(html, text) else Markup('<p class="as-typed">{}</p>').format(text.strip())


# Over escaped text: a quoted string with the colon after it, a word, a number.
_JSON_PARTS = re.compile(
    r"(&#34;(?:\\.|[^&\\]|&(?!#34;))*&#34;)(\s*:)?|\b(true|false|null)\b|(?<![\w&#])(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\b"
)


def _colour(match: re.Match[str]) -> str:
    quoted, colon, word, digits = match.groups()
    if quoted:
        return f"<b>{quoted}</b>{colon}" if colon else f"<i>{quoted}</i>"
    return f"<u>{word or digits}</u>"


def pretty(value: Any) -> Markup:
    """Arguments, answers and metadata as indented, coloured text. Text that holds JSON is opened up.

    Example:
        >>> pretty({"city": "Split"})
        Markup('{\\n  <b>&#34;city&#34;</b>: <i>&#34;Split&#34;</i>\\n}')
    """
    if isinstance(value, str):
        stripped = value.strip()
        if stripped[:1] not in {"{", "["}:
            return escape(value)
        try:
            value = json.loads(stripped)
        except (ValueError, RecursionError):
            return escape(value)
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False)
        plainly = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return escape(str(value))
    if not _in_proportion(text, plainly):  # deep inside, each line begins with more blanks than it has words
        return escape(plainly)
    if len(text) > _LONGEST_COLOURED_JSON:
        return escape(text)
    return Markup(_JSON_PARTS.sub(_colour, str(escape(text))))  # noqa: S704 - escaped on the line itself
