"""What `import agentsight` offers, and what it does not do."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import agentsight
from agentsight import exceptions


def test_exported_names():
    assert sorted(agentsight.__all__) == [
        "AgentSightAPI",
        "AsyncAgentSightAPI",
        "AsyncConversationManager",
        "Config",
        "Conversation",
        "ConversationManager",
        "ConversationTracker",
        "__version__",
        "agentsight_api",
        "bind",
        "conversation_manager",
        "conversation_tracker",
    ]
    for name in agentsight.__all__:
        assert getattr(agentsight, name) is not None
    assert dir(agentsight) == sorted(agentsight.__all__)
    with pytest.raises(AttributeError, match="no attribute 'tracer'"):
        agentsight.tracer  # noqa: B018


def test_exceptions_keep_their_names_and_their_base():
    names = [
        "NoApiKeyException",
        "InvalidApiKeyException",
        "MissingConversationIdException",
        "InvalidConversationDataException",
        "InvalidQuestionDataException",
        "InvalidAnswerDataException",
        "InvalidAttachmentException",
        "NoDataToSendException",
        "ConversationApiException",
        "ConversationNetworkException",
        "NotFoundException",
        "UnauthorizedException",
        "ForbiddenException",
    ]
    for name in names:
        assert issubclass(getattr(exceptions, name), exceptions.AgentSightError)
        assert name in exceptions.__all__
        assert name in exceptions.__doc__
    for name in ("NotFoundException", "UnauthorizedException", "ForbiddenException"):
        assert issubclass(getattr(exceptions, name), exceptions.ConversationApiException)
    error = exceptions.ConversationApiException("no", 409, {"detail": "no"})
    assert (error.status_code, error.response_data) == (409, {"detail": "no"})


def test_enums_and_helpers_import_as_documented():
    from agentsight.enums import AttachmentMode, Environment, LogLevel, Sender, Sentiment, TokenHandlerType
    from agentsight.helpers import generate_conversation_id

    assert [mode.value for mode in AttachmentMode] == ["base64", "form_data"]
    assert [each.value for each in Environment] == ["production", "development"]
    assert [each.value for each in Sender] == ["end_user", "agent", "system"]
    assert [each.value for each in Sentiment] == ["positive", "neutral", "negative"]
    assert [each.value for each in TokenHandlerType] == ["llamaindex", "langchain"]
    assert LogLevel.DEBUG == "DEBUG"
    made = generate_conversation_id()
    assert made.startswith("conv_")
    assert len(made) == 17
    assert int(made[5:], 16) >= 0
    assert generate_conversation_id() != made


_WATCHED = """
import json, sys
before = set(sys.modules)
events = []
watching = True
def hook(event, args):
    if watching and event.split(".")[0] in ("socket", "subprocess", "os", "_thread", "threading"):
        events.append(event)
    if watching and event == "open" and isinstance(args[0], str) and not args[0].endswith((".py", ".pyc")):
        events.append("open " + args[0])
sys.addaudithook(hook)
{statement}
watching = False
import threading
new = sorted(set(sys.modules) - before)
print(json.dumps({{"events": events, "modules": new, "threads": threading.active_count()}}))
"""


def run_watched(statement: str, says: str = "", **variables: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "PYTHONDONTWRITEBYTECODE": "1", **variables},
    )
    assert says in done.stderr if says else done.stderr == ""
    return json.loads(done.stdout)


HEAVY = {"urllib3", "ssl", "json", "logging", "http.client", "asyncio", "typing", "enum", "re", "datetime"}


def test_import_does_nothing_and_loads_next_to_nothing():
    seen = run_watched(
        "import agentsight", AGENTSIGHT_ENVIRONMENT="nonsense", AGENTSIGHT_API_ENDPOINT="nonsense"
    )
    # Looking for modules lists folders; nothing else may happen.
    assert [each for each in seen["events"] if each not in ("os.listdir", "os.scandir")] == []
    assert seen["threads"] == 1
    assert [name for name in seen["modules"] if name.startswith("agentsight")] == [
        "agentsight",
        "agentsight._version",
    ]
    assert HEAVY.isdisjoint(seen["modules"])


def test_ready_made_clients_are_made_without_a_key_and_without_io():
    seen = run_watched(
        "from agentsight import conversation_tracker, conversation_manager, agentsight_api\n"
        "conversation_tracker.track_human_message('Hello', conversation_id='c')",
        says="unsent items at exit: 1",
    )
    assert [each for each in seen["events"] if each not in ("os.listdir", "os.scandir")] == []
    assert seen["threads"] == 1
    assert HEAVY.isdisjoint(seen["modules"])


def test_ready_made_clients_are_single_and_hand_made_ones_are_not():
    from agentsight import ConversationTracker, conversation_tracker

    assert agentsight.conversation_tracker is conversation_tracker
    assert ConversationTracker() is not ConversationTracker()
