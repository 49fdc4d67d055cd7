"""The server against a plain model of it: whatever is sent, in whatever order, both tell the same.

MODEL_EXAMPLES=2000 makes it a long run.
"""

from __future__ import annotations

import gzip
import json
import os
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from agentsight_server.domain import times
from server.tests import model, sent
from server.tests.model import Conversation, micros
from server.tests.sent import HUGE, Expected, SentConversation
from tests.serving import Agent, ServerProcess

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "12"))
BOMB = gzip.compress(b'{"conversations":[' + b" " * 40_000_000 + b"]}", 9)
_names = st.sampled_from(sent.NAMES)
_side = st.sampled_from([0, 1])
_said = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9).filter(
    str.strip
)
# Each makes a right body into none at all.
_SPOILED = (
    lambda body: body[:-1],
    lambda body: body.replace(b"{", b'{"a": NaN, ', 1),
    lambda body: body.replace(b"{", b'{"a": "\\ud800", ', 1),
    lambda body: body.replace(b"{", b'{"a": "\xff", ', 1),
    lambda body: body.replace(b"{", b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b", ", 1),
    lambda body: b"[" + body + b"]",
    lambda body: b"",
    lambda body: body.replace(b'"conversations"', b'"conversation"'),
    lambda body: b"\0" + body,
)


