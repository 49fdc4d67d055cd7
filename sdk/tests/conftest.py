from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from agentsight import ConversationTracker
from agentsight.outbox.outbox import _every as every_outbox
from sdk.tests.capture import KEY, CaptureServer, capture_server


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting from outside, and a logger as a fresh process has it."""
    for name in list(os.environ):
        if name.startswith("AGENTSIGHT_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    logger = logging.getLogger("agentsight")
    logger.setLevel(logging.NOTSET)
    yield
    logger.setLevel(logging.NOTSET)
    # What a test leaves unsent would be complained of when the collector finds its tracker, amid another test.
    for each in list(every_outbox):
        each.reset_after_fork()


@pytest.fixture
def server() -> Iterator[CaptureServer]:
    with capture_server() as running:
        yield running


@pytest.fixture
def tracker(server: CaptureServer) -> Iterator[ConversationTracker]:
    made = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
    yield made
    made._transport.close()
