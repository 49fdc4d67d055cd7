"""The pages of docs/recipes about streams and functions, with customers that close the page in the middle."""

from __future__ import annotations

import json
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.processes.running import Program
from tests.processes.test_recipes import Recipe, conversations
from tests.serving import Agent
from tests.waiting import until


def leave_after(address: str, path: str, text: str, words: str) -> None:
    """A browser that is gone as soon as it has seen this."""
    with httpx.stream("POST", f"{address}{path}", json={"text": text}, timeout=30) as answer:
        seen = ""
        for piece in answer.iter_text():
            seen += piece
            if words in seen:
                return
    raise AssertionError(f"the whole answer came: {seen}")


def messages(agent: Agent, count: int) -> dict[str, list[dict[str, Any]]]:
    """The messages of each conversation by its first one, once each has two."""
    found: dict[str, list[dict[str, Any]]] = {}

    def all_there() -> bool:
        found.clear()
        found.update({one["messages"][0]["content"]: one["messages"] for one in conversations(agent, count)})
        return all(len(each) >= 2 for each in found.values())

    until(all_there, why=lambda: found)
    return found


LONG = " ".join(f"word{number}" for number in range(200))


def test_streaming(agent: Agent, tmp_path: Path):
    recipe = Recipe("streaming", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        fd = listener.fileno()
        with recipe.run(agent, recipe.commands[0], "--fd", str(fd), pass_fds=(fd,)) as uvicorn:
            whole = httpx.post(f"{address}/chat", json={"text": "Hello"}, timeout=30)
            assert whole.text == 'data: "You "\n\ndata: "said: "\n\ndata: "Hello "\n\n'
            leave_after(address, "/chat", LONG, "word1 ")
            found = messages(agent, 2)  # while the server goes on, and nobody else calls it
            assert "Traceback" not in uvicorn.output
            assert "unattached" not in uvicorn.output
    question, answer = found["Hello"]
    assert (question["sender"], answer["content"]) == ("end_user", "You said: Hello ")
    assert answer["metadata"]["model"] == "my-model"
    assert 0 <= answer["metadata"]["first_token_ms"] <= answer["metadata"]["duration_ms"]
    assert "interrupted" not in answer["metadata"]
    _, half = found[LONG]
    assert half["content"].startswith("You said: word0 word1 ")
    assert len(half["content"]) < len(LONG)
    assert half["metadata"]["interrupted"] is True


def test_streaming_under_wsgi(agent: Agent, tmp_path: Path):
    recipe = Recipe("streaming", tmp_path)
    with recipe.run(agent, recipe.commands[1], "--bind", "127.0.0.1:0", "--no-control-socket") as gunicorn:
        address = gunicorn.wait_for(r"Listening at: (http://\S+)")
        assert httpx.post(f"{address}/chat", json={"text": "Hello"}).text == "You said: Hello "
        endless = " ".join(["word"] * 500_000)  # more than the buffers between take
        leave_after(address, "/chat", endless[:400_000], "word ")
        found = messages(agent, 2)
        assert gunicorn.end(signal.SIGTERM)[0] == 0
        assert "Traceback" not in gunicorn.output
    assert [each["content"] for each in found["Hello"]] == ["Hello", "You said: Hello "]
    [half] = [each[1] for first, each in found.items() if first != "Hello"]
    assert half["content"].startswith("You said: word ")
    assert half["metadata"]["interrupted"] is True
    assert len(half["content"]) < 400_000
    used = {one["messages"][0]["content"]: one["token_usage"] for one in conversations(agent, 2)}
    assert used["Hello"]["completion_tokens"] == 3


def test_a_function_that_is_frozen_for_good(agent: Agent, tmp_path: Path):
    Recipe("serverless", tmp_path)
    event = {"body": json.dumps({"visit": "v1", "text": "Hello"})}
    sandbox = (
        "import os, signal, handler\n"
        f"print(handler.handler({event!r}, None)['body'], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with Program([sys.executable, "-c", sandbox], agent, tmp_path) as function:
        assert function.end()[0] == -signal.SIGKILL
        assert function.output == '{"answer": "You said: Hello"}\n'
    [found] = conversations(agent, 1)
    assert [each["content"] for each in found["messages"]] == ["Hello", "You said: Hello"]


def test_a_function_whose_server_is_away_answers_all_the_same(agent: Agent, tmp_path: Path):
    Recipe("serverless", tmp_path)
    event = {"body": json.dumps({"visit": "v1", "text": "Hello"})}
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        sandbox = f"import handler\nprint(handler.handler({event!r}, None)['body'], flush=True)\n"
        command = [sys.executable, "-c", sandbox]
        with Program(command, agent, tmp_path, AGENTSIGHT_API_ENDPOINT=endpoint) as function:
            assert function.wait_for('"answer": "(.*)"') == "You said: Hello"
            assert function.end()[0] == 0


def test_a_streamed_response_that_is_frozen_for_good(agent: Agent, tmp_path: Path):
    recipe = Recipe("serverless", tmp_path)
    [command] = recipe.commands
    with recipe.run(agent, command, "--bind", "127.0.0.1:0", "--no-control-socket") as gunicorn:
        address = gunicorn.wait_for(r"Listening at: (http://\S+)")
        assert httpx.post(f"{address}/chat/v1", json={"text": "Hello"}).text == "You said: Hello "
        endless = " ".join(["word"] * 500_000)
        leave_after(address, "/chat/v2", endless[:400_000], "word ")
        found = {one["conversation_id"]: one["messages"] for one in conversations(agent, 2)}
        assert "Traceback" not in gunicorn.output
    assert [each["content"] for each in found["v1"]] == ["Hello", "You said: Hello "]
    assert [each["metadata"].get("interrupted") for each in found["v2"]] == [None, True]
