"""The demo's data: believable, varied, the same for the same seed, and taken by the server as it is."""

from __future__ import annotations

import base64
import importlib.resources
import json
import random
import re
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agentsight_server.attachments.blobs import FileStore
from agentsight_server.attachments.file_types import guess_mime_type
from agentsight_server.demo import AGENT_NAMES, generate, next_conversation
from agentsight_server.demo.addresses import NETWORKS
from agentsight_server.demo.agents import ROLES
from agentsight_server.demo.generate import pace
from agentsight_server.demo.script import load, read
from agentsight_server.records.importer import import_lines
from agentsight_server.reference.geo import Places
from agentsight_server.store import agents
from agentsight_server.store.database import Database

UNTIL = datetime(2026, 9, 17, 14, 30, tzinfo=timezone.utc)
ESCALATIONS = {"fallback_to_human", "open_ticket", "ticket", "contact_human"}


@pytest.fixture(scope="module")
def records() -> list[tuple[str, dict[str, Any]]]:
    return list(generate(7, UNTIL))


def items(records: list[tuple[str, dict[str, Any]]], kind: str) -> list[dict[str, Any]]:
    return [item for _, record in records for item in record["items"] if item["type"] == kind]


def test_the_same_seed_and_moment_give_the_same_conversations() -> None:
    first, second = list(generate(3, UNTIL, days=3)), list(generate(3, UNTIL, days=3))
    assert first
    assert first == second
    assert first != list(generate(4, UNTIL, days=3))


def test_ninety_days_of_several_agents_in_order_of_time(records: list[tuple[str, dict[str, Any]]]) -> None:
    assert 2200 < len(records) < 3200
    assert {name for name, _ in records} == set(AGENT_NAMES)
    starts = [record["started_at"] for _, record in records]
    assert starts == sorted(starts)
    assert starts[0] >= (UNTIL - timedelta(days=90)).isoformat()
    assert datetime.fromisoformat(starts[0]) < UNTIL - timedelta(days=88)
    assert datetime.fromisoformat(starts[-1]) > UNTIL - timedelta(hours=3)
    latest = max(item["timestamp"] for _, record in records for item in record["items"])
    assert datetime.fromisoformat(latest) <= UNTIL


def test_items_follow_one_another(records: list[tuple[str, dict[str, Any]]]) -> None:
    for _, record in records:
        times = [record["started_at"], *(item["timestamp"] for item in record["items"])]
        assert times == sorted(times)
        assert all(each["created_at"] >= times[-1] for each in record["feedbacks"])
    ids = [item["id"] for _, record in records for item in record["items"]]
    assert len(set(ids)) == len(ids)
    names = [record["conversation_id"] for _, record in records]
    assert len(set(names)) == len(names)


def test_there_is_something_of_everything(records: list[tuple[str, dict[str, Any]]]) -> None:
    places = Places()
    found = {key: {record[key] for _, record in records} for key in ("device", "source", "environment")}
    assert found["device"] == {"desktop", "mobile", "tablet", None}
    assert {"web", "whatsapp", "messenger", "voice", "telegram"} <= found["source"]
    assert found["environment"] == {"production", "development"}
    languages = {(record["language"] or "").partition("-")[0] for _, record in records}
    assert {"en", "de", "hr", "es", "fr", "it", "ja", "ar"} <= languages
    countries = {places.lookup(record["customer_ip_address"]) for _, record in records}
    assert len({place.country for place in countries if place}) > 25
    assert any(not record["is_used"] for _, record in records)
    assert any(record.get("is_offered") and record["is_used"] for _, record in records)
    assert {bool(record["name"]) for _, record in records} == {True, False}
    assert any(record["customer_id"] is None for _, record in records)
    visits = Counter(record["customer_id"] for _, record in records if record["customer_id"])
    assert sum(count > 1 for count in visits.values()) > 200
    feedbacks = [each for _, record in records for each in record["feedbacks"]]
    assert {each["sentiment"] for each in feedbacks} == {"positive", "neutral", "negative"}
    assert {each["source"] for each in feedbacks} == {"customer", "platform"}
    assert {True, False} == {bool(each["comment"]) for each in feedbacks}
    assert len({item["model"] for item in items(records, "token_usage")}) >= 6
    assert {item["sender"] for item in items(records, "message")} == {"end_user", "agent", "system"}
    answers = [item["content"] for item in items(records, "message") if item["sender"] == "agent"]
    for sign in ("|---|", "**", "\n- ", "1. ", "](https://", "```"):
        assert any(sign in answer for answer in answers), sign


