"""The table of mistakes: each has its words, and stands in the documentation."""

from __future__ import annotations

import os
from pathlib import Path

from agentsight_server.domain.problems import WORDS, Code, Problem

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
BEGIN = "<!-- codes: made by server/tests/test_problems.py, AGENTSIGHT_UPDATE_DOCS=1 writes it -->\n"


def test_every_code_stands_in_the_documentation() -> None:
    text = PAGE.read_text(encoding="utf-8")
    lines = ["| code | what is wrong | said as |", "|---|---|---|"]
    for code in Code:
        words = WORDS[code]
        said = words.bare if words.says == "{takes}" else words.says.replace("{takes}", "…")
        lines.append(f"| `{code}` | {words.means} | {said} |")
    wanted = text.partition(BEGIN)[0] + BEGIN + "\n".join(lines) + "\n"
    if os.environ.get("AGENTSIGHT_UPDATE_DOCS"):
        PAGE.write_text(wanted, encoding="utf-8")
        return
    assert text == wanted, "docs/errors.md is behind; AGENTSIGHT_UPDATE_DOCS=1 writes it"


def test_every_code_has_words_with_what_is_taken_and_without() -> None:
    for code in Code:
        assert WORDS[code].means, code
        assert "{" not in Problem("name", code).rule, code
        assert Problem("name", code).rule, code
    assert WORDS.keys() == {*Code}


def test_what_was_given_is_told_cut_short_and_is_no_part_of_the_rule() -> None:
    problem = Problem("items.3.device", Code.CHOICE, "desktop or mobile", repr("x" * 500))
    assert str(problem) == f"takes desktop or mobile, not '{'x' * 59}…"
    assert (problem.rule, problem.name) == ("takes desktop or mobile", "device")
    assert Problem("attachments.0", Code.TOO_LONG, 1_048_576).rule == "takes at most 1,048,576 characters"
