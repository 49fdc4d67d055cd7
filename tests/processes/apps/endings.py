"""A script that tracks a little and then ends in the way that it is told."""

import atexit
import os
import signal
import sys
import threading
import time

held_up = {"since": 0.0}
atexit.register(  # registered first, so called last
    lambda: print("held up for", time.monotonic() - held_up["since"] if held_up["since"] else 0.0, flush=True)
)

from agentsight import conversation_tracker as tracker  # noqa: E402

how, conversation = sys.argv[1:3]

tracker.get_or_create_conversation(conversation, customer_id="ana")
for number in range(30):
    tracker.track_human_message(f"{how} {number}")
held_up["since"] = time.monotonic()

if how == "normal":
    pass
elif how == "exception":
    raise RuntimeError("the bot has a bug")
elif how == "exit in a thread":
    thread = threading.Thread(target=sys.exit, args=(3,))
    thread.start()
    thread.join()
elif how == "a thread that goes on":
    # The interpreter waits for such threads before it calls what atexit was told.
    def later() -> None:
        threading.main_thread().join()
        tracker.track_human_message("from the thread", conversation_id=conversation)

    threading.Thread(target=later).start()
elif how == "handled SIGTERM":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    os.kill(os.getpid(), signal.SIGTERM)
elif how == "SIGTERM":
    os.kill(os.getpid(), signal.SIGTERM)
else:
    raise SystemExit(f"{how}?")
