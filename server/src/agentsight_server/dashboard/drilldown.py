"""What a list of conversations was opened for: the runs, clicks or messages that a figure counted, in words."""

from __future__ import annotations

from agentsight_server.dashboard.formats import number, plural
from agentsight_server.dashboard.names import label
from agentsight_server.domain.filters import Filters

NO_MODEL = "no named model"


def counted(filters: Filters, amount: int) -> tuple[str, str]:
    """How many events there are, in words: (52, runs of check_database).

    Example:
        >>> counted(Filters(event="tool", event_name="check_database"), 52)
        ('52', 'runs of check_database')
    """
    what, of = _noun(filters, amount)
    return number(amount), f"{what}{of}"


def phrase(filters: Filters) -> str:
    """The same as a filter.

    Example:
        >>> phrase(Filters(event="button", event_name="after_chat", event_label="Yes"))
        'Clicks on “Yes” in after chat'
    """
    what, of = _noun(filters, 2)
    return f"{what[:1].upper()}{what[1:]}{of}"


def _noun(filters: Filters, amount: int) -> tuple[str, str]:
    name = filters["event_name"]

    def many(one: str, several: str | None = None) -> str:
        return plural(amount, one, several).split(" ", 1)[1]

    if filters["event"] == "tool":
        runs = many("failed run") if filters["event_failed"] else many("run")
        return runs, f" of {name}" if name else ""
    if filters["event"] == "button":
        place = f" in {label(name)[:1].lower()}{label(name)[1:]}" if name else ""
        clicked = filters["event_label"]
        return many("click"), f" on “{clicked}”{place}" if clicked else place
    if filters["event"] == "feedback":
        return f"{name} {many('rating')}" if name else many("rating"), ""
    if filters["event"] == "tokens":
        model = f" of {name}" if name else f" of {NO_MODEL}" if filters["event_name__isnull"] else ""
        return many("token"), model
    return many("timed answer") if filters["event"] == "answer" else many("message"), ""
