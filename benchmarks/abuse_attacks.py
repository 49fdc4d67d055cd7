"""The attacks of benchmarks/abuse.py. Each runs until its time is over and counts the bytes that it sends."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import random
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MB = 1_000_000


@dataclass(frozen=True)
class Target:
    """The server, and what the attacker has of it."""

    port: int
    keys: dict[str, str]
    cookie: str  # of an owner, for those who look at what was planted
    pid: int
    data: Path

    def told(self) -> str:
        """All of it as one argument of a command."""
        return json.dumps(asdict(self) | {"data": str(self.data)})


def memory(pid: int) -> int:
    """Bytes of memory that a process has in use."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    return 0


class Attack:
    """Connections to the server, and the bytes that went through them."""

    def __init__(self, target: Target, seconds: float) -> None:
        self.target = target
        self.sent = 0
        self.end = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.end

    async def call(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes = b"",
        patience: float | None = None,
    ) -> tuple[int, bytes]:
        """One request on a connection of its own; status 0 when there was no answer in time."""
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        answer = b""
        writer = None
        left = max(0.1, self.end - time.monotonic())
        try:
            async with asyncio.timeout(min(left, patience or left)):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.target.port)
                await self.send(writer, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                answer = await reader.read()
        except (OSError, TimeoutError):
            pass
        finally:
            if writer is not None:
                writer.transport.abort()
        head, _, rest = answer.partition(b"\r\n\r\n")
        return (int(head[9:12]) if head[9:12].isdigit() else 0), rest

    async def send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Send, and count what was taken."""
        for start in range(0, len(data), 65_536):
            piece = data[start : start + 65_536]
            writer.write(piece)
            await writer.drain()
            self.sent += len(piece)

    async def batch(self, conversations: list[dict[str, Any]], role: str = "ingest") -> int:
        """Send items as the public key may."""
        body = gzip.compress(json.dumps({"conversations": conversations}).encode())
        return (await self.call("POST", "/api/ingest/batch/", self.key(role, gz=True), body))[0]

    def key(self, role: str, *, gz: bool = False) -> dict[str, str]:
        headers = {"Authorization": f"Api-Key {self.target.keys[role]}", "Content-Type": "application/json"}
        return headers | ({"Content-Encoding": "gzip"} if gz else {})

    async def look(self, path: str) -> None:
        """Somebody opens a page."""
        await self.call("GET", path, {"Cookie": f"agentsight_session={self.target.cookie}"})

    async def several(self, count: int, work: Callable[[], Awaitable[object]]) -> None:
        """Do it side by side, again and again."""

        async def again() -> None:
            while not self.over:
                began = time.monotonic()
                await work()
                if time.monotonic() - began < 0.005:
                    await asyncio.sleep(0.005)

        await asyncio.gather(*(again() for _ in range(count)))


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def forms(attack: Attack) -> None:
    """Forms of 31 MB for the sign-in"""
    await attack.several(2, lambda: attack.call("POST", "/sign-in/", FORM, b"a=b&" * 7_750_000))


async def cookies(attack: Attack) -> None:
    """Cookies of 0.9 MB, each another"""

    def cookie() -> dict[str, str]:
        return {"Cookie": "a=" + random.randbytes(450_000).hex()}

    await attack.several(1, lambda: attack.call("GET", "/healthz", cookie()))


async def heads(attack: Attack) -> None:
    """Heads without end, of headers of 5 bytes"""

    async def one() -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(max(0.1, attack.end - time.monotonic())):
                _, writer = await asyncio.open_connection("127.0.0.1", attack.target.port)
                try:
                    await attack.send(writer, b"GET / HTTP/1.1\r\n")
                    while attack.sent < 600 * MB and not attack.over:
                        await attack.send(writer, b"a:b\r\n" * 13_000)
                finally:
                    writer.transport.abort()

    await attack.several(2, one)


async def guesses(attack: Attack) -> None:
    """300 wrong passwords at once"""
    body = b"email=owner%40example.com&password=wrong-password"
    await asyncio.gather(*(attack.call("POST", "/sign-in/", FORM, body) for _ in range(300)))


async def sleepy(attack: Attack) -> None:
    """Five uploads that stop after 32 MB: a stranger's"""
    await _sleepy(attack, "/sign-in/", FORM)


async def sleepy_key(attack: Attack) -> None:
    """The same with the public key"""
    await _sleepy(attack, "/api/ingest/batch/", attack.key("ingest"))


async def _sleepy(attack: Attack, path: str, headers: dict[str, str]) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 33000000\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    # To the brim of what all bodies together may take, but for what an honest one needs.
    sizes = [2_617_000, *[32_900_000] * 4]

    async def one() -> None:
        size = sizes.pop() if sizes else 32_900_000
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(max(0.1, attack.end - time.monotonic())):
                _, writer = await asyncio.open_connection("127.0.0.1", attack.target.port)
                try:
                    await attack.send(writer, head.encode() + b"\r\n" + b" " * size)
                    while not attack.over:
                        await attack.send(writer, b" ")
                        await asyncio.sleep(1)
                finally:
                    writer.transport.abort()

    await attack.several(5, one)


async def documents(attack: Attack) -> None:
    """The API reference, asked for by 16"""
    await attack.several(16, lambda: attack.call("GET", "/api/docs/", {"Accept": "text/html"}))


async def sums(attack: Attack) -> None:
    """1,025 token counts of 2^53 - 1 in one request"""
    usage = {"type": "token_usage", "prompt_tokens": 2**53 - 1, "total_tokens": 2**53 - 1}
    await attack.batch(
        [{"conversation_id": "sums", "items": [usage] * 1_025, "started_at": "2199-01-01T00:00:00Z"}]
    )
    await attack.several(2, lambda: attack.call("GET", "/api/conversations/", attack.key("read")))


async def addresses(attack: Attack) -> None:
    """A message that is an address of 100,000 brackets, and somebody looks"""
    text = "http://" + ")" * 100_000
    await attack.batch([_said("addresses", [text])])
    number = await _number(attack, "addresses")
    await attack.several(8, lambda: attack.look(f"/agents/1/conversations/{number}/"))


async def references(attack: Attack) -> None:
    """20 messages of Markdown references, and somebody looks"""
    text = f"[a]: /{'b' * 5_000}\n\n" + "[a] " * 1_700
    await attack.batch([_said("references", [text] * 20, sender="agent")])
    number = await _number(attack, "references")
    await attack.several(2, lambda: attack.look(f"/agents/1/conversations/{number}/"))


async def members(attack: Attack) -> None:
    """4 MB of gzip members of nothing, and gone"""
    body = gzip.compress(b"") * 200_000
    headers = attack.key("ingest", gz=True)
    await attack.several(2, lambda: attack.call("POST", "/api/ingest/batch/", headers, body, patience=3))


async def metadata(attack: Attack) -> None:
    """Metadata of one conversation that grows"""
    made = iter(range(10**9))

    async def one() -> None:
        number = next(made)
        text = "x" * 1_000_000 if number < 40 else "x"
        await attack.batch([{"conversation_id": "grows", "metadata": {f"k{number}": text}, "items": []}])

    await attack.several(2, one)


async def varieties(attack: Attack) -> None:
    """20,000 different tools, models and sources, and somebody looks"""
    for start in range(0, 20_000, 2_000):
        items = [{"type": "action", "action_name": f"tool {start + each}"} for each in range(2_000)]
        items += [
            {"type": "token_usage", "total_tokens": 1, "model": f"model {start + each}"}
            for each in range(2_000)
        ]
        await attack.batch([{"conversation_id": "varieties", "source": "web", "items": items}])
        await attack.batch(
            [
                {"conversation_id": f"v{start + each}", "source": f"source {start + each}", "items": []}
                for each in range(2_000)
            ]
        )
    number = await _number(attack, "varieties")
    await attack.several(1, lambda: attack.look("/agents/1/"))
    await attack.several(1, lambda: attack.look(f"/agents/1/conversations/{number}/"))


async def length(attack: Attack) -> None:
    """One conversation of 100,000 messages, some of a megabyte, read on the page and over the API"""
    for start in range(0, 100_000, 10_000):
        await attack.batch([_said("length", [f"message {start + each}" for each in range(10_000)])])
    for _ in range(3):
        texts = ["".join(random.choices("abcdefgh ", k=1_000_000)) for _ in range(10)]
        await attack.batch([_said("length", texts)])
    number = await _number(attack, "length")
    for path in (f"/agents/1/conversations/{number}/?page=last", f"/agents/1/conversations/{number}/print/"):
        await attack.several(1, lambda path=path: attack.look(path))  # type: ignore[misc]
    key = attack.key("read")
    await attack.several(2, lambda: attack.call("GET", "/api/conversations/?page_size=100", key))


async def tables(attack: Attack) -> None:
    """500 messages of Markdown that swells a hundredfold, and somebody looks"""
    text = ("|" + "|" * 100 + "\n|" + "-|" * 100 + "\n" + "|\n" * 6_000)[:11_000]
    # Words at the end, or the body would be more of its gzip than is taken.
    texts = [text + "".join(random.choices("abcdefgh ", k=1_000)) for _ in range(500)]
    await attack.batch([_said("tables", texts, "agent")])
    number = await _number(attack, "tables")
    await attack.several(1, lambda: attack.look(f"/agents/1/conversations/{number}/"))


async def disk(attack: Attack) -> None:
    """Files of zeros, a thousandth of their size when sent"""

    async def one() -> None:
        data = random.randbytes(16) + bytes(23 * MB)
        file = {"filename": "a.bin", "mime_type": "a/b", "data": base64.b64encode(data).decode()}
        await attack.batch(
            [{"conversation_id": "disk", "items": [{"type": "attachments", "attachments": [file]}]}]
        )

    await attack.several(2, one)


async def searches(attack: Attack) -> None:
    """24 searches given up after half a second, again and again"""
    await attack.several(
        24,
        lambda: attack.call(
            "GET", f"/api/conversations/?search={random.random()}", attack.key("read"), patience=0.5
        ),
    )


def _said(name: str, texts: list[str], sender: str = "end_user") -> dict[str, Any]:
    return {
        "conversation_id": name,
        "items": [{"type": "message", "sender": sender, "content": text} for text in texts],
    }


async def _number(attack: Attack, name: str) -> int:
    path = f"/api/conversations/lookup/?conversation_id={name}"
    answer = (await attack.call("GET", path, attack.key("read")))[1]
    return int(json.loads(answer)["id"])


ATTACKS: dict[str, Callable[[Attack], Awaitable[None]]] = {
    each.__name__: each
    for each in (
        forms, cookies, heads, guesses, sleepy, sleepy_key, documents, sums, addresses, references, members, metadata,
        varieties, length, tables, disk, searches,
    )
}  # fmt: skip


def prepare(name: str, target: Target) -> int:
    """What has to be there before; the bytes of it that the attacker sent."""
    if name != "searches":
        return 0
    attack = Attack(target, 600)

    async def fill() -> None:
        words = [f"word{number}" for number in range(5_000)]
        for start in range(100):
            texts = [[" ".join(random.choices(words, k=40)) for _ in range(20)] for _ in range(100)]
            said = [_said(f"filled-{start}-{each}", text) for each, text in enumerate(texts)]
            await attack.batch(said, "write")

    asyncio.run(fill())
    return 0  # it is the server's own, honest data


if __name__ == "__main__":
    name, seconds, told = sys.argv[1:]
    known = json.loads(told)
    attack = Attack(Target(**known | {"data": Path(known["data"])}), float(seconds))
    socket.setdefaulttimeout(60)
    asyncio.run(ATTACKS[name](attack))
    print(attack.sent)
