"""A WSGI application for `gunicorn --preload`: the tracker is used before the workers are forked, and in them."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from agentsight import conversation_tracker as tracker

SENDS_ITSELF = "AGENTSIGHT_AUTO_SEND" in os.environ

with tracker.get_or_create_conversation("boot", source="master") as boot:
    boot.track_action("load_model")
    if not SENDS_ITSELF:
        boot.send_tracked_data()  # the connection that this opens must not be shared with the workers
    # In the background nothing has been sent yet: this waits while the workers are forked.


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    name = environ["PATH_INFO"].strip("/")
    tracker.get_or_create_conversation(name)
    tracker.track_human_message(f"{name} question")
    tracker.track_agent_message(f"{name} answer")
    if not SENDS_ITSELF:
        tracker.send_tracked_data()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
