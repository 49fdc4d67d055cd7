"""Where what was tracked has landed, and the table about it in docs/sdk.md."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable

from tests.processes.running import ROOT, stored
from tests.serving import Agent
from tests.waiting import until

DOCUMENT = ROOT / "docs" / "sdk.md"
BEGIN = (
    "<!-- attribution: made by tests/processes/test_attribution.py, AGENTSIGHT_UPDATE_DOCS=1 writes it -->\n"
)
END = "<!-- /attribution -->\n"
HEAD = "| where | handle, `stream`, `bind` | the tracker in a `with` block | careless |\n|---|---|---|---|\n"
FORMS = ("tied", "block", "careless")
REST = "0 wrong, the rest unattached"


def landed(agent: Agent, customers: Iterable[str], total: int, *, exact: bool = True) -> str:
    """Read everything back. Each text begins with its customer's name.

    Args:
        customers: the conversations' ids.
        total: items that were tracked.
        exact: False where readers left before anything was there to track: then there may be fewer.

    Returns:
        `N of N right`, or that the rest is in conversations that belong to nobody.
    """
    known = set(customers)
    if exact:
        until(
            lambda: sum(map(len, stored(agent).values())) >= total,
            why=lambda: f"{sum(map(len, stored(agent).values()))} of {total}",
        )
    right = everything = 0
    for conversation, texts in stored(agent).items():
        whose = {text.removeprefix("Action ").split(" ")[0] for text in texts}
        everything += len(texts)
        if conversation in known:
            assert whose <= {conversation}, f"in {conversation}: {texts}"
            right += len(texts)
        else:
            assert len(whose) <= 1, f"strangers together in {conversation}: {texts}"
    assert everything == total or (not exact and everything <= total)
    return f"{right:,} of {everything:,} right" if right == everything else REST


def look_up(row: str, cells: Callable[[str], str]) -> None:
    """Try a row of the table in all forms, and see that the document says what came out."""
    found = [cells(form) for form in FORMS]
    if "BROWSERS" in row:
        found = [re.sub(r"[\d,]+ of [\d,]+ right", "all right", each) for each in found]
    assert "unattached" not in found[0]
    line = f"| {row.replace('BROWSERS', '').strip()} | {' | '.join(found)} |\n"
    text = DOCUMENT.read_text(encoding="utf-8")
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    lines = text[begin + len(HEAD) : end].splitlines(keepends=True) if text[begin:end] else []
    if os.environ.get("AGENTSIGHT_UPDATE_DOCS"):
        start = line.split(" | ")[0] + " | "
        if any(each.startswith(start) for each in lines):
            lines = [line if each.startswith(start) else each for each in lines]
        else:
            lines.append(line)
        DOCUMENT.write_text(text[:begin] + HEAD + "".join(lines) + text[end:], encoding="utf-8")
    else:
        assert line in lines, f"docs/sdk.md is behind; AGENTSIGHT_UPDATE_DOCS=1 writes it: {line}"
