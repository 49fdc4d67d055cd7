"""The examples of docs/sdk.md run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sdk.tests.capture import KEY, CaptureServer

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "sdk.md"


def test_examples(server: CaptureServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AGENTSIGHT_API_KEY", KEY)
    monkeypatch.setenv("AGENTSIGHT_API_ENDPOINT", server.endpoint)
    examples = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)
    assert len(examples) >= 4
    for example in examples:
        exec(compile(example, str(DOCUMENT), "exec"), {"__name__": "example"})
    assert server.contents("conv_1") == ["Where is my order?", "It is on its way."]
    assert server.contents("conv_3") == ["Hello", "Done.", "See you."]
    assert server.contents("conv_4") == ["Good evening", "Done.", "See you."]
    assert [request.path for request in server.requests if request.method == "DELETE"]
