"""What a list of conversations was opened for: the runs, clicks or messages that a figure counted."""

from __future__ import annotations

from agentsight_server.dashboard.formats import plural
from agentsight_server.dashboard.names import label
from agentsight_server.store.happenings import KINDS
from agentsight_server.store.matching import Filters

# Parameters of the list's address.
FIELDS = ("happened", "happened_name", "happened_name__isnull", "happened_label", "happened_failed")
ONE_OF = {
    "happened": tuple(KINDS),
    "happened_name__isnull": ("true", "false"),
    "happened_failed": ("true", "false"),
}
NO_MODEL = "no named model"


def counted(filters: Filters, amount: int) -> tuple[str, str]:
    """How often it happened, in words: (52, runs of check_database).

    Example:
        >>> counted(Filters(happened="tool", happened_name="check_database"), 52)
        ('52', 'runs of check_database')
    """
    what, of = _noun(filters, amount)
    return f"{amount:,}", f"{what}{of}"


def phrase(filters: Filters) -> str:
    """The same as a filter.

    Example:
        >>> phrase(Filters(happened="button", happened_name="after_chat", happened_label="Yes"))
        'Clicks on “Yes” in after chat'
    """
    what, of = _noun(filters, 2)
    return f"{what[:1].upper()}{what[1:]}{of}"


def _noun(filters: Filters, amount: int) -> tuple[str, str]:
    name = filters.happened_name

    def many(one: str, several: str | None = None) -> str:
        return plural(amount, one, several).split(" ", 1)[1]

    if filters.happened == "tool":
        runs = many("failed run") if filters.happened_failed else many("run")
        return runs, f" of {name}" if name else ""
    if filters.happened == "button":
        place = f" in {label(name)[:1].lower()}{label(name)[1:]}" if name else ""
        return many("click"), f" on “{filters.happened_label}”{place}" if filters.happened_label else place
    if filters.happened == "feedback":
        return f"{name} {many('rating')}" if name else many("rating"), ""
    if filters.happened == "tokens":
        model = f" of {name}" if name else f" of {NO_MODEL}" if filters.happened_name__isnull else ""
        return many("token"), model
    return many("timed answer") if filters.happened == "answer" else many("message"), ""
