"""The pages of docs/recipes, run as they stand: files, commands and all, in front of the real server."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shlex
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.processes.running import EXIT, ROOT, SLACK, Program, wait_stored
from tests.serving import Agent
from tests.waiting import until

PAGES = ROOT / "docs" / "recipes"


class Recipe:
    """A page: its files, written to a folder, and its commands."""

    def __init__(self, page: str, folder: Path) -> None:
        text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
        self.folder = folder
        for name, code in re.findall(r"^```python\n# (\S+)\n(.*?)^```", text, re.M | re.S):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(code, encoding="utf-8")
        assert text.count("```python\n") == text.count("```python\n# "), "each block names its file"
        self.commands = [
            line
            for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
            for line in block.splitlines()
        ]

    def run(
        self, agent: Agent, command: str, *more: str, pass_fds: tuple[int, ...] = (), **settings: str
    ) -> Program:
        """Run one of the page's commands, as it stands and with what a test must add."""
        assert command in self.commands
        words = shlex.split(command)
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            settings[name] = value
        program = [sys.executable] if words[0] == "python" else [sys.executable, "-m", words[0]]
        return Program([*program, *words[1:], *more], agent, self.folder, pass_fds=pass_fds, **settings)


def test_every_page_is_run_here_and_listed():
    pages = {path.stem for path in PAGES.glob("*.md")} - {"README"}
    served = {"fastapi", "flask", "django", "script", "celery", "whatsapp", "streaming", "serverless"}
    assert pages == served | {"widget"}  # which takes a browser: tests/browser/test_widget.py
    assert pages == set(re.findall(r"\]\((\w+)\.md\)", (PAGES / "README.md").read_text()))


def visit(address: str, path: str, texts: list[str]) -> str:
    """A visitor's browser: several messages, one cookie jar. Returns the last answer."""
    with httpx.Client(base_url=address, timeout=30, headers={"Accept-Language": "hr-HR,hr;q=0.9"}) as browser:
        return [
            browser.post(path, json={"text": text}).raise_for_status().json()["answer"] for text in texts
        ][-1]


def visits(address: str, path: str, count: int) -> list[list[str]]:
    """Several visitors at the same time; returns what each of them said and heard."""
    said = [[f"{path} {number} first", f"{path} {number} second"] for number in range(count)]
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda texts: visit(address, path, texts), said))
    assert answers == [f"You said: {texts[-1]}" for texts in said]
    return [[word for text in texts for word in (text, f"You said: {text}")] for texts in said]


def conversations(agent: Agent, count: int) -> list[dict[str, Any]]:
    """All conversations of the agent, once there are as many."""
    found: list[dict[str, Any]] = []

    def all_there() -> bool:
        with agent.client("read") as client:
            found[:] = client.get("/api/conversations/?page_size=100").raise_for_status().json()["results"]
        return len(found) >= count

    until(all_there, why=lambda: found)
    return found


def assert_visits(agent: Agent, expected: list[list[str]]) -> None:
    found = conversations(agent, len(expected))
    assert sorted([each["content"] for each in one["messages"]] for one in found) == sorted(expected)
    assert {(one["source"], one["language"], one["customer_ip_address"]) for one in found} == {
        ("web", "hr-HR", "127.0.0.1")
    }


