"""Attachments in both modes, with messages and alone."""

from __future__ import annotations

import base64
import io
import pathlib
from typing import Any

import pytest

from agentsight import ConversationTracker
from agentsight.enums import AttachmentMode
from agentsight.exceptions import InvalidAttachmentException, InvalidConversationDataException
from sdk.tests.capture import KEY, CaptureServer

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


def sent_files(server: CaptureServer) -> list[tuple[str, str, bytes]]:
    return [
        (file["filename"], file["mime_type"], base64.b64decode(file["data"], validate=True))
        for items in server.items.values()
        for item in items
        for file in item["attachments"]
    ]


def test_base64_mode(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    coded = base64.b64encode(PNG).decode()
    tracker.track_human_message(
        "see", attachments=[{"filename": "a.png", "mime_type": "image/png", "data": coded}]
    )
    tracker.track_agent_message(
        "and",
        attachments=[
            {"filename": "b.png", "mime_type": "image/png", "data": f"data:image/png;base64,{coded}"}
        ],
        attachment_mode=AttachmentMode.BASE64,
    )
    tracker.track_attachments(
        [{"filename": "c.png", "mime_type": "image/png", "data": base64.encodebytes(PNG).decode()}]
    )
    result = tracker.send_tracked_data()
    assert sent_files(server) == [(name, "image/png", PNG) for name in ("a.png", "b.png", "c.png")]
    assert result["summary"]["attachments"] == 1
    assert [row["type"] for row in result["items"]] == ["conversation", "question", "answer", "attachments"]


def test_form_data_mode(server: CaptureServer, tracker: ConversationTracker, tmp_path: pathlib.Path):
    tracker.get_or_create_conversation("c")
    path = tmp_path / "bill.pdf"
    path.write_bytes(b"%PDF-1.7 x")
    moved = io.BytesIO(b"GIF89a and more")
    moved.seek(5)
    with path.open("rb") as file:
        tracker.track_attachments(
            [
                {"data": PNG},
                {"data": file},
                {"data": moved},
                {"data": b"plain \xc4\x8d", "filename": "notes.md"},
                {"data": b"\x00\x01\x02", "filename": "x"},
                {"data": memoryview(b"hello")},
                {"data": b"{}", "mime_type": "application/json"},
                {"data": b"?", "filename": "given.bin", "content_type": "text/x-odd"},
            ],
            mode=AttachmentMode.FORM_DATA,
            sender="agent",
            metadata={"k": "v"},
        )
    tracker.track_human_message("both", attachments=[{"data": PNG}], attachment_mode="form-data")
    tracker.send_tracked_data()
    assert sent_files(server) == [
        ("attachment_1.png", "image/png", PNG),
        ("bill.pdf", "application/pdf", b"%PDF-1.7 x"),
        ("attachment_3.gif", "image/gif", b"GIF89a and more"),
        ("notes.md", "text/markdown", b"plain \xc4\x8d"),
        ("x", "application/octet-stream", b"\x00\x01\x02"),
        ("attachment_6.txt", "text/plain", b"hello"),
        ("attachment_7.json", "application/json", b"{}"),
        ("given.bin", "text/x-odd", b"?"),
        ("attachment_1.png", "image/png", PNG),
    ]
    assert server.items["c"][0]["sender"] == "agent"
    assert server.items["c"][0]["metadata"] == {"k": "v"}


def closed_file() -> io.BytesIO:
    file = io.BytesIO(b"x")
    file.close()
    return file


GOOD = {"filename": "a.txt", "mime_type": "text/plain", "data": "aGk="}


@pytest.mark.parametrize(
    ("attachments", "mode", "says"),
    [
        ([], "base64", "at least one"),
        (None, "base64", "list of dicts, not NoneType"),
        (GOOD, "base64", "list of dicts, not dict"),
        (["a"], "base64", "attachment 1 takes a dict"),
        ([GOOD, {}], "base64", "attachment 2 lacks filename, mime_type, data"),
        ([{**GOOD, "filename": " "}], "base64", "attachment 1: filename"),
        ([{**GOOD, "filename": "x" * 256}], "base64", "attachment 1: filename"),
        ([{**GOOD, "mime_type": 5}], "base64", "attachment 1: mime_type"),
        ([{**GOOD, "data": b"aGk="}], "base64", "base64 text in base64 mode, not bytes"),
        ([{**GOOD, "data": "not base64!"}], "base64", "not base64"),
        ([{**GOOD, "data": "aGk"}], "base64", "not base64"),
        ([{**GOOD, "data": "čč=="}], "base64", "not base64"),
        ([{**GOOD, "data": " "}], "base64", "data is empty"),
        ([GOOD] * 51, "base64", "at most 50"),
        ([GOOD], "form_data", "bytes or a binary file, not str"),
        ([{}], "form_data", "bytes or a binary file, not None"),
        ([{"data": b""}], "form_data", "data is empty"),
        ([{"data": io.StringIO("text")}], "form_data", "binary mode"),
        ([{"data": closed_file()}], "form_data", "could not be read"),
        ([{"data": b"x", "filename": 5}], "form_data", "filename"),
        ([GOOD], "carrier pigeon", "mode takes base64 or form_data"),
        ([GOOD], 5, "mode takes base64 or form_data"),
    ],
)
def test_wrong_ones(attachments: Any, mode: Any, says: str):
    tracker = ConversationTracker(api_key=KEY)
    tracker.configure(conversation_id="c")
    with pytest.raises(InvalidAttachmentException, match=says):
        tracker.track_attachments(attachments, mode=mode)
    if attachments:  # with a message, none is as good as an empty list
        with pytest.raises(InvalidAttachmentException, match=says):
            tracker.track_human_message("x", attachments=attachments, attachment_mode=mode)
    assert tracker.get_tracked_data_summary()["summary"]["total"] == 0


def test_a_wrong_sender():
    tracker = ConversationTracker(api_key=KEY)
    with pytest.raises(InvalidConversationDataException, match="sender takes end_user, agent or system"):
        tracker.track_attachments([GOOD], sender="robot")


def test_a_message_with_an_empty_list_is_a_plain_message(server: CaptureServer, tracker: ConversationTracker):
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("x", attachments=[])
    tracker.send_tracked_data()
    assert "attachments" not in server.items["c"][0]
