"""Signing in against those who guess. In this process, so that callers can come from many addresses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher

from agentsight_server.app import create_app, open_services
from agentsight_server.domain import times
from agentsight_server.security import passwords, sessions
from agentsight_server.settings import Settings
from agentsight_server.store.schema import sessions as sessions_table
from tests.serving import ServerProcess

PASSWORD = "correct horse battery"
# Signs in from an address; gives the answer's status.
SignIn = Callable[[str, str, str], Awaitable[int]]


class Hasher:
    """The real one with less work a password; remembers what it was asked to compare."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=1, memory_cost=64)
        self.hash = self._hasher.hash
        self.compared: list[str] = []

    def verify(self, hashed: str, password: str) -> bool:
        self.compared.append(hashed)
        return self._hasher.verify(hashed, password)


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> Hasher:
    hasher = Hasher()
    monkeypatch.setattr(passwords, "_hasher", hasher)
    monkeypatch.setattr(passwords, "_NOBODY", hasher.hash("nobody has this password"))
    return hasher


@asynccontextmanager
async def serving(folder: Path, *emails: str) -> AsyncIterator[SignIn]:
    """A server with an account for each e-mail address."""
    services = open_services(Settings(data_dir=folder))
    with services.database.write() as connection:
        for email in emails:
            sessions.create_person(connection, email=email, name="", password=PASSWORD)
    app = create_app(services.settings, services)

    async def sign_in(email: str, password: str, address: str) -> int:
        transport = httpx.ASGITransport(app, client=(address, 4321))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answer = await client.post("/sign-in", data={"email": email, "password": password})
            return answer.status_code

    async with app.lifespan():
        yield sign_in


def test_an_account_that_many_addresses_guess_at_is_slowed_down(tmp_path: Path, hasher: Hasher) -> None:
    """Each address stays below what slows down one address alone."""

    async def guess() -> None:
        async with serving(tmp_path, "many@example.com", "other@example.com") as sign_in:
            guesses = [
                (n, await sign_in("many@example.com", f"guess {n}", f"192.0.2.{n}")) for n in range(80)
            ]
            codes = [code for _, code in guesses]
            assert codes[:20] == [400] * 20
            assert codes[-1] == 429
            assert len(hasher.compared) == codes.count(400)
            # The right password is not judged either, wherever it comes from; other accounts go on.
            assert await sign_in("many@example.com", PASSWORD, "198.51.100.1") == 429
            assert await sign_in("other@example.com", PASSWORD, "198.51.100.1") in {302, 303}

    asyncio.run(guess())


def test_an_address_that_guesses_at_many_accounts_is_slowed_down(tmp_path: Path, hasher: Hasher) -> None:
    async def guess() -> None:
        async with serving(tmp_path, "mine@example.com") as sign_in:
            codes = [await sign_in(f"guess-{n}@example.com", "guess", "203.0.113.9") for n in range(80)]
            assert codes[:20] == [400] * 20
            assert codes[-1] == 429
            assert await sign_in("mine@example.com", PASSWORD, "198.51.100.2") in {302, 303}

    asyncio.run(guess())


def test_an_unknown_email_costs_as_much_as_a_known_one(tmp_path: Path, hasher: Hasher) -> None:
    """Otherwise the time of the answer would tell who has an account."""

    async def ask() -> None:
        async with serving(tmp_path, "known@example.com") as sign_in:
            assert await sign_in("known@example.com", "wrong", "192.0.2.1") == 400
            assert await sign_in("unknown@example.com", "wrong", "192.0.2.2") == 400

    asyncio.run(ask())
    known, unknown = hasher.compared
    assert known != unknown
    # The same work: algorithm, memory, time.
    assert known.split("$")[:4] == unknown.split("$")[:4]


def test_nobodys_hash_is_as_much_work_as_a_persons() -> None:
    nobody = passwords._NOBODY.split("$")[:4]
    assert nobody == passwords.hash_password(PASSWORD).split("$")[:4]
    assert not passwords.matches("nobody has this password", None)


def test_a_session_ends_when_its_time_is_over(sqlite_server: ServerProcess) -> None:
    person = sqlite_server.person("over@example.com", PASSWORD)
    with httpx.Client(base_url=sqlite_server.address) as client:
        form = {"email": "over@example.com", "password": PASSWORD}
        assert client.post("/sign-in", data=form).status_code == 303
        assert client.get("/api/me/").status_code == 200
        with sqlite_server.database.write() as connection:
            mine = sessions_table.update().where(sessions_table.c.person_id == person)
            connection.execute(mine.values(expires_at=times.now() - 1))
        assert client.get("/api/me/").status_code == 401
        assert client.get("/", headers={"Accept": "text/html"}).headers["location"].startswith("/sign-in")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({}, 303),
    ],
    ids=str,
)
def test_a_page_of_another_site_signs_nobody_in(
    sqlite_server: ServerProcess, headers: dict[str, str], status: int
) -> None:
    """Nor does it send any other form, though the browser would send the cookie and the page knew the token."""
    email = f"site-{len(str(headers))}-{status}@example.com"
    sqlite_server.person(email, PASSWORD)
    # The run's server may be writing its file anew, which holds up whoever signs in.
    with httpx.Client(base_url=sqlite_server.address, timeout=60) as client:
        answer = client.post("/sign-in", data={"email": email, "password": PASSWORD}, headers=headers)
        assert answer.status_code == status
        assert ("set-cookie" in answer.headers) == (status == 303)
        client.post("/sign-in", data={"email": email, "password": PASSWORD})
        token = re.search(r'name="csrf-token" content="([^"]+)"', client.get("/").text)
        assert token is not None
        left = client.post("/sign-out", data={"csrf_token": token[1]}, headers=headers)
        assert left.status_code == status
