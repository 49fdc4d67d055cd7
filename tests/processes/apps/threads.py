"""Many threads that track and send with one tracker: `threads.py THREADS TURNS`."""

import contextlib
import random
import sys
import threading

from agentsight import ConversationTracker
from agentsight.exceptions import NoDataToSendException

count, turns = int(sys.argv[1]), int(sys.argv[2])
tracker = ConversationTracker()
shared = tracker.get_or_create_conversation("shared")
together = threading.Barrier(count)
failed: list[BaseException] = []


def work(number: int) -> None:
    chance = random.Random(number)
    name = f"thread {number}"
    together.wait()
    with tracker.get_or_create_conversation(name, metadata={"thread": number}) as own:
        for turn in range(turns):
            tracker.track_human_message(f"{name} {turn}")
            shared.track_human_message(f"shared {number} {turn}")
            tracker.track_token_usage(1, 2, conversation_id="tokens")
            own.track_action(f"action {turn}", tools_used={"turn": turn}, duration_ms=turn)
            if chance.random() < 0.05:
                with contextlib.suppress(NoDataToSendException):  # another thread has sent it
                    chance.choice((tracker, own, shared)).send_tracked_data()


def watched(number: int) -> None:
    try:
        work(number)
    except BaseException as error:
        failed.append(error)
        raise


threads = [threading.Thread(target=watched, args=(number,)) for number in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failed
print("left at the end:", tracker.close(timeout=30), "pending:", tracker._outbox.count(), flush=True)
print("GIL:", getattr(sys, "_is_gil_enabled", lambda: True)(), flush=True)
