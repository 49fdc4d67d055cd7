"""Sending over TLS, also in a process that gevent patches after urllib3 was imported."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentsight import ConversationTracker
from sdk.tests.capture import KEY, CaptureServer, capture_server

CERTIFICATE = Path(__file__).with_name("localhost.pem")  # of nobody, for a hundred years, with its key


@pytest.fixture
def secure() -> Iterator[CaptureServer]:
    with capture_server() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
        server.endpoint = server.endpoint.replace("http://127.0.0.1", "https://localhost")
        yield server


def test_over_tls(secure: CaptureServer, monkeypatch: pytest.MonkeyPatch):
    tracker = ConversationTracker(api_key=KEY, endpoint=secure.endpoint)
    with tracker.get_or_create_conversation("c") as conversation:
        conversation.track_human_message("Hello")
        unknown = conversation.send_tracked_data()
        assert "certificate verify failed" in unknown["items"][0]["error"]
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        tracker._transport.close()
        conversation.track_agent_message("Hi")
        assert conversation.send_tracked_data()["summary"]["errors"] == 0
    assert secure.contents("c") == ["Hello", "Hi"]
    tracker._transport.close()


# What gunicorn's --preload does with gevent's workers: the application is there, then the worker patches.
_PATCHED_LATE = """
import sys, warnings
from agentsight import ConversationTracker
tracker = ConversationTracker(api_key=sys.argv[1], endpoint=sys.argv[2], timeout=20)
if sys.argv[3] == "used":
    tracker.get_or_create_conversation("before").track_human_message("Hello")
    tracker.send_tracked_data()
else:
    tracker._transport.load()
warnings.simplefilter("ignore")
from gevent import monkey
monkey.patch_all()
tracker._transport.reset_after_fork()
tracker.get_or_create_conversation("after").track_human_message("Hello")
print(tracker.send_tracked_data()["summary"]["errors"])
tracker.close()
"""


@pytest.mark.parametrize("before", ["loaded", "used"])
def test_patched_late(secure: CaptureServer, before: str, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("gevent")  # the SDK's tests alone need none
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    command = [sys.executable, "-c", _PATCHED_LATE, KEY, secure.endpoint, before]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "0\n", done.stderr
    assert secure.contents("after") == ["Hello"]
