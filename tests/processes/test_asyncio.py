"""Tasks that are cancelled in the middle of their conversation."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from agentsight import Conversation, ConversationTracker
from tests.processes.running import stored, wait_stored
from tests.serving import Agent

TASKS = 60
TURNS = 6


@pytest.mark.parametrize("how", ["in a block", "in the background", "in a thread"])
def test_what_cancelled_tasks_tracked_arrives_and_stays_apart(agent: Agent, tmp_path: Path, how: str):
    tracker = ConversationTracker(
        api_key=agent.keys["ingest"],
        endpoint=agent.server.address,
        auto_send=how == "in the background",
        spool_dir=tmp_path,
    )
    tracked: dict[str, list[str]] = {}
    chance = random.Random(7)

    async def talk(name: str) -> None:
        said = tracked[name] = []

        def say(turn: int, into: ConversationTracker | Conversation = tracker) -> None:
            into.track_human_message(f"{name} {turn}")
            said.append(f"{name} {turn}")

        async def turns(handle: Conversation) -> None:
            for turn in range(TURNS):
                await asyncio.sleep(0)
                if how == "in a thread":
                    # It may outlive the block, so it takes the handle.
                    await asyncio.shield(asyncio.to_thread(say, turn, handle))
                else:
                    say(turn)
                await asyncio.sleep(chance.random() / 50)

        if how == "in the background":
            await turns(tracker.get_or_create_conversation(name))
            return
        with tracker.get_or_create_conversation(name) as conversation:
            try:
                await turns(conversation)
            finally:
                # Not awaited: a cancelled task may be cancelled again where it waits.
                asyncio.get_running_loop().run_in_executor(None, conversation.send_tracked_data)

    async def main() -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(talk(f"task {number}")) for number in range(TASKS)]
        for task in chance.sample(tasks, TASKS // 2):
            await asyncio.sleep(chance.random() / 100)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return tasks

    tasks = asyncio.run(main())  # ends after what is left in its threads
    assert any(task.cancelled() for task in tasks)
    assert any(not task.cancelled() for task in tasks)
    assert tracker.close()["unsent"] == 0
    expected = {name: said for name, said in tracked.items() if said}
    wait_stored(agent, {name: said for name, said in stored(agent).items() if not said} | expected)
