"""agentsight.types says what the server answers, what the SDK takes, and costs nothing at import."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest

from agentsight import enums, types
from agentsight.config import OPTIONS, Config
from agentsight.items import choices, kinds
from agentsight_server.api import conversations, managing
from agentsight_server.contract import response_schemas

PAIRS = [
    (types.ConversationRecord, response_schemas.Conversation),
    (types.MessageRecord, response_schemas.Message),
    (types.ActionRecord, response_schemas.ActionLog),
    (types.ButtonRecord, response_schemas.Button),
    (types.AttachmentRecord, response_schemas.Attachment),
    (types.FeedbackRecord, response_schemas.Feedback),
    (types.SessionRecord, response_schemas.Session),
    (types.GeoLocation, response_schemas.GeoLocation),
    (types.UsageRecord, response_schemas.TokenUsage),
    (types.ConversationPage, conversations.Page),
    (types.ConversationFiles, conversations.ConversationFiles),
    (types.MessageFiles, conversations.MessageFiles),
    (types.DeletedRecord, managing.Deleted),
]


@pytest.mark.parametrize(("record", "shape"), PAIRS, ids=lambda each: each.__name__)
def test_records_have_the_keys_that_the_server_answers(record: Any, shape: type[msgspec.Struct]):
    fields = msgspec.structs.fields(shape)
    assert list(get_type_hints(record)) == [field.encode_name for field in fields]
    left_out = {field.encode_name for field in fields if not field.required}
    assert record.__optional_keys__ == left_out


def test_options_are_those_of_config():
    assert get_type_hints(types.Options).keys() - {"config"} == OPTIONS.keys()
    read = re.findall(r"def (\w+)\(self\) -> .*: \.\.\.", inspect.getsource(Config))
    assert read == list(OPTIONS)


@pytest.mark.parametrize(
    ("name", "enum"),
    [
        (types.EnvironmentName, enums.Environment),
        (types.SentimentName, enums.Sentiment),
        (types.SenderName, enums.Sender),
        (types.AttachmentModeName, enums.AttachmentMode),
        (types.LogLevelName, enums.LogLevel),
        (types.TokenHandlerName, enums.TokenHandlerType),
    ],
)
def test_choices_are_those_of_the_enums(name: Any, enum: Any):
    member, literal = get_args(name)
    assert member is enum
    assert get_origin(literal) is Literal
    assert list(get_args(literal)) == [each.value for each in enum]


@pytest.mark.parametrize(
    ("literal", "names"),
    [
        (types.DeviceName, choices.DEVICES),
        (types.FeedbackSourceName, choices.FEEDBACK_SOURCES),
        (get_args(types.SenderName)[1], choices.SENDERS),
        (get_args(types.SentimentName)[1], choices.SENTIMENTS),
        (get_args(types.TokenHandlerName)[1], choices.TOKEN_HANDLERS),
        (get_args(types.EnvironmentName)[1], tuple(dict.fromkeys(choices.ENVIRONMENTS.values()))),
        (types.ItemType, ("conversation", *kinds.KIND_NAMES)),
    ],
)
def test_choices_are_those_that_calls_take(literal: Any, names: tuple[str, ...]):
    assert get_args(literal) == names


def test_everything_public_is_listed():
    public = {name for name, value in vars(types).items() if not name.startswith("_")}
    imported = {"Any", "BinaryIO", "Config", "Literal", "PathLike", "TypedDict", "annotations"}
    imported |= {"Sequence", "datetime"}
    assert public - imported - set(enums.__dict__) == set(types.__all__)


def test_the_package_does_not_load_them_and_they_load_little():
    program = (
        "import sys, agentsight\n"
        "from agentsight import conversation_tracker\n"
        "assert not {'typing', 'agentsight.types'} & set(sys.modules)\n"
        "import agentsight.types\n"
        "assert not {'urllib3', 'asyncio', 'json', 'typing_extensions'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
