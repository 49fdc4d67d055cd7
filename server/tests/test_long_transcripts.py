"""However long a conversation is, and however long what was said in it: its pages stay small and hold all of it."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.serving import Agent, ServerProcess


def item(kind: str, place: int, **fields: Any) -> dict[str, Any]:
    at = f"2026-08-01T{place // 3600:02}:{place // 60 % 60:02}:{place % 60:02}Z"
    return {"id": str(uuid.uuid4()), "type": kind, "timestamp": at, **fields}


def said(place: int, text: str, sender: str = "end_user", **fields: Any) -> dict[str, Any]:
    return item("message", place, content=text, sender=sender, **fields)


def send(agent: Agent, name: str, items: list[dict[str, Any]], **fields: Any) -> tuple[int, list[int]]:
    """The conversation's number, and those of its items."""
    record = {"conversation_id": name, "items": items, **fields}
    with agent.client() as client:
        answer = client.post("/api/ingest/batch/", json={"conversations": [record]})
    assert answer.status_code == 200, answer.text
    outcome = answer.json()["conversations"][0]
    assert all(each["success"] for each in outcome["items"]), outcome
    return int(outcome["id"]), [each["id"] for each in outcome["items"]]


@pytest.fixture(scope="module")
def agent(server: ServerProcess) -> Agent:
    return server.agent()


@pytest.fixture(scope="module")
def reader(server: ServerProcess) -> Iterator[httpx.Client]:
    """Somebody who is signed in."""
    email = f"{uuid.uuid4().hex}@example.com"
    server.person(email)
    with httpx.Client(base_url=server.address, headers={"Accept": "text/html"}, timeout=30) as client:
        client.post("/sign-in", data={"email": email, "password": "correct horse battery"})
        yield client


@pytest.fixture(scope="module")
def long(agent: Agent) -> tuple[str, list[int]]:
    """1,203 lines and token usage beside each answer; every seventh line is a tool's."""
    items = []
    for place in range(1_203):
        if place % 7 == 6:
            error = {"error_msg": "boom"} if place == 1_007 - 1_007 % 7 + 6 else {}
            items.append(item("action", place, action_name="look_up", **error))
        else:
            items.append(said(place, f"line {place}.", "agent" if place % 2 else "end_user"))
        if place % 2:
            items.append(item("token_usage", place, model="m", prompt_tokens=1, total_tokens=2))
    number, numbers = send(agent, "long", items)
    shown = [each for each, one in zip(numbers, items, strict=True) if one["type"] != "token_usage"]
    return f"/agents/{agent.id}/conversations/{number}/", shown


def lines(page: str) -> list[int]:
    """The numbers of the items on a page."""
    return [int(each) for each in re.findall(r'<li class="turn [^>]*id="item-(\d+)"', page)]


def test_pages_hold_every_line_once_and_in_order(reader: httpx.Client, long: tuple[str, list[int]]) -> None:
    path, numbers = long
    found: list[int] = []
    address, steps = path, 0
    while address:
        page = reader.get(address).text
        found += lines(page)
        later = re.search(r'href="([^"#]*)#transcript" data-open>Later', page)
        address, steps = html.unescape(later[1]) if later else "", steps + 1
    assert (steps, found) == (3, numbers)
    # The whole conversation's figures stand on each page.
    for address in (path, path + "?page=3"):
        page = reader.get(address).text
        assert "1,032 messages" in page
        assert re.search(r"<dt>Tool calls</dt><dd>171 <span[^>]*>\(1 failed\)", page)
        assert "<dt>Total</dt><dd>1,202</dd>" in page


