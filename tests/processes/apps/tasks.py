"""A Celery application whose tasks are conversations; broker and results are folders."""

import os
import sys
import time
from pathlib import Path

from celery import Celery, group
from celery.signals import worker_process_shutdown

from agentsight import conversation_tracker as tracker

ends = {"began": 0.0}


@worker_process_shutdown.connect(weak=False)
def first(**_: object) -> None:
    ends["began"] = time.monotonic()


folder = Path(os.environ["CELERY_FOLDER"])
app = Celery("tasks", broker="filesystem://", backend=f"file://{folder / 'results'}")
app.conf.broker_transport_options = {
    "data_folder_in": folder / "queue",
    "data_folder_out": folder / "queue",
    "control_folder": folder / "control",
}

tracker.track_action("load_model", conversation_id="main process")  # before the pool is forked


@worker_process_shutdown.connect(weak=False)
def last(**_: object) -> None:
    """After the tracker, which has been used by now."""
    print(f"held up for {time.monotonic() - ends['began']:.6f}", flush=True)


@app.task
def answer(name: str) -> int:
    tracker.get_or_create_conversation(name)
    tracker.track_human_message(f"{name} question")
    tracker.track_agent_message(f"{name} answer")
    return os.getpid()


if __name__ == "__main__":
    asked = group(answer.s(name) for name in sys.argv[1:]).apply_async()
    print("processes:", len(set(asked.get(timeout=60))))
