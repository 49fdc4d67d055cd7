"""A bot that works in child processes: `children.py fork|spawn|forkserver|pool|executor|bare`."""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from agentsight import conversation_tracker as tracker

CHILDREN = 3
ITEMS = 20
together = multiprocessing.get_context("fork").Barrier(CHILDREN)


def work(name: str) -> int:
    tracker.get_or_create_conversation(name)
    for number in range(ITEMS):
        tracker.track_human_message(f"{name} {number}")
    return os.getpid()


def work_beside_others(name: str) -> int:
    """So that each process of a pool gets one of these."""
    together.wait()
    return work(name)


def main(how: str) -> None:
    tracker.get_or_create_conversation("parent")
    tracker.track_human_message("before")  # waits, or is under way, when the children are made
    names = [f"{how} {number}" for number in range(CHILDREN)]
    if how in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(how)
        children = [context.Process(target=work, args=(name,)) for name in names]
        for child in children:
            child.start()
        for child in children:
            child.join()
            assert child.exitcode == 0
    elif how == "pool":
        pool = multiprocessing.get_context("fork").Pool(CHILDREN)
        assert len(set(pool.map(work_beside_others, names, chunksize=1))) == CHILDREN
        pool.close()  # a `with` block would kill the processes
        pool.join()
    elif how == "executor":
        with ProcessPoolExecutor(CHILDREN, multiprocessing.get_context("fork")) as executor:
            assert len(set(executor.map(work_beside_others, names))) == CHILDREN
    elif how == "bare":
        for name in names:
            pid = os.fork()
            if pid == 0:
                work(name)
                sys.exit(0)
            assert os.waitpid(pid, 0)[1] == 0
    else:
        raise SystemExit(f"{how}?")
    tracker.track_agent_message("after")


if __name__ == "__main__":
    main(sys.argv[1])