def test_some_conversations_end_with_the_customer_waiting(records: list[tuple[str, dict[str, Any]]]) -> None:
    waiting = 0
    for _, record in records:
        said = [item for item in record["items"] if item["type"] == "message"]
        waiting += bool(said) and said[-1]["sender"] == "end_user"
    assert 0.01 < waiting / len(records) < 0.1


def test_humans_take_over_now_and_then(records: list[tuple[str, dict[str, Any]]]) -> None:
    used = [record for _, record in records if record["is_used"]]
    escalated = sum(
        any(item.get("action_name") in ESCALATIONS for item in record["items"]) for record in used
    )
    assert 0.04 < escalated / len(used) < 0.16


def test_tools_fail_seldom_but_on_one_bad_day_often(records: list[tuple[str, dict[str, Any]]]) -> None:
    role = next(role for role in ROLES if role.bad_day is not None)
    bad = (UNTIL - timedelta(days=role.bad_day or 0)).date().isoformat()
    shares = {}
    for label, on_it in (("bad", True), ("other", False)):
        runs = [
            item
            for name, record in records
            if name == role.name
            for item in record["items"]
            if item["type"] == "action" and (record["started_at"][:10] == bad) is on_it
        ]
        shares[label] = sum(run["error_msg"] is not None for run in runs) / len(runs)
    assert shares["bad"] > 0.25
    assert 0 < shares["other"] < 0.06
    for run in items(records, "action"):
        assert (run["response"] is None) == (run["error_msg"] is not None)
        assert run["duration_ms"] > 0


def test_growth_and_the_rhythm_of_the_week(records: list[tuple[str, dict[str, Any]]]) -> None:
    starts = [datetime.fromisoformat(record["started_at"]) for _, record in records]
    early = sum(start < UNTIL - timedelta(days=60) for start in starts)
    late = sum(start > UNTIL - timedelta(days=30) for start in starts)
    assert late > 1.3 * early
    city = [
        datetime.fromisoformat(record["started_at"]) for name, record in records if name == "City of Vrbograd"
    ]
    weekend = sum(start.weekday() >= 5 for start in city)
    assert weekend / len(city) < 0.2


def test_files_are_what_they_say(records: list[tuple[str, dict[str, Any]]]) -> None:
    files = [
        file for _, record in records for item in record["items"] for file in item.get("attachments") or []
    ]
    kinds = {file["mime_type"] for file in files}
    assert kinds == {"image/png", "application/pdf", "audio/wav", "text/plain"}
    for file in {file["data"]: file for file in files}.values():
        data = base64.b64decode(file["data"])
        assert guess_mime_type(None, data) == file["mime_type"]
        assert guess_mime_type(file["filename"]).partition("/")[0] == file["mime_type"].partition("/")[0]
        assert 100 < len(data) < 40_000


def test_the_choices_of_a_button_are_in_one_language(records: list[tuple[str, dict[str, Any]]]) -> None:
    labels: dict[tuple[str, str], set[str]] = {}
    for name, record in records:
        for item in record["items"]:
            if item["type"] == "button":
                labels.setdefault((name, item["button_event"]), set()).add(item["label"])
    assert labels["Hotel Adria", "after_chat"] == {"Yes", "No"}
    assert labels["Hotel Adria", "after_chat_de"] == {"Ja", "Nein"}
    assert all(len(each) <= 3 for each in labels.values())


def test_no_slot_is_left_open(records: list[tuple[str, dict[str, Any]]]) -> None:
    for _, record in records:
        texts = [record["name"] or "", *(item.get("content") or "" for item in record["items"])]
        for text in texts:
            assert not re.search(r"\{[a-z_*]+\}|\|\|", text), text
            assert "\\n" not in text


