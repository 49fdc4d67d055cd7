"""A Django project in one file whose views stream their answers, sync and async, in three forms."""

import asyncio
from collections.abc import AsyncIterator, Iterator

from django.conf import settings

settings.configure(SECRET_KEY="k" * 50, ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, MIDDLEWARE=[])

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import HttpRequest, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

from agentsight import conversation_tracker as tracker  # noqa: E402


def words(name: str) -> Iterator[str]:
    yield f"{name} "
    for _ in range(20):
        yield "word "


async def awaited(name: str) -> AsyncIterator[str]:
    for word in words(name):
        await asyncio.sleep(0)
        yield word


def tied(request: HttpRequest, name: str) -> StreamingHttpResponse:
    conversation = tracker.get_or_create_conversation(name)
    conversation.track_human_message(f"{name} question")
    return StreamingHttpResponse(conversation.stream(words(name)))


def block(request: HttpRequest, name: str) -> StreamingHttpResponse:
    with tracker.get_or_create_conversation(name):
        tracker.track_human_message(f"{name} question")
        return StreamingHttpResponse(tracker.stream(words(name)))


def careless(request: HttpRequest, name: str) -> StreamingHttpResponse:
    def body() -> Iterator[str]:
        try:
            yield from words(name)
        finally:
            tracker.track_agent_message(f"{name} answer")

    with tracker.get_or_create_conversation(name):
        tracker.track_human_message(f"{name} question")
        return StreamingHttpResponse(body())


async def async_tied(request: HttpRequest, name: str) -> StreamingHttpResponse:
    conversation = tracker.get_or_create_conversation(name)
    conversation.track_human_message(f"{name} question")
    return StreamingHttpResponse(conversation.stream(awaited(name)))


async def async_block(request: HttpRequest, name: str) -> StreamingHttpResponse:
    with tracker.get_or_create_conversation(name):
        tracker.track_human_message(f"{name} question")
        return StreamingHttpResponse(tracker.stream(awaited(name)))


async def async_careless(request: HttpRequest, name: str) -> StreamingHttpResponse:
    async def body() -> AsyncIterator[str]:
        try:
            async for word in awaited(name):
                yield word
        finally:
            tracker.track_agent_message(f"{name} answer")

    with tracker.get_or_create_conversation(name):
        tracker.track_human_message(f"{name} question")
        return StreamingHttpResponse(body())


urlpatterns = [
    path("tied/<name>", tied),
    path("block/<name>", block),
    path("careless/<name>", careless),
    path("async/tied/<name>", async_tied),
    path("async/block/<name>", async_block),
    path("async/careless/<name>", async_careless),
]
application = get_wsgi_application()
async_application = get_asgi_application()
