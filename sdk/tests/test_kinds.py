"""What a waiting item is: each part where its kind says."""

from __future__ import annotations

from agentsight import ConversationTracker
from agentsight.items import kinds


def test_each_part_of_an_item_is_where_its_kind_says():
    text = {"button_event": "e", "label": "l", "value": "v", "metadata": ("m",)}
    assert kinds.parts(kinds.button(1, 2, **text)) == text
    ran = {
        "action_name": "a",
        "started_at": "s",
        "ended_at": "e",
        "duration_ms": 3,
        "tools_used": ("t",),
        "response": ("r",),
        "error_msg": "p",
        "metadata": ("m",),
    }
    assert kinds.parts(kinds.action(1, 2, **ran)) == ran
    said = {"content": "c", "metadata": ("m",), "attachments": [("n", "t", b"")], "id": "i"}
    for kind in (kinds.QUESTION, kinds.ANSWER):
        assert kinds.parts(kinds.message(kind, 1, 2, **said)) == said
        assert kinds.given_id(kinds.message(kind, 1, 2, **said)) == "i"
    counts = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "embedding_tokens": 4}
    used = {**counts, "model": "m", "details": {"cached_tokens": 1}}
    assert kinds.parts(kinds.token_usage(1, 2, **used)) == used
    voted = {"sentiment": "s", "comment": "c", "message": 5, "metadata": ("m",)}
    assert kinds.parts(kinds.feedback(1, 2, **voted)) == voted
    files = {"sender": "agent", "attachments": [("n", "t", b"")], "metadata": ("m",)}
    assert kinds.parts(kinds.attachments(1, 2, **files)) == files
    assert kinds.moved(kinds.button(1, 2000, **text), 7) == kinds.button(7, 2000, **text)


def test_a_short_message_is_what_its_kind_makes(tracker: ConversationTracker):
    handle = tracker.get_or_create_conversation("c")
    handle.track_human_message("Hello", metadata={"a": 1})
    handle.track_agent_message("Hello")
    asked, answered = handle._pending.items
    assert asked == kinds.message(kinds.QUESTION, asked[1], 0, "Hello", {"a": 1}, None, None)
    assert answered == kinds.message(kinds.ANSWER, answered[1], 0, "Hello", None, None, None)