def test_the_server_takes_every_record(records: list[tuple[str, dict[str, Any]]], tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'agentsight.db'}")
    database.migrate()
    with database.write() as connection:
        ids = {name: agents.create(connection, name) for name in AGENT_NAMES}
    files, places = FileStore(tmp_path / "files"), Places()
    recent = [each for each in records if each[1]["started_at"] > (UNTIL - timedelta(days=25)).isoformat()]
    stored = offered = 0
    for name in AGENT_NAMES:
        mine = [record for owner, record in recent if owner == name]
        offered += sum(bool(record.get("is_offered")) for record in mine)
        lines = [msgspec.json.encode(record) for record in mine]
        report = import_lines(database, files, places, ids[name], lines)
        assert report.problems == []
        assert report.duplicates == 0
        assert report.new_conversations == len(mine)
        stored += report.items
    assert stored == sum(len(record["items"]) + len(record["feedbacks"]) for _, record in recent)
    with database.read() as connection:
        used, begun = connection.exec_driver_sql(
            "SELECT sum(is_used), sum(is_offered) FROM conversations"
        ).one()
    assert used == sum(record["is_used"] for _, record in recent)
    assert begun == offered
    database.close()


@pytest.mark.parametrize("number", range(25))
def test_the_next_conversation_begins_now_and_is_short(number: int) -> None:
    now = datetime(2026, 9, 17, 14, 30, tzinfo=timezone.utc)
    name, record = next_conversation(random.Random(number), now)
    assert name in AGENT_NAMES
    assert record["is_used"]
    assert record["environment"] == "production"
    assert record["items"]
    last = datetime.fromisoformat(record["items"][-1]["timestamp"])
    assert now < last < now + timedelta(minutes=6)
    assert json.loads(msgspec.json.encode(record)) == record


def test_every_network_lies_in_its_country() -> None:
    places = Places()
    for country, networks in NETWORKS.items():
        for network in networks:
            for host in (2, 77, 253):
                place = places.lookup(f"{network}.{host}")
                assert place is not None, network
                assert place.country == country, network


def test_every_language_of_an_agent_has_a_script() -> None:
    written = {
        path.name.removesuffix(".story")
        for path in (importlib.resources.files("agentsight_server.demo") / "stories").iterdir()
        if path.name.endswith(".story")
    }
    assert written == {f"{role.slug}.{language}" for role in ROLES for language in role.languages}
    for role in ROLES:
        for language in role.languages:
            script = load(role.slug, language)
            assert len(script.stories) >= 2
            assert {"_hello", "_also", "_thanks", "_helpful", "_retry", "_failed", "_handover"} <= set(
                script.pieces
            )
            for story in script.stories:
                assert all(script.comments_on(story.topic, kind) for kind in ("good", "neutral", "bad"))


def test_the_notation() -> None:
    script = read(
        """
        @ fee: 2..4
        == parking | Parking for {fee}
        u: Where? || How much?
        t: reserve {"n": {fee}} => {"ok": true} ~20
        b: choice | Yes, please=yes*5 | No=no
        (yes) a: Fine\\nthen. || Good.
        ?40
        a=: Here. || That much.
        ?.
        == _good
        - Great
        - (parking) Well parked
        """
    )
    assert script.slots == {"fee": ("2", "3", "4")}
    story = script.stories[0]
    assert (story.topic, story.title) == ("parking", "Parking for {fee}")
    assert [line.kind for line in story.lines] == ["u", "t", "b", "a", "a="]
    assert [(choice.label, choice.value, choice.weight) for choice in story.lines[2].choices] == [
        ("Yes, please", "yes", 5),
        ("No", "no", 1),
    ]
    assert story.lines[3].texts == ("Fine\nthen.", "Good.")
    assert story.lines[3].when == "yes"
    assert story.lines[4].block == (1, 40)
    assert script.comments_on("parking", "good") == ["Great", "Well parked"]
    assert script.comments_on("breakfast", "good") == ["Great"]


@pytest.mark.parametrize(
    "text", ["u: nobody's line", "== a | A\nx: what", "== a | A\nt: tool", "== a | A\nb: e | x"]
)
def test_a_line_outside_the_notation_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"line \d"):
        read(text)


def test_new_conversations_come_at_the_pace_of_the_history() -> None:
    """A chart of a demo that was left running ends as it went on, not in a spike."""
    now = datetime(2026, 8, 17, tzinfo=timezone.utc)
    history = Counter(
        name for name, record in generate(7, now, days=28) if record["started_at"] >= "2026-08-10"
    )
    week = [pace(now - timedelta(hours=hour)) for hour in range(7 * 24)]
    for name in AGENT_NAMES:
        ahead = sum(each[name] for each in week)
        assert 0.6 < ahead / history[name] < 1.7, (name, ahead, history[name])
