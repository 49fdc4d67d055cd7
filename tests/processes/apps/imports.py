"""What is imported between the first call and the moment when the background has sent."""

import sys
import threading

from agentsight import conversation_tracker as tracker

tracker.track_human_message("one", conversation_id="c")
before = set(sys.modules)
pause = threading.Event()
for _ in range(1000):
    if tracker._outbox.count() == 0:
        break
    pause.wait(0.02)
print("imported meanwhile:", sorted(set(sys.modules) - before))
