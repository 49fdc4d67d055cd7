"""A bot of greenlets in a process that gevent has patched."""

from gevent import monkey

monkey.patch_all()

import threading  # noqa: E402

import gevent  # noqa: E402
from gevent.pool import Pool  # noqa: E402

from agentsight import conversation_tracker as tracker  # noqa: E402

GREENLETS = 30
TURNS = 5


def talk(name: str) -> None:
    handle = tracker.get_or_create_conversation(name)
    for turn in range(TURNS):
        tracker.track_human_message(f"{name} {turn}")
        gevent.sleep(0)
        gevent.spawn(handle.track_agent_message, f"{name} answer {turn}").join()


def look_on() -> None:
    """The rest goes on while the background sends."""
    while tracker._outbox.count():
        gevent.sleep(0.01)


Pool(GREENLETS).map(talk, [f"greenlet {number}" for number in range(GREENLETS)])
senders = [thread for thread in threading.enumerate() if thread.name == "agentsight-sender"]
print("senders:", len(senders), flush=True)
gevent.spawn(look_on).join()
print("sent in the background", flush=True)

tracker.get_or_create_conversation("last")
tracker.track_human_message("just before the end")