def test_the_end_any_page_and_any_message_can_be_named(
    reader: httpx.Client, long: tuple[str, list[int]]
) -> None:
    path, numbers = long
    assert lines(reader.get(path + "?page=last").text) == numbers[1_000:]
    assert lines(reader.get(path + "?page=2").text) == numbers[500:1_000]
    for place in (0, 499, 500, 1_202):
        page = reader.get(f"{path}?item={numbers[place]}").text
        assert lines(page) == numbers[place // 500 * 500 :][:500]
    # What makes no sense shows the beginning; a page beyond the end the last one.
    for query in ("page=0", "page=-1", "page=x", "item=1", "item=99999999999999999999", "page=" + "9" * 30):
        assert lines(reader.get(f"{path}?{query}").text)[0] == numbers[0], query
    assert lines(reader.get(path + "?page=99").text) == numbers[1_000:]
    printed = reader.get(path + "print/?page=3").text
    assert lines(printed) == numbers[1_000:]
    assert "Part 3 of 3" in printed


def test_a_page_says_what_its_first_answer_follows(reader: httpx.Client, long: tuple[str, list[int]]) -> None:
    path, numbers = long
    page = reader.get(path + "?page=2").text
    first = page[page.index(f'id="item-{numbers[501]}"') :]
    assert "in 1 s" in first[:2_500]
    assert page.index('class="turn-day"') < page.index(f'id="item-{numbers[500]}"')


def test_a_vote_stands_at_its_message_on_whichever_page_it_was_given(
    reader: httpx.Client, agent: Agent
) -> None:
    items = [said(place, f"line {place}.", "agent") for place in range(600)]
    items.append(item("feedback", 700, sentiment="negative", comment="Wrong!", message=items[3]["id"]))
    number, numbers = send(agent, "votes", items)
    path = f"/agents/{agent.id}/conversations/{number}/"
    first = reader.get(path).text
    at = first[first.index(f'id="item-{numbers[3]}"') : first.index(f'id="item-{numbers[4]}"')]
    assert "Wrong!" in at
    assert f'id="item-{numbers[600]}"' in at
    # Where it was given it says what it is about, and leads there.
    last = reader.get(path + "?page=2").text
    assert "Wrong!" in last
    assert f'href="{path}?item={numbers[3]}#item-{numbers[3]}"' in last


def test_a_list_that_was_opened_for_what_happened_leads_to_it(
    reader: httpx.Client, agent: Agent, long: tuple[str, list[int]]
) -> None:
    path, numbers = long
    failed = numbers[1_007 - 1_007 % 7 + 6]
    found = reader.get(
        f"/agents/{agent.id}/conversations/",
        params={"event": "tool", "event_failed": "true", "is_used": "any"},
    ).text
    link = re.search(rf'href="({path}[^"]*item={failed}[^"]*)"', found)
    assert link
    address = html.unescape(link[1])
    assert address.endswith(f"#item-{failed}")
    page = reader.get(address).text
    assert failed in lines(page)
    # Within the page, its own links lead to the page again.
    assert f'href="{path}?item={failed}#item-{failed}"' in page


def test_a_long_text_shows_its_beginning_and_the_rest_when_it_is_asked_for(
    reader: httpx.Client, agent: Agent
) -> None:
    words = [f"word{place}" for place in range(60_000)]
    text = " ".join(words)
    response = {"rows": words[:5_000]}
    number, (message, tool) = send(
        agent,
        "text",
        [
            said(1, text),
            item("action", 2, action_name="export", response=response, error_msg="E" * 30_000 + "end"),
        ],
    )
    path = f"/agents/{agent.id}/conversations/{number}/"
    page = reader.get(path).text
    assert len(page) < 150_000
    assert "word2000 " in page
    assert "word2500" not in page
    more = re.search(rf'hx-get="({path}items/{message}/\?part=content&amp;from=\d+)"', page)
    assert more
    # What stands there and what comes, piece by piece, are the whole.
    shown = re.search(r'class="as-typed">(.*?)</p>', page, re.S)
    assert shown
    whole, address = shown[1].rstrip() + " ", html.unescape(more[1])
    while address:
        piece = reader.get(address, headers={"HX-Request": "true"}).text
        body = re.search(r'<div class="as-typed" dir="auto">(.*?)</div>', piece, re.S)
        assert body
        whole += body[1]
        assert len(piece) < 250_000
        next_one = re.search(r'hx-get="([^"]+)"', piece)
        address = html.unescape(next_one[1]) if next_one else ""
    assert whole == text
    # Without a script it is a page, with its own way on and back.
    alone = reader.get(f"{path}items/{message}/?part=content").text
    assert "word0 " in alone
    assert f'href="{path}?item={message}#item-{message}"' in alone
    last = reader.get(f"{path}items/{message}/?part=content&from=400000").text
    assert "word59999" in last
    assert "end" in reader.get(f"{path}items/{tool}/?part=error&from=29990").text
    assert "word4999" in reader.get(f"{path}items/{tool}/?part=response").text


def test_texts_are_asked_for_by_those_who_may_see_them(
    reader: httpx.Client, server: ServerProcess, agent: Agent
) -> None:
    number, (message,) = send(agent, "mine", [said(1, "mine")])
    other = server.agent()
    foreign, (theirs,) = send(other, "theirs", [said(1, "theirs")])
    path = f"/agents/{agent.id}/conversations/{number}/items/"
    assert "mine" in reader.get(f"{path}{message}/").text
    for address in (
        f"{path}{theirs}/",
        f"{path}{message}/?part=response",
        f"{path}{message}/?part=uuid",
        f"{path}{message}/?from=5",
        f"{path}{2**63}/",
        f"/agents/{agent.id}/conversations/{foreign}/items/{theirs}/",
    ):
        assert reader.get(address).status_code == 404, address
    assert httpx.get(f"{server.address}{path}{message}/").status_code in (401, 303)


def test_a_page_of_long_texts_stays_small(reader: httpx.Client, agent: Agent) -> None:
    items = [
        item("action", place, action_name="t", response=["x" * 900] * 20, metadata={"k": "&" * 19_000})
        for place in range(300)
    ]
    number, numbers = send(agent, "wide", items)
    page = reader.get(f"/agents/{agent.id}/conversations/{number}/").text
    assert lines(page) == numbers
    assert len(page) < 6_000_000


def test_what_is_only_clicked_or_sent_is_called_by_it(reader: httpx.Client, agent: Agent) -> None:
    file = {"filename": "offer.pdf", "mime_type": "application/pdf", "data": "JVBERi0="}
    click = {"button_event": "after_chat", "label": "Yes", "value": "y"}
    wanted = {
        "Clicked “Yes”": [item("button", 2, **click), item("action", 1, action_name="greet")],
        "Sent offer.pdf": [item("attachments", 1, sender="end_user", attachments=[file])],
        "Welcome!": [said(1, "Welcome!", "agent")],
        "Ran look_up": [item("action", 1, action_name="look_up")],
        "No messages yet": [item("token_usage", 1, total_tokens=3)],
    }
    mine = agent.server.agent()
    for title, items in wanted.items():
        number, _ = send(mine, title, items)
        page = reader.get(f"/agents/{mine.id}/conversations/{number}/").text
        assert f"<title>{title} ·" in page
    listed = reader.get(f"/agents/{mine.id}/conversations/?is_used=any").text
    titles = re.findall(r'class="row-title is-question" dir="auto">(.*?)</span>', listed)
    assert sorted(titles) == sorted(wanted)


def test_list_and_transcript_count_alike(reader: httpx.Client, agent: Agent) -> None:
    file = {"filename": "a.txt", "mime_type": "text/plain", "data": "YQ=="}
    items = [
        item("attachments", place, sender="end_user", attachments=[file])
        if place % 10 == 9
        else said(place, "Hi")
        for place in range(1_100)
    ]
    mine = agent.server.agent()
    number, _ = send(mine, "count", items)
    page = reader.get(f"/agents/{mine.id}/conversations/{number}/").text
    assert '<span class="num">1,100</span>' in page
    assert "· 1,100 messages</p>" in page
    assert "<dt>Messages</dt><dd>1,100</dd>" in page
    assert (
        "<dt>Messages</dt><dd>1,100</dd>"
        in reader.get(f"/agents/{mine.id}/conversations/{number}/print/").text
    )


def test_thousands_of_tools_in_one_conversation_are_a_short_line(reader: httpx.Client, agent: Agent) -> None:
    mine = agent.server.agent()
    items = [item("action", place, action_name=f"tool {place}") for place in range(3_000)]
    items.append(item("action", 3_001, action_name="contact_human"))
    items.append(item("action", 3_002, action_name="broken", error_msg="no"))
    send(mine, "tools", items)
    listed = reader.get(f"/agents/{mine.id}/conversations/").text
    assert "broken failed" in listed
    assert "Handed to a human" in listed[listed.index('id="rows"') :]
    assert listed.count("tool 1") < 200
