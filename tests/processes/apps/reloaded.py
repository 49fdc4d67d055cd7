"""An ASGI application that is served by `uvicorn --reload`."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from agentsight import conversation_tracker as tracker


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await asyncio.to_thread(tracker.close)


# uvicorn ends itself by the signal that it got, so that nothing is called at the exit: what is tracked in the
# last second is sent by the lifespan, or is in the spool.
app = FastAPI(lifespan=None if "AGENTSIGHT_SPOOL_DIR" in os.environ else lifespan)


@app.post("/{name}")
async def chat(name: str) -> int:
    tracker.get_or_create_conversation(name)
    tracker.track_human_message(f"{name} question")
    await asyncio.sleep(0)
    tracker.track_agent_message(f"{name} answer")
    return os.getpid()