class TwoAgents(RuleBasedStateMachine):
    """Two agents that use the same names and ids, and must never meet."""

    server: ServerProcess
    client: httpx.Client

    def __init__(self) -> None:
        super().__init__()
        self.agents: list[Agent] = [self.server.agent(), self.server.agent()]
        self.models = [model.Agent(), model.Agent()]
        self.last: list[list[SentConversation]] = [[], []]

    def call(self, side: int, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) or body is None else encode(body)
        headers = {"Authorization": f"Api-Key {self.agents[side].keys['write']}"} | more.pop("headers", {})
        answer = self.client.request(
            method, self.server.address + path, content=content, headers=headers, **more
        )
        assert answer.status_code < 500, (method, path, answer.text)
        return answer

    def check(self, side: int, *touched: Conversation) -> None:
        for each in {each.id: each for each in touched}.values():
            each.check(self.call(side, "GET", f"/api/conversations/{each.id}/").json())

    def post_batch(self, side: int, given: list[SentConversation], *, zipped: bool = False) -> None:
        body = encode({"conversations": [each.body for each in given]})
        headers = {"Content-Encoding": "gzip"} if zipped else {}
        began = times.now()
        answer = self.call(
            side, "POST", "/api/ingest/batch/", gzip.compress(body) if zipped else body, headers=headers
        )
        assert answer.status_code == 200, answer.text
        touched = self.models[side].batch(given, answer.json())
        self._date(side, touched, began)
        self.check(side, *touched)

    def _date(self, side: int, made: list[Conversation], began: int) -> None:
        """A conversation that came without any time begins when it came."""
        for each in made:
            if each.fields["started_at"] is None:
                told = self.call(side, "GET", f"/api/conversations/{each.id}/").json()
                now = micros(told["started_at"])
                assert began <= now <= times.now()
                each.fields["started_at"] = now
                each.fields["ended_at"] = max(now, each.fields["ended_at"] or 0)

    # ------------------------------------------------------------------ in bulk

    @rule(side=_side, given=sent.batches, zipped=st.booleans())
    def batch(self, side: int, given: list[SentConversation], zipped: bool) -> None:
        self.last[side] = given
        self.post_batch(side, given, zipped=zipped)

    @rule(side=_side, other=_side)
    def the_same_again(self, side: int, other: int) -> None:
        """Sent twice by one agent, or by the other: ids of one agent mean nothing to the other."""
        self.post_batch(side, self.last[other])

    @rule(side=_side, given=sent.batches, spoil=st.sampled_from(_SPOILED))
    def no_json_at_all(self, side: int, given: list[SentConversation], spoil: Any) -> None:
        body = spoil(encode({"conversations": [each.body for each in given]}))
        assert self.call(side, "POST", "/api/ingest/batch/", body).status_code == 400
        self.models[side].refused_whole()

    @rule(side=_side, kind=st.sampled_from(["bomb", "cut", "plain"]))
    def bad_gzip(self, side: int, kind: str) -> None:
        body = {"bomb": BOMB, "cut": BOMB[:1000], "plain": b'{"conversations": []}'}[kind]
        answer = self.call(side, "POST", "/api/ingest/batch/", body, headers={"Content-Encoding": "gzip"})
        assert answer.status_code == (413 if kind == "bomb" else 400)
        self.models[side].refused_whole()

    # ------------------------------------------------------------------ one at a time

    @rule(side=_side, name=_names, given=sent.fields())
    def begin(self, side: int, name: str, given: dict[str, Any]) -> None:
        agent, began = self.models[side], times.now()
        answer = self.call(side, "POST", "/api/conversations/", {"conversation_id": name, **given})
        agent.count(requests=1)
        found = agent.conversations.get(name)
        given = {"is_used": True, **given}
        assert answer.status_code == (201 if found is None else 200), answer.text
        if found is None:
            found = agent.begin(name, answer.json()["id"], given, [])
        else:
            agent.fill(found, given)
        self._date(side, [found], began)
        self.check(side, found)

    @rule(side=_side, name=_names, given=sent.right_items(), by_number=st.booleans())
    def one_item(self, side: int, name: str, given: sent.Sent, by_number: bool) -> None:
        item = given.expected
        assert item is not None
        paths = {
            "message": "track",
            "action": "action_logs",
            "button": "buttons",
            "feedback": "conversation-feedbacks",
        }
        if item.kind not in paths:
            return
        agent = self.models[side]
        found = agent.conversations.get(name)
        body = {key: value for key, value in given.body.items() if key not in ("type", "id")}
        body |= {"conversation": str(found.id)} if by_number and found else {"conversation_id": name}
        answer = self.call(side, "POST", f"/api/{paths[item.kind]}/", body)
        assert answer.status_code == 201, answer.text
        told = answer.json()
        agent.count(requests=1, received=1)
        if found is None:
            judged = item.kind == "feedback"
            found = agent.begin(name, told["conversation"], {}, [item.timestamp], judged=judged)
        assert told["conversation"] == found.id
        before = found.feedbacks.get(told["id"])
        # The answer is the vote that counts: another one when this is older.
        older = item.kind == "feedback" and before is not None and item.timestamp < before.timestamp
        agent.item(found, item._replace(uuid=None), told["id"], duplicate=older)
        self.check(side, found)

    @rule(
        side=_side,
        name=_names,
        question=_said,
        answer=_said,
        moment=st.integers(10**15, 1_780_000_000 * 10**6),
    )
    def question_and_answer(self, side: int, name: str, question: str, answer: str, moment: int) -> None:
        agent = self.models[side]
        body = {
            "conversation_id": name,
            "question": question,
            "answer": answer,
            "timestamp": sent.iso(moment),
        }
        told = self.call(side, "POST", "/api/track/", body).json()
        found = agent.conversations.get(name) or agent.begin(name, told["conversation"], {}, [moment])
        agent.count(requests=1, received=2)
        for sender, text, message in zip(
            ("end_user", "agent"), (question, answer), told["messages"], strict=True
        ):
            agent.item(found, Expected("message", None, moment, sender, text, {}, {}), message["id"], False)
        self.check(side, found)

    @rule(
        side=_side,
        name=_names,
        data=st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=12),
        caption=st.none() | _said.filter(lambda text: not text.strip().isdigit()),
        metadata=st.dictionaries(_said, _said, max_size=2),
        moment=st.integers(10**15, 1_780_000_000 * 10**6),
        wrong=st.none() | st.sampled_from(sent.WRONG_FORMS),
    )
    def form(
        self,
        side: int,
        name: str,
        data: list[bytes],
        caption: str | None,
        metadata: dict[str, Any],
        moment: int,
        wrong: dict[str, str] | None,
    ) -> None:
        agent = self.models[side]
        values = {"conversation_id": name, "timestamp": sent.iso(moment), "metadata": json.dumps(metadata)}
        if caption is not None:
            values["message"] = caption
        values |= wrong or {}
        files = [(f"attachment_{place}", (f"{place}.bin", each)) for place, each in enumerate(data)]
        if wrong == {}:
            files = []
        # What a form says of itself must not matter: the order of the files is that of their numbers.
        answer = self.client.post(
            f"{self.server.address}/api/attachments/",
            data=values,
            files=files[::-1] or {"nothing": ("", b"")},
            headers={"Authorization": f"Api-Key {self.agents[side].keys['write']}"},
        )
        if wrong is not None:
            assert answer.status_code in (400, 404), answer.text
            agent.refused_whole()
            return
        assert answer.status_code == 201, answer.text
        told = answer.json()
        agent.count(requests=1, received=1)
        found = agent.conversations.get(name)
        if found is None:
            found = agent.begin(name, told["conversation"], {}, [moment])
        stored = tuple((f"{place}.bin", len(each)) for place, each in enumerate(data))
        item = Expected("attachments", None, moment, "end_user", caption or "", metadata, {}, stored)
        agent.item(found, item, told["message_id"], duplicate=False)
        self.check(side, found)

    # ------------------------------------------------------------------ managing

    def someone(self, side: int) -> Conversation | None:
        """The conversation of this agent that was touched least."""
        return min(self.models[side].conversations.values(), key=lambda each: len(each.lines), default=None)

    @rule(
        side=_side,
        name=_names,
        new=_said,
        is_marked=st.booleans(),
        metadata=st.dictionaries(_said, _said, max_size=2),
        how=st.sampled_from(["rename", "update", "mark", "delete"]),
    )
    def manage(
        self, side: int, name: str, new: str, is_marked: bool, metadata: dict[str, Any], how: str
    ) -> None:
        found = self.models[side].conversations.get(name) or self.someone(side)
        if found is None:
            return
        path = f"/api/conversations/{found.id}/{how}/"
        changes: dict[str, Any] = {
            "rename": {"name": new},
            "update": {"customer_id": new, "metadata": metadata, "device": None},
            "mark": {"is_marked": is_marked},
            "delete": {},
        }[how]
        method = {"mark": "POST", "delete": "DELETE"}.get(how, "PATCH")
        answer = self.call(side, method, path, None if how == "delete" else changes)
        assert answer.status_code == 200, answer.text
        found.fields |= changes
        if how == "delete":
            self._deleted(side, found, said=new)
        self.check(side, found)

    def _deleted(self, side: int, found: Conversation, said: str) -> None:
        """A deleted conversation is nowhere, and takes nothing until it is restored."""
        address = f"/api/conversations/{found.id}/"
        found.is_deleted = True
        found.check(self.call(side, "GET", address + "?include_deleted=true").json())
        assert self.call(side, "GET", address).status_code == 404
        body = {"conversation_id": found.name_id, "content": said, "sender": "agent"}
        assert self.call(side, "POST", "/api/track/", body).status_code == 409
        body = {"conversation": found.id, "content": said, "sender": "agent"}
        assert self.call(side, "POST", "/api/track/", body).status_code == 404
        for _ in range(2):
            self.models[side].refused_whole()
        assert self.call(side, "POST", address + "restore/").status_code == 200
        assert self.call(side, "POST", address + "restore/").status_code == 404
        found.is_deleted = False

    @precondition(lambda self: any(each.conversations for each in self.models))
    @rule(side=_side, said=_said)
    def reach_for_the_others(self, side: int, said: str) -> None:
        """Another agent's number is no number, for writing, managing and reading."""
        theirs = self.someone(1 - side)
        if theirs is None:
            return
        body = {"conversation": theirs.id, "content": said, "sender": "agent"}
        assert self.call(side, "POST", "/api/track/", body).status_code == 404
        self.models[side].refused_whole()
        for method, how, change in (
            ("PATCH", "rename", {"name": said}),
            ("PATCH", "update", {"customer_id": said}),
            ("POST", "mark", {"is_marked": True}),
            ("DELETE", "delete", None),
            ("GET", "attachments", None),
        ):
            path = f"/api/conversations/{theirs.id}/{how}/"
            assert self.call(side, method, path, change).status_code == 404, how
        assert self.call(side, "GET", f"/api/conversations/{theirs.id}/").status_code == 404
        self.check(1 - side, theirs)

    # ------------------------------------------------------------------ in the end

    def teardown(self) -> None:
        """All of both agents, and their ledgers."""
        for side, agent in enumerate(self.models):
            everyone = self.call(side, "GET", "/api/conversations/?include_deleted=true&page_size=100").json()
            assert everyone["count"] == len(agent.conversations)
            by_number = {each.id: each for each in agent.conversations.values()}
            for told in everyone["results"]:
                by_number[told["id"]].check(told)
            there = self.call(side, "GET", "/api/conversations/?full=false&page_size=1").json()
            assert there["count"] == sum(not each.is_deleted for each in by_number.values())
            # The next transaction takes along what was refused before it.
            self.post_batch(side, [])
            self._check_ledger(side, agent)

    def _check_ledger(self, side: int, agent: model.Agent) -> None:
        totals = self.call(side, "GET", "/api/ingest/ledger/").json()["totals"]
        assert {name: totals[name] for name in agent.ledger} == agent.ledger
        assert totals["received"] == totals["accepted"] + totals["duplicate"] + totals["refused"]
        assert sum(each["count"] for each in totals["reasons"]) == totals["refused"]


def encode(body: Any) -> bytes:
    """JSON, with a number in it that Python has not."""
    return json.dumps(body).replace(f'"{HUGE}"', "1e999").encode()


@pytest.mark.timeout(60 + EXAMPLES * 10)
def test_the_server_and_the_model_tell_the_same(server: ServerProcess) -> None:
    with httpx.Client(timeout=60) as client:
        bound = type("Bound", (TwoAgents,), {"server": server, "client": client})
        run_state_machine_as_test(
            bound,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=10 if EXAMPLES < 100 else 30,
                deadline=None,
                derandomize=EXAMPLES < 100,
                database=None,
                suppress_health_check=list(HealthCheck),
                print_blob=False,
            ),
        )
