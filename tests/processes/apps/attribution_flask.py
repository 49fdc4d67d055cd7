"""A Flask application that streams its answers, in three forms."""

from collections.abc import Iterator

from flask import Flask, Response

from agentsight import conversation_tracker as tracker

app = Flask(__name__)


def words(name: str) -> Iterator[str]:
    yield f"{name} "
    for _ in range(20):
        yield "word "


@app.post("/tied/<name>")
def tied(name: str) -> Response:
    conversation = tracker.get_or_create_conversation(name)
    conversation.track_human_message(f"{name} question")
    return Response(conversation.stream(words(name)))


@app.post("/block/<name>")
def block(name: str) -> Response:
    with tracker.get_or_create_conversation(name):
        tracker.track_human_message(f"{name} question")
        return Response(tracker.stream(words(name)))


@app.post("/careless/<name>")
def careless(name: str) -> Response:
    def body() -> Iterator[str]:
        try:
            yield from words(name)
        finally:
            tracker.track_agent_message(f"{name} answer")

    with tracker.get_or_create_conversation(name):
        tracker.track_human_message(f"{name} question")
        return Response(body())
