"""A FastAPI application with each way in which a handler may hand on its work, in three forms each."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse

from agentsight import Conversation, ConversationTracker, bind

PIECES = 20


def application(tracker: ConversationTracker) -> FastAPI:
    app = FastAPI()

    def words(name: str) -> list[str]:
        return [f"{name} "] + ["word "] * PIECES

    @app.post("/async/tied/{name}")
    async def async_tied(name: str) -> None:
        conversation = tracker.get_or_create_conversation(name)
        conversation.track_human_message(f"{name} question")
        await asyncio.to_thread(conversation.track_action, f"{name} tool")
        conversation.track_agent_message(f"{name} answer")

    @app.post("/async/block/{name}")
    async def async_block(name: str) -> None:
        with tracker.get_or_create_conversation(name):
            tracker.track_human_message(f"{name} question")
            await asyncio.to_thread(tracker.track_action, f"{name} tool")
            await asyncio.create_task(say(f"{name} answer"))

    async def say(text: str) -> None:
        await asyncio.sleep(0)
        tracker.track_agent_message(text)

    @app.post("/async/careless/{name}")
    async def async_careless(name: str) -> None:
        await asyncio.to_thread(tracker.get_or_create_conversation, name)  # chosen in the thread's context
        tracker.track_human_message(f"{name} question")
        await asyncio.to_thread(tracker.track_action, f"{name} tool")
        await say(f"{name} answer")

    @app.post("/sync/tied/{name}")
    def sync_tied(name: str) -> None:
        conversation = tracker.get_or_create_conversation(name)
        for part in ("question", "thought", "answer"):
            conversation.track_human_message(f"{name} {part}")

    @app.post("/sync/block/{name}")
    def sync_block(name: str) -> None:
        with tracker.get_or_create_conversation(name):
            for part in ("question", "thought", "answer"):
                tracker.track_human_message(f"{name} {part}")

    @app.post("/sync/careless/{name}")
    def sync_careless(name: str) -> None:
        with tracker.get_or_create_conversation(name):
            tracker.track_human_message(f"{name} question")
        tracker.track_human_message(f"{name} thought")
        tracker.track_agent_message(f"{name} answer")

    # --- streamed ---

    async def pieces(name: str) -> AsyncIterator[str]:
        for word in words(name):
            await asyncio.sleep(0.001)
            yield word

    @app.post("/stream/tied/{name}")
    async def stream_tied(name: str) -> StreamingResponse:
        conversation = tracker.get_or_create_conversation(name)
        conversation.track_human_message(f"{name} question")
        return StreamingResponse(conversation.stream(pieces(name)))

    @app.post("/stream/block/{name}")
    async def stream_block(name: str) -> StreamingResponse:
        with tracker.get_or_create_conversation(name):
            tracker.track_human_message(f"{name} question")
            return StreamingResponse(tracker.stream(pieces(name)))

    @app.post("/stream/careless/{name}")
    async def stream_careless(name: str) -> StreamingResponse:
        async def body() -> AsyncIterator[str]:
            try:
                async for word in pieces(name):
                    yield word
            finally:
                tracker.track_agent_message(f"{name} answer")

        with tracker.get_or_create_conversation(name):
            tracker.track_human_message(f"{name} question")
            return StreamingResponse(body())

    @app.post("/sync_stream/tied/{name}")
    def sync_stream_tied(name: str) -> StreamingResponse:
        conversation = tracker.get_or_create_conversation(name)
        conversation.track_human_message(f"{name} question")
        return StreamingResponse(conversation.stream(words(name)))

    @app.post("/sync_stream/block/{name}")
    def sync_stream_block(name: str) -> StreamingResponse:
        def body() -> Iterator[str]:
            with tracker.get_or_create_conversation(name):  # and resumed in other threads' contexts
                tracker.track_human_message(f"{name} question")
                yield from words(name)
                tracker.track_agent_message(f"{name} answer")

        return StreamingResponse(body())

    @app.post("/sync_stream/careless/{name}")
    def sync_stream_careless(name: str) -> StreamingResponse:
        def body() -> Iterator[str]:
            yield from words(name)
            tracker.track_agent_message(f"{name} answer")

        with tracker.get_or_create_conversation(name):
            tracker.track_human_message(f"{name} question")
            return StreamingResponse(body())

    # --- after the response ---

    def summarise(name: str) -> None:
        tracker.track_action(f"{name} summary")

    @app.post("/background/tied/{name}")
    async def background_tied(name: str, background_tasks: BackgroundTasks) -> None:
        with tracker.get_or_create_conversation(name) as conversation:
            conversation.track_human_message(f"{name} question")
            background_tasks.add_task(bind(summarise), name)
            background_tasks.add_task(conversation.track_agent_message, f"{name} answer")

    @app.post("/background/block/{name}")
    async def background_block(name: str, background_tasks: BackgroundTasks) -> None:
        def rest() -> None:
            with tracker.get_or_create_conversation(name):
                summarise(name)
                tracker.track_agent_message(f"{name} answer")

        with tracker.get_or_create_conversation(name):
            tracker.track_human_message(f"{name} question")
        background_tasks.add_task(rest)

    @app.post("/background/careless/{name}")
    async def background_careless(name: str, background_tasks: BackgroundTasks) -> None:
        with tracker.get_or_create_conversation(name):
            tracker.track_human_message(f"{name} question")
            background_tasks.add_task(summarise, name)
            background_tasks.add_task(say, f"{name} answer")

    # --- a dependency that is no coroutine runs in a thread, with a context of its own ---

    def conversation_of(name: str) -> Conversation:
        return tracker.get_or_create_conversation(name)

    chosen = Depends(conversation_of)

    @app.post("/depends/tied/{name}")
    async def depends_tied(name: str, conversation: Conversation = chosen) -> None:
        conversation.track_human_message(f"{name} question")
        await asyncio.sleep(0)
        conversation.track_agent_message(f"{name} answer")

    @app.post("/depends/block/{name}")
    def depends_block(name: str, conversation: Conversation = chosen) -> None:
        with conversation:
            tracker.track_human_message(f"{name} question")
            tracker.track_agent_message(f"{name} answer")

    @app.post("/depends/careless/{name}")
    async def depends_careless(name: str, conversation: Conversation = chosen) -> None:
        tracker.track_human_message(f"{name} question")
        await asyncio.sleep(0)
        tracker.track_agent_message(f"{name} answer")

    # --- WebSocket ---

    @app.websocket("/socket/{form}/{name}")
    async def socket(socket: WebSocket, form: str, name: str) -> None:
        await socket.accept()
        if form == "careless":
            await asyncio.to_thread(tracker.get_or_create_conversation, name)
            async for text in socket.iter_text():
                tracker.track_human_message(f"{name} {text}")
                await asyncio.create_task(say(f"{name} answer"))
                await socket.send_text("answer")
            return
        with tracker.get_or_create_conversation(name) as conversation:
            async for text in socket.iter_text():
                if form == "tied":
                    conversation.track_human_message(f"{name} {text}")
                    async for piece in conversation.stream(pieces(name)):
                        await socket.send_text(piece)
                else:
                    tracker.track_human_message(f"{name} {text}")
                    await asyncio.create_task(say(f"{name} answer"))
                await socket.send_text("answer")

    return app
