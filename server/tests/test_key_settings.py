"""What can be set for a key: where it may be used from, how much it may write, until when."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from agentsight_server.domain import times
from agentsight_server.domain.errors import Invalid, RequestError
from agentsight_server.security import key_settings, keys
from agentsight_server.security.key_settings import checked, is_allowed, origin
from agentsight_server.security.quotas import Quotas
from agentsight_server.store import agents
from agentsight_server.store.agents import KeySettings
from tests.serving import Agent, ServerProcess

SHOP = "https://shop.example.com"
MESSAGE = {"conversation_id": "c", "content": "hi", "sender": "end_user"}


def key_of(agent: Agent, role: str = "ingest", **given: Any) -> str:
    """A key of the agent with settings."""
    key = keys.new_key()
    settings = KeySettings(**given)
    with agent.server.database.write() as connection:
        agents.add_key(
            connection,
            agent_id=agent.id,
            role=role,
            hint=keys.hint(key),
            hashed=keys.hash_key(key),
            settings=settings,
        )
    return key


def send(server: ServerProcess, key: str, origin: str | None = None, **body: Any) -> httpx.Response:
    headers = {"Authorization": f"Api-Key {key}"} | ({"Origin": origin} if origin else {})
    return httpx.post(f"{server.address}/api/track/", headers=headers, json=MESSAGE | body)


def test_a_key_is_used_from_its_own_pages_and_no_others(server: ServerProcess) -> None:
    agent = server.agent()
    key = key_of(agent, allowed_origins=(SHOP, "https://*.example.org"))
    for given in (SHOP, "https://a.example.org", "https://a.b.example.org", "HTTPS://SHOP.example.com"):
        answer = send(server, key, given)
        assert answer.status_code == 201
        assert answer.headers["access-control-allow-origin"] == given
        assert "origin" in answer.headers["vary"].lower()
    for given in (
        "https://evil.example", "http://shop.example.com", f"{SHOP}:8443", f"{SHOP}.evil.example", "null",
        "https://example.org", "https://evilexample.org", None,
    ):  # fmt: skip
        answer = send(server, key, given)
        assert answer.status_code == 403, given
        assert "access-control-allow-origin" not in answer.headers
    with agent.client() as client:
        assert len(client.get("/api/conversations/").json()["results"][0]["messages"]) == 4


def test_a_key_without_a_list_is_for_every_page_when_it_is_public_and_for_none_when_not(
    server: ServerProcess,
) -> None:
    agent = server.agent()
    public, secret = send(server, agent.keys["ingest"], SHOP), send(server, agent.keys["write"], SHOP)
    assert (public.status_code, secret.status_code) == (201, 201)
    assert public.headers["access-control-allow-origin"] == "*"
    assert "retry-after" in public.headers["access-control-expose-headers"].lower()
    assert "access-control-allow-origin" not in secret.headers, "a page has no business with a secret key"
    refused = send(server, agent.keys["ingest"], SHOP, sender="nobody")
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (400, "*")


def test_other_sites_read_nothing_here(server: ServerProcess) -> None:
    agent = server.agent()
    with agent.client() as client:
        for method, path in (
            ("GET", "/api/conversations/"), ("GET", "/api/me/"), ("GET", "/metrics"), ("GET", "/healthz"),
            ("GET", "/sign-in"), ("POST", "/sign-in"), ("POST", "/api/conversations/1/mark/"),
            ("OPTIONS", "/api/me/"), ("OPTIONS", "/metrics"),
        ):  # fmt: skip
            headers = {"Origin": SHOP, "Access-Control-Request-Method": "GET"}
            answer = client.request(method, path, headers=headers)
            assert not [name for name in answer.headers if name.startswith("access-control")], (method, path)


def test_browsers_are_told_before_they_show_the_key(tmp_path: Any) -> None:
    def ask(server: ServerProcess, origin: str) -> httpx.Headers:
        headers = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-conversation-token",
        }
        answer = httpx.options(f"{server.address}/api/ingest/batch/", headers=headers)
        assert answer.status_code == 204
        return answer.headers

    with ServerProcess(tmp_path) as server:
        with server.database.write() as connection:
            agent = Agent(server, agents.create(connection, "Shop"), {})
        key_of(agent, "write")
        key_of(agent, allowed_origins=(SHOP,))
        key_of(agent, allowed_origins=("https://gone.example",), expires_at=times.now() - 1)
        told = ask(server, SHOP)
        assert told["access-control-allow-origin"] == SHOP
        assert told["access-control-allow-methods"] == "POST"
        assert "x-conversation-token" in told["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in told
        for other in ("https://evil.example", "https://gone.example"):
            assert "access-control-allow-origin" not in ask(server, other)


def test_a_key_that_has_run_out_opens_nothing(server: ServerProcess) -> None:
    agent = server.agent()
    for role in keys.ROLES:
        gone = key_of(agent, role, expires_at=times.now() - 1)
        headers = {"Authorization": f"Api-Key {gone}"}
        answer = httpx.get(f"{server.address}/api/me/", headers=headers)
        assert (answer.status_code, answer.json()["detail"]) == (401, "this key has run out")
        good = key_of(agent, role, expires_at=times.now() + 3_600_000_000)
        assert httpx.get(f"{server.address}/api/me/", headers={"Authorization": f"Api-Key {good}"}).is_success


def test_above_its_limit_a_key_is_told_to_come_again(server: ServerProcess) -> None:
    agent = server.agent()
    key = key_of(agent, items_per_day=3)
    item = {"type": "message", "sender": "end_user", "content": "x"}
    batch = {"conversations": [{"conversation_id": "b", "items": [item] * 2}, {"conversation_id": "c"}]}
    headers = {"Authorization": f"Api-Key {key}", "Origin": SHOP}
    first = httpx.post(f"{server.address}/api/ingest/batch/", headers=headers, json=batch)
    assert first.status_code == 200
    for answer in (
        send(server, key, SHOP),
        httpx.post(f"{server.address}/api/ingest/batch/", headers=headers, json=batch),
    ):
        assert answer.status_code == 429
        assert answer.json()["detail"].startswith("this key takes 3 items a day; try again in ")
        assert 0 < int(answer.headers["retry-after"]) <= 86_400
        assert answer.headers["access-control-allow-origin"] == "*", "the page may read how long to wait"
    assert send(server, agent.keys["ingest"]).status_code == 201, "another key has its own"


def test_bytes_are_counted_as_they_are_when_inflated(server: ServerProcess) -> None:
    import gzip
    import json

    agent = server.agent()
    key = key_of(agent, bytes_per_day=20_000)
    body = gzip.compress(json.dumps(MESSAGE | {"content": "a" * 15_000}).encode())
    headers = {
        "Authorization": f"Api-Key {key}",
        "Content-Encoding": "gzip",
        "Content-Type": "application/json",
    }
    codes = [
        httpx.post(f"{server.address}/api/track/", headers=headers, content=body).status_code
        for _ in range(2)
    ]
    assert codes == [201, 429]
    assert send(server, key, content="a" * 30_000).status_code == 413
    files = {"attachment_0": ("a.bin", b"a" * 6_000, "application/octet-stream")}
    form = httpx.post(
        f"{server.address}/api/attachments/",
        headers={"Authorization": f"Api-Key {key}"}, data={"conversation_id": "c"}, files=files,
    )  # fmt: skip
    assert form.status_code == 429


def test_the_last_use_is_remembered(server: ServerProcess) -> None:
    agent = server.agent()
    began = times.now()
    send(server, agent.keys["ingest"])
    while True:
        with server.database.read() as connection:
            used = {row.role: row.last_used_at for row in agents.keys(connection, agent.id)}
        if used["ingest"] is not None:
            break
    assert began <= used["ingest"] <= times.now()
    assert used["write"] is None


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_minutes_items_come_back_evenly() -> None:
    clock = Clock()
    quotas, sixty = Quotas(clock), KeySettings(items_per_minute=60)
    quotas.take(1, sixty, items=60)
    with pytest.raises(RequestError) as caught:
        quotas.take(1, sixty, items=1)
    assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
    clock.now += 1
    quotas.take(1, sixty, items=1)
    clock.now += 60
    quotas.take(1, sixty, items=300)  # larger than the limit: taken, and paid back
    with pytest.raises(RequestError) as caught:
        quotas.check(1, sixty)
    assert caught.value.headers == {"Retry-After": "241"}
    clock.now += 241
    quotas.check(1, sixty)


def test_a_day_ends_at_midnight() -> None:
    clock = Clock()
    quotas, settings = Quotas(clock), KeySettings(items_per_day=2, bytes_per_day=10)
    quotas.take(1, settings, items=2, size=10)
    for more in ({"items": 1}, {"size": 1}):
        with pytest.raises(RequestError) as caught:
            quotas.take(1, settings, **more)
        assert int(caught.value.headers["Retry-After"]) == 86_400 - 1_000_000 % 86_400
    clock.now += 86_400 - 1_000_000 % 86_400
    quotas.take(1, settings, items=2, size=10)


def test_memory_is_bounded_however_many_keys_there_are() -> None:
    quotas = Quotas(Clock())
    for number in range(20_000):
        quotas.take(number, KeySettings(items_per_day=1), items=1)
    assert len(quotas._spent) <= 10_000
    quotas.take(1, KeySettings(), items=10**9)  # without a limit nothing is kept
    assert len(quotas._spent) <= 10_000


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Shop.example.com/", SHOP),
        (f"{SHOP}:443", SHOP),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://*.example.com", "https://*.example.com"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
    ],
)
def test_origins_are_kept_as_browsers_write_them(given: str, kept: str) -> None:
    assert origin(given) == kept
    if "*" not in kept:
        assert is_allowed([kept], kept)


@pytest.mark.parametrize(
    "given",
    ["", "shop.example.com", "https://", "*", "https://*", "ftp://a.b", f"{SHOP}/page", f"{SHOP}?a=b", "https://a@b.c",
     "https://*.*.com", "https://a*.com", "javascript:alert(1)", "https://a b", "https://a\nb", "https://x:99999"],
)  # fmt: skip
def test_what_is_no_origin_is_named(given: str) -> None:
    with pytest.raises(Invalid) as caught:
        checked(KeySettings(), {"allowed_origins": [given]}, 0)
    assert list(caught.value.errors) == ["allowed_origins"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("items_per_minute", 0), ("items_per_day", -1), ("bytes_per_day", 10**13), ("items_per_day", True),
        ("items_per_day", "5"), ("expires_at", datetime.now(timezone.utc) - timedelta(seconds=1)),
        ("allowed_origins", [f"https://{number}.example" for number in range(51)]),
    ],
)  # fmt: skip
def test_what_a_setting_does_not_take_is_named(field: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        checked(KeySettings(), {field: value}, times.now())
    assert list(caught.value.errors) == [field]


def test_nothing_takes_a_limit_away() -> None:
    full = KeySettings((SHOP,), 1, 2, 3, times.now() + 10**12)
    assert checked(full, dict.fromkeys(key_settings.SETTABLE), times.now()) == KeySettings()
    assert checked(full, {}, times.now()) == full


def test_the_label_is_one_line() -> None:
    assert key_settings.label("  Shop widget ") == "Shop widget"
    for wrong in ("a" * 256, "a\nb"):
        with pytest.raises(Invalid):
            key_settings.label(wrong)
