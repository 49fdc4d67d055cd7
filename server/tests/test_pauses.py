"""Pauses of an agent: chosen on its page, counted through its whole past, told by REST and in the transcript."""

from __future__ import annotations

import re
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx

from agentsight_server.domain.pauses import HOUR
from agentsight_server.store import agents
from tests.serving import ServerProcess
from tests.waiting import until


def message(at: datetime, sender: str) -> dict[str, Any]:
    return {"type": "message", "sender": sender, "content": "hello", "timestamp": at.isoformat()}


def test_pauses_are_chosen_on_a_page_and_hold_for_the_past(server: ServerProcess) -> None:
    agent = server.agent()
    email = f"{uuid.uuid4().hex}@example.com"
    server.person(email, "correct horse battery")
    begun = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=9)
    times = [(0, "end_user"), (1, "agent"), (40, "agent"), (90, "end_user")]
    items = [message(begun + timedelta(hours=hours), sender) for hours, sender in times]
    thread = {
        "conversation_id": "+385",
        "source": "WhatsApp",
        "started_at": begun.isoformat(),
        "items": items,
    }
    with agent.client() as client:
        assert client.post("/api/ingest/batch/", json={"conversations": [thread]}).status_code == 200
        number = client.get("/api/conversations/lookup/", params={"conversation_id": "+385"}).json()["id"]

        def sessions() -> list[tuple[Any, ...]]:
            told = client.get(f"/api/conversations/{number}/").json()["sessions"]
            assert [each["number"] for each in told] == list(range(1, len(told) + 1))
            return [
                (
                    (datetime.fromisoformat(each["started_at"]) - begun) / timedelta(hours=1),
                    each["messages"],
                    each["engaged"],
                    each["outreach"],
                )
                for each in told
            ]

        def figure() -> dict[str, Any]:
            told: dict[str, Any] = client.get("/api/analytics/?metrics=conversations").json()
            return told["metrics"] | {"behind": told.get("behind", False)}

        assert sessions() == [(0, 2, True, False), (40, 1, False, True), (90, 1, True, False)]
        assert figure() == {"conversations": {"value": 2, "threads": 1}, "behind": False}

        page = f"/agents/{agent.id}/settings/"
        with httpx.Client(base_url=server.address, headers={"Accept": "text/html"}) as owner:
            owner.post("/sign-in", data={"email": email, "password": "correct horse battery"})
            there = owner.get(page).text
            assert 'name="pause:whatsapp"' in there
            assert 'placeholder="24 h"' in there
            token = re.search(r'name="csrf_token" value="([^"]+)"', there)
            assert token is not None
            form = {"csrf_token": token[1], "pause:whatsapp": "soon", "pause:other": ""}
            refused = owner.post(f"{page}pauses/", data=form)
            assert refused.status_code == 400
            assert "It takes a time from 1 minute to 366 days" in refused.text
            assert 'value="soon"' in refused.text
            assert owner.post(f"{page}pauses/", data=form | {"pause:whatsapp": "3 days"}).status_code == 303
            with server.database.read() as connection:
                assert agents.pauses(connection)[agent.id] == {"whatsapp": 72 * HOUR}
            until(
                lambda: figure() == {"conversations": {"value": 1, "threads": 1}, "behind": False}, why=figure
            )
            assert sessions() == [(0, 4, True, False)]
            transcript = f"/agents/{agent.id}/conversations/{number}/"
            assert "turn-session" not in owner.get(transcript).text

            # A list of a period holds what its figure counts, whenever the thread began.
            def listed(first: float, last: float, more: str = "") -> str:
                days = [(begun + timedelta(hours=hours)).date() for hours in (first, last)]
                address = f"/agents/{agent.id}/conversations/?from={days[0]}&to={days[1]}{more}"
                count = re.search(r'<p class="list-count[^>]*>(.*?)</p>', owner.get(address).text)
                assert count is not None
                return re.sub(r"<[^>]+>", "", count[1])

            # One that no agent has is refused by name; back to the usual ones.
            assert owner.post(f"{page}pauses/", data=form | {"pause:" + "x" * 300: "1 h"}).status_code == 400
            assert owner.post(f"{page}pauses/", data=form | {"usual": "1"}).status_code == 303
            until(lambda: figure()["conversations"]["value"] == 2, why=figure)
            divided = owner.get(transcript).text
            assert re.search(r"1 day 15 h later · .* reaches out", divided)
            assert "Conversation 3 of this thread" in divided
            assert listed(0, 90) == "1 thread · 2 conversations"
            assert listed(90, 200) == "1", "the thread began before"
            assert listed(40, 40) == "0", "nobody answered"
            assert listed(0, 0, "&unanswered=false") == "1"
            assert listed(90, 90, "&unanswered=true") == "1"
            assert listed(90, 90, "&unanswered=false") == "0"
            assert listed(0, 90, "&source=web") == "0"
