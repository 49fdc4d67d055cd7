"""Every example of docs/rest.md, one after the other, against a running server."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

from tests.serving import ServerProcess
from tests.waiting import until

GUIDE = (Path(__file__).parents[2] / "docs" / "rest.md").read_text()
# What is a number of the server's own: it is there, whatever it is.
NUMBERS = {"id", "conversation", "message_id"}


def test_the_examples_are_answered_as_the_guide_says(sqlite_server: ServerProcess) -> None:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert {kind for kind, _ in blocks} == {"sh", "http", "json"}
    with sqlite_server.agent().client() as client:
        number = 0
        for place, (kind, text) in enumerate(blocks):
            if kind == "json":
                continue
            method, path, body = curl(text) if kind == "sh" else request(text)
            path = path.replace("{id}", str(number))
            told = (
                json.loads(blocks[place + 1][1])
                if blocks[place + 1 : place + 2] and blocks[place + 1][0] == "json"
                else None
            )

            def ask(method: str = method, path: str = path, body: Any = body) -> Any:
                return client.request(method, path, json=body)

            if "/ledger/" in path:  # what was refused as a whole is counted within a second
                until(lambda ask=ask, told=told: differences(told, ask().json()) == [])
            answer = ask()
            expected = 400 if "robot" in text and "batch" not in path else 200
            assert answer.status_code // 100 == expected // 100, f"{text}\n{answer.text}"
            if told is not None:
                assert differences(told, answer.json()) == [], text
            if path == "/api/conversations/":
                number = answer.json()["id"]


def request(text: str) -> tuple[str, str, Any]:
    """An example's method, path and body."""
    line, _, body = text.partition("\n\n")
    method, path = line.split()
    return method, path, json.loads(body) if body else None


def curl(text: str) -> tuple[str, str, Any]:
    """The same, of a line for the shell."""
    _, address, *options = shlex.split(text.replace("\\\n", ""))
    given = dict(zip(options[::2], options[1::2], strict=True))
    return "POST", address.removeprefix("https://stats.example.com"), json.loads(given["-d"])


def differences(told: Any, answer: Any, where: str = "") -> list[str]:
    """Where an answer is not what the guide says; it may say more."""
    if isinstance(told, dict) and isinstance(answer, dict):
        found = [f"{where}.{name} is not there" for name in told if name not in answer]
        for name in told.keys() & answer.keys():
            if not (name in NUMBERS and isinstance(answer[name], int)):
                found += differences(told[name], answer[name], f"{where}.{name}")
        return found
    if isinstance(told, list) and isinstance(answer, list) and len(told) == len(answer):
        pairs = enumerate(zip(told, answer, strict=True))
        return [each for place, pair in pairs for each in differences(*pair, f"{where}[{place}]")]
    begins = told.partition("…")[0] if isinstance(told, str) else ""
    same = answer.startswith(begins) if isinstance(answer, str) and told != begins else told == answer
    return [] if same else [f"{where}: {told!r}, but it is {answer!r}"]