def test_fastapi(agent: Agent, tmp_path: Path):
    recipe = Recipe("fastapi", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        fd = listener.fileno()
        [command] = recipe.commands
        with recipe.run(agent, command, "--fd", str(fd), pass_fds=(fd,)) as uvicorn:
            expected = visits(address, "/chat", 4)
            _, seconds = uvicorn.end(signal.SIGTERM)  # before the background has sent
            assert seconds < EXIT + SLACK
            assert "unsent" not in uvicorn.output
        assert_visits(agent, expected)


def test_fastapi_answers_whatever_strangers_send(agent: Agent, tmp_path: Path):
    recipe = Recipe("fastapi", tmp_path)
    sent: list[tuple[str, dict[str, str]]] = [
        ("a\0b", {}),
        ("x" * 1_100_000, {}),
        ("a long cookie", {"Cookie": "visit=" + "c" * 300}),
        ("a long language", {"Accept-Language": "l" * 300}),
        ("as usual", {}),
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        fd = listener.fileno()
        [command] = recipe.commands
        live = {"AGENTSIGHT_ENVIRONMENT": "prod"}
        with recipe.run(agent, command, "--fd", str(fd), pass_fds=(fd,), **live) as uvicorn:
            for text, headers in sent:
                answer = httpx.post(f"{address}/chat", json={"text": text}, headers=headers, timeout=30)
                assert answer.status_code == 200, text[:50]
            uvicorn.end(signal.SIGTERM)
        assert ": message had characters that cannot be stored" in uvicorn.output
    found = conversations(agent, len(sent))
    first_words = {one["messages"][0]["content"][:20] for one in found}
    assert first_words == {"ab", "x" * 20, "a long cookie", "a long language", "as usual"}
    assert {one["environment"] for one in found} == {"production"}
    assert max(len(one["conversation_id"]) for one in found) == 255


def test_fastapi_after_the_response(agent: Agent, tmp_path: Path):
    recipe = Recipe("fastapi", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        fd = listener.fileno()
        command = [sys.executable, "-m", "uvicorn", "app:app", "--fd", str(fd)]
        with Program(command, agent, tmp_path, pass_fds=(fd,)):
            assert recipe.commands
            expected = {}
            for number in (7, 8):
                visit(address, f"/tickets/{number}", [f"Broken {number}"])
                expected[f"ticket-{number}"] = [f"Broken {number}", "Somebody will look at it."]
            wait_stored(agent, expected)


def test_flask(agent: Agent, tmp_path: Path):
    recipe = Recipe("flask", tmp_path)
    [command] = recipe.commands
    with recipe.run(
        agent, command, "--bind", "127.0.0.1:0", "--no-control-socket", SECRET_KEY="k"
    ) as gunicorn:
        address = gunicorn.wait_for(r"Listening at: (http://\S+)")
        expected = visits(address, "/chat", 4)
        with httpx.Client(base_url=address, headers={"Accept-Language": "hr-HR"}) as browser:
            for text in ("One", "Two"):  # two conversations of one browser
                browser.post("/chat", json={"text": text}).raise_for_status()
                browser.post("/chat/end").raise_for_status()
                expected.append([text, f"You said: {text}"])
        assert gunicorn.end(signal.SIGTERM)[0] == 0
        assert "unsent" not in gunicorn.output
    assert_visits(agent, expected)


DJANGO = {
    "chat/__init__.py": "",
    "project/__init__.py": "",
    "project/settings.py": """
from pathlib import Path
SECRET_KEY = "k" * 50
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "chat.urls"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(__file__).with_name("db.sqlite3"),
        "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
    }
}
""",
    "project/wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
    "project/asgi.py": "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n",
}


def test_django(agent: Agent, tmp_path: Path):
    recipe = Recipe("django", tmp_path)
    for name, content in DJANGO.items():  # the project that the reader has
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    settings = {"DJANGO_SETTINGS_MODULE": "project.settings"}
    with Program([sys.executable, "-m", "django", "migrate"], None, tmp_path, **settings) as migration:
        assert migration.end(seconds=60)[0] == 0
    expected = []
    assert [command.split()[-1] for command in recipe.commands] == ["project.wsgi", "project.asgi"]
    for command in recipe.commands:
        more = ("--bind", "127.0.0.1:0", "--no-control-socket")
        with recipe.run(agent, command, *more, **settings) as gunicorn:
            address = gunicorn.wait_for(r"Listening at: (http://\S+)")
            expected += visits(address, "/chat", 3)
            expected += visits(address, "/chat/async", 3)
            if command.endswith("asgi"):
                # A worker that is still starting does not hear the signal, and is waited for in vain.
                gunicorn.wait_for(r"(?s)ASGI server listening.*ASGI server listening")
            assert gunicorn.end(signal.SIGTERM)[0] == 0
            assert "unsent" not in gunicorn.output
    assert_visits(agent, expected)


def test_script(agent: Agent, tmp_path: Path):
    recipe = Recipe("script", tmp_path)
    [command] = recipe.commands
    with recipe.run(agent, command) as script:
        assert script.end()[0] == 0
        assert script.output == ""
    [found] = conversations(agent, 1)
    assert [each["content"] for each in found["messages"]] == [
        "Where is my order?",
        "You said: Where is my order?",
        "Thanks",
        "You said: Thanks",
    ]
    assert (found["customer_id"], found["source"]) == ("ana", "script")
    with Program([sys.executable, "turns.py"], agent, tmp_path) as script:
        assert script.end()[0] == 0
    by_turns = {one["conversation_id"]: len(one["messages"]) for one in conversations(agent, 3)}
    assert by_turns == {"first": 2, "second": 1, found["conversation_id"]: 4}


def test_celery(agent: Agent, tmp_path: Path):
    recipe = Recipe("celery", tmp_path)
    (tmp_path / "queue").mkdir()
    (tmp_path / "celeryconfig.py").write_text(
        'broker_url = "filesystem://"\nbroker_transport_options = {\n'
        '    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"\n}\n'
    )
    [command] = recipe.commands
    # In one process here: the pool of processes has tests of its own, and takes its time to end.
    with recipe.run(agent, command, "--pool", "solo", "--loglevel", "INFO") as worker:
        worker.wait_for("ready")
        expected = {}
        for number in range(2):
            asking = [sys.executable, "web.py", f"order {number}", "ana", f"Where is {number}?"]
            with Program(asking, agent, tmp_path) as web:
                assert web.end()[0] == 0
            expected[f"order {number}"] = [f"Where is {number}?", f"You said: Where is {number}?"]
        wait_stored(agent, expected, lambda: worker.output)
        assert {one["customer_id"] for one in conversations(agent, 2)} == {"ana"}


class Meta:
    """What Meta's side does: take replies at its Graph API, and deliver messages, again and again."""

    def __init__(self) -> None:
        self.replies: list[tuple[str, str]] = []
        meta = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                meta.replies.append((sent["to"], sent["text"]["body"]))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments: object) -> None:
                pass

        self.graph = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.graph.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.graph.shutdown()
        self.graph.server_close()

    @staticmethod
    def delivery(*messages: dict[str, Any], **more: Any) -> bytes:
        value = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550001111", "phone_number_id": "106540352242922"},
            **({"messages": list(messages)} if messages else {}),
            **more,
        }
        entry = {"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}
        return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def message(id: str, phone: str, timestamp: int, **content: Any) -> dict[str, Any]:
    return {"from": phone, "id": f"wamid.{id}", "timestamp": str(timestamp), **content}


def text_message(id: str, phone: str, timestamp: int, text: str) -> dict[str, Any]:
    return message(id, phone, timestamp, type="text", text={"body": text})


def test_whatsapp(agent: Agent, tmp_path: Path):
    recipe = Recipe("whatsapp", tmp_path)
    [command] = recipe.commands
    meta = Meta()
    settings = {
        "WHATSAPP_APP_SECRET": "s3cret",
        "WHATSAPP_VERIFY_TOKEN": "token",
        "WHATSAPP_TOKEN": "EAAG",
        "WHATSAPP_GRAPH": f"http://127.0.0.1:{meta.graph.server_port}",
    }
    noon = 1_786_442_400  # 2026-08-11 12:00 in Zagreb
    button = {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes, thanks"}}
    deliveries = [
        Meta.delivery(text_message("1", "385911111111", noon, "Where is my order?")),
        Meta.delivery(text_message("2", "385922222222", noon, "Hello")),
        Meta.delivery(message("3", "385922222222", noon + 90, type="interactive", interactive=button)),
        Meta.delivery(message("4", "385911111111", noon + 86_400, type="image", image={"id": "9"})),
        Meta.delivery(statuses=[{"id": "wamid.0", "status": "read", "timestamp": str(noon)}]),
    ]

    def deliver(body: bytes) -> int:
        signature = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}
        return httpx.post(f"{address}/webhook", content=body, headers=headers, timeout=30).status_code

    listener = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    fd = listener.fileno()
    try:
        with listener, recipe.run(agent, command, "--fd", str(fd), pass_fds=(fd,), **settings) as uvicorn:
            hub = {"hub.mode": "subscribe", "hub.verify_token": "token", "hub.challenge": "1158201444"}
            verified = httpx.get(f"{address}/webhook", params=hub, timeout=30)
            assert (verified.status_code, verified.text) == (200, "1158201444")
            assert httpx.get(f"{address}/webhook", params=hub | {"hub.verify_token": "x"}).status_code == 403
            unsigned = httpx.post(f"{address}/webhook", content=deliveries[0], timeout=30)
            assert unsigned.status_code == 403
            today, tomorrow = "2026-08-11", "2026-08-12"
            first, second = f"whatsapp-385911111111-{today}", f"whatsapp-385922222222-{today}"
            expected: dict[str, list[str]] = {}
            for body, name, said in [
                (deliveries[0], first, ["Where is my order?", "You said: Where is my order?"]),
                (deliveries[1], second, ["Hello", "You said: Hello"]),
                (deliveries[2], second, ["Yes, thanks", "You said: Yes, thanks"]),
                (deliveries[3], f"whatsapp-385911111111-{tomorrow}", ["[image]"]),
                (deliveries[4], first, []),
            ]:
                with ThreadPoolExecutor(4) as pool:  # at the same time as its repetitions, in all processes
                    assert list(pool.map(deliver, [body] * 4)) == [200] * 4
                expected[name] = expected.get(name, []) + said
                wait_stored(agent, expected, lambda: uvicorn.output)
            assert deliver(deliveries[0]) == 200  # much later, when it has long been stored
            uvicorn.end(signal.SIGTERM)
            assert "Traceback" not in uvicorn.output
        wait_stored(agent, expected)
    finally:
        meta.close()
    assert sorted(meta.replies) == sorted(
        [
            ("385911111111", "You said: Where is my order?"),
            ("385922222222", "You said: Hello"),
            ("385922222222", "You said: Yes, thanks"),
        ]
    )
    found = conversations(agent, 3)
    assert {(one["customer_id"], one["source"]) for one in found} == {
        ("385911111111", "whatsapp"),
        ("385922222222", "whatsapp"),
    }
