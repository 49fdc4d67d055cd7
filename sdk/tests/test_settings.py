"""Settings: default, environment variable, constructor and `configure`, argument of the call."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import pytest

from agentsight import AgentSightAPI, Config, ConversationManager, ConversationTracker
from agentsight.config import OPTIONS
from agentsight.enums import Environment, LogLevel, TokenHandlerType
from agentsight.exceptions import ConfigurationException, InvalidApiKeyException, NoApiKeyException
from sdk.tests.capture import KEY, CaptureServer

OTHER_KEY = "ags_" + "A" * 32 + "_abcDEF"
CLIENTS = [ConversationTracker, ConversationManager, AgentSightAPI]


def test_defaults():
    config = Config()
    assert config.api_key is None
    assert config.endpoint == "http://127.0.0.1:8000"
    assert config.environment == "development"
    assert config.conversation_id is None
    assert config.log_level == "WARNING"
    assert config.token_handler is None
    assert config.spool_dir is None
    assert config.auto_send is False
    with pytest.raises(NoApiKeyException):
        config.require_api_key()


def test_variables_are_read_when_they_are_needed(monkeypatch: pytest.MonkeyPatch):
    config = Config()
    for name, text, value in [
        ("API_KEY", f" {KEY}\n", KEY),
        ("API_ENDPOINT", "https://example.com/stats/", "https://example.com/stats"),
        ("ENVIRONMENT", "Production", "production"),
        ("CONVERSATION_ID", "conv", "conv"),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("TOKEN_HANDLER_TYPE", "langchain", "langchain"),
        ("SPOOL_DIR", "spool", "spool"),
        ("AUTO_SEND", "1", True),
    ]:
        monkeypatch.setenv(f"AGENTSIGHT_{name}", text)
        option = next(each for each, details in OPTIONS.items() if details.env == f"AGENTSIGHT_{name}")
        assert config.get(option) == value
        monkeypatch.setenv(f"AGENTSIGHT_{name}", "  ")
        assert config.get(option) == OPTIONS[option].default


def test_every_variable_of_the_contract_is_an_option():
    assert {option.env for option in OPTIONS.values() if option.env} == {
        f"AGENTSIGHT_{name}"
        for name in (
            "API_KEY",
            "API_ENDPOINT",
            "ENVIRONMENT",
            "CONVERSATION_ID",
            "LOG_LEVEL",
            "TOKEN_HANDLER_TYPE",
            "SPOOL_DIR",
            "AUTO_SEND",
            "STRICT",
        )
    }


@pytest.mark.parametrize("client", CLIENTS)
def test_constructor_and_configure_win_over_variables(monkeypatch: pytest.MonkeyPatch, client: Any):
    monkeypatch.setenv("AGENTSIGHT_API_ENDPOINT", "http://from.env")
    monkeypatch.setenv("AGENTSIGHT_API_KEY", KEY)
    made = client(endpoint="http://from.constructor/")
    assert made.config.endpoint == "http://from.constructor"
    made.configure(endpoint="http://from.configure", api_key=OTHER_KEY)
    made.configure(environment=Environment.PRODUCTION, log_level=LogLevel.ERROR)
    assert made.config.endpoint == "http://from.configure"
    assert made.config.require_api_key() == OTHER_KEY
    assert made.config.environment == "production"
    assert client().config.endpoint == "http://from.env"
    assert KEY not in repr(made)
    assert OTHER_KEY not in repr(made)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_config_is_copied(client: Any):
    config = Config(endpoint="http://one", timeout=3)
    made = client(config=config, endpoint="http://two")
    assert made.config.endpoint == "http://two"
    assert made.config.timeout == 3
    assert config.endpoint == "http://one"
    made.configure(config=Config(timeout=4))
    assert made.config.timeout == 4


def test_environment_from_every_level(server: CaptureServer, monkeypatch: pytest.MonkeyPatch):
    def sent(tracker: ConversationTracker, name: str, **fields: Any) -> str:
        tracker.get_or_create_conversation(name, **fields)
        tracker.send_tracked_data()
        return str(server.fields[name]["environment"])

    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
    assert sent(tracker, "default") == "development"
    monkeypatch.setenv("AGENTSIGHT_ENVIRONMENT", "production")
    assert sent(tracker, "variable") == "production"
    assert sent(tracker, "call", environment="development") == "development"
    tracker.configure(environment="development")
    assert sent(tracker, "configure") == "development"
    assert sent(tracker, "call wins", environment=Environment.PRODUCTION) == "production"
    assert tracker.initialize_conversation("offer", environment="production")["environment"] == "production"
    tracker.track_human_message("x", conversation_id="implicit")
    tracker.send_tracked_data("implicit")
    assert server.fields["implicit"]["environment"] == "development"


def test_a_wrong_environment_variable_is_named_and_loses_nothing(
    server: CaptureServer, tracker: ConversationTracker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AGENTSIGHT_STRICT", "1")
    monkeypatch.setenv("AGENTSIGHT_ENVIRONMENT", "staging")
    for first_use in (
        lambda: tracker.get_or_create_conversation("c"),
        lambda: tracker.track_human_message("x", conversation_id="c"),
    ):
        with pytest.raises(
            ConfigurationException, match="AGENTSIGHT_ENVIRONMENT takes production or development"
        ):
            first_use()
    monkeypatch.setenv("AGENTSIGHT_ENVIRONMENT", "Prod")
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("x")
    monkeypatch.setenv("AGENTSIGHT_ENVIRONMENT", "staging")
    tracker.get_or_create_conversation("c")  # settings were looked at; a request does not do it again
    with pytest.raises(ConfigurationException):
        tracker.send_tracked_data()
    monkeypatch.delenv("AGENTSIGHT_ENVIRONMENT")
    tracker.send_tracked_data()
    assert server.contents("c") == ["x"]


def test_where_strict_comes_from(monkeypatch: pytest.MonkeyPatch):
    assert Config().strict is True  # development is the default
    assert Config(environment="prod").strict is False
    assert Config(environment="production", strict=True).strict is True
    assert Config(strict=False).strict is False
    monkeypatch.setenv("AGENTSIGHT_ENVIRONMENT", "production")
    assert Config().strict is False
    assert Config(environment="DEV").strict is True
    monkeypatch.setenv("AGENTSIGHT_STRICT", "1")
    assert Config().strict is True
    assert Config(strict=False).strict is False
    monkeypatch.setenv("AGENTSIGHT_STRICT", "maybe")
    assert Config().strict is False
    monkeypatch.setenv("AGENTSIGHT_ENVIRONMENT", "produktion")
    assert Config().strict is False
    monkeypatch.delenv("AGENTSIGHT_ENVIRONMENT")
    with pytest.raises(ConfigurationException, match="AGENTSIGHT_STRICT takes 1 or 0"):
        ConversationTracker().get_or_create_conversation("c")


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("ENVIRONMENT", "AGENTSIGHT_ENVIRONMENT takes production or development.*development is used"),
        ("STRICT", "AGENTSIGHT_STRICT takes 1 or 0.*it counts as not set"),
        ("AUTO_SEND", "AGENTSIGHT_AUTO_SEND takes 1 or 0.*it counts as not set"),
        ("TOKEN_HANDLER_TYPE", "AGENTSIGHT_TOKEN_HANDLER_TYPE takes llamaindex or langchain"),
        ("CONVERSATION_ID", "AGENTSIGHT_CONVERSATION_ID takes text"),
    ],
)
def test_a_wrong_variable_takes_no_request_down_in_production(
    server: CaptureServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variable: str,
    says: str,
):
    monkeypatch.setenv("AGENTSIGHT_ENVIRONMENT", "production")
    monkeypatch.setenv(f"AGENTSIGHT_{variable}", "x" * 256 + variable)
    for name in ("one", "two"):  # said once, not for each tracker, nor in each request
        tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint)
        tracker.get_or_create_conversation(name)
        tracker.track_human_message(name)
        assert tracker.send_tracked_data()["summary"]["questions"] == 1
    [record] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert re.search(says, record.getMessage())
    expected = "development" if variable == "ENVIRONMENT" else "production"
    assert server.fields["one"]["environment"] == expected


def test_a_wrong_address_sends_nothing_to_a_stranger(
    server: CaptureServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("AGENTSIGHT_API_ENDPOINT", "stats.example.com")
    tracker = ConversationTracker(api_key=KEY, environment="production")
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("kept")
    report = tracker.send_tracked_data()
    assert "AGENTSIGHT_API_ENDPOINT takes an address" in caplog.text
    assert [row["success"] for row in report["items"]] == [False, False]
    assert "stays pending" in report["items"][1]["error"]
    monkeypatch.setenv("AGENTSIGHT_API_ENDPOINT", server.endpoint)
    tracker.send_tracked_data()
    assert server.contents("c") == ["kept"]


def test_a_framework_that_is_missing_takes_no_request_down(
    server: CaptureServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setitem(sys.modules, "langchain_core", None)
    monkeypatch.setenv("AGENTSIGHT_TOKEN_HANDLER_TYPE", "langchain")
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint, environment="production")
    tracker.get_or_create_conversation("c")
    tracker.track_human_message("kept")
    tracker.send_tracked_data()
    assert server.contents("c") == ["kept"]
    [record] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "pip install langchain-core" in record.getMessage()


@pytest.mark.parametrize("spelled", ["prod", "PROD", " Production ", Environment.PRODUCTION])
def test_environments_as_people_spell_them(
    server: CaptureServer, monkeypatch: pytest.MonkeyPatch, spelled: Any
):
    tracker = ConversationTracker(api_key=KEY, endpoint=server.endpoint, environment=spelled)
    assert tracker.config.environment == "production"
    tracker.get_or_create_conversation("setting")
    tracker.get_or_create_conversation("call", environment="Dev")
    monkeypatch.setenv("AGENTSIGHT_ENVIRONMENT", getattr(spelled, "value", spelled))
    assert ConversationTracker().config.environment == "production"
    assert tracker.initialize_conversation("offer", environment=spelled)["environment"] == "production"
    tracker.send_tracked_data("setting")
    tracker.send_tracked_data("call")
    assert server.fields["setting"]["environment"] == "production"
    assert server.fields["call"]["environment"] == "development"
    asked = AgentSightAPI(api_key=KEY, endpoint=server.endpoint).fetch_conversations(environment=spelled)
    assert asked["params"]["environment"] == "production"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("endpoint", "localhost:8000"),
        ("endpoint", "ftp://example.com"),
        ("endpoint", "http://"),
        ("endpoint", "http://a b"),
        ("endpoint", "http://a\nb"),
        ("endpoint", 8000),
        ("environment", "staging"),
        ("log_level", "LOUD"),
        ("conversation_id", ""),
        ("conversation_id", "x" * 256),
        ("timeout", 0),
        ("timeout", "5"),
        ("max_pending_items", 0),
        ("auto_send", "maybe"),
        ("token_handler", "other"),
        ("spool_dir", 5),
    ],
)
def test_wrong_options_are_named(client: Any, option: str, wrong: Any):
    with pytest.raises((ConfigurationException, ValueError), match=option):
        client(**{option: wrong})
    made = client(endpoint="http://kept")
    with pytest.raises((ConfigurationException, ValueError), match=option):
        made.configure(**{option: wrong, **({} if option == "endpoint" else {"endpoint": "http://not.this"})})
    assert made.config.endpoint == "http://kept"  # all or nothing


def test_an_unknown_option_is_a_type_error():
    with pytest.raises(TypeError, match="no option 'colour'"):
        ConversationTracker(colour="blue")


@pytest.mark.parametrize(
    "wrong", ["your_api_key_here", "ags_", KEY[:-1], KEY + "0", "ags_" + "g" * 32 + "_000000", 5]
)
def test_a_key_that_is_none(wrong: Any, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InvalidApiKeyException, match="ags_<32 hex digits>") as caught:
        ConversationTracker(api_key=wrong)
    assert str(wrong) not in str(caught.value) or wrong == "ags_" or wrong == 5
    monkeypatch.setenv("AGENTSIGHT_API_KEY", str(wrong))
    tracker = ConversationTracker()
    tracker.track_human_message("kept", conversation_id="c")
    with pytest.raises(InvalidApiKeyException):
        tracker.send_tracked_data()
    assert tracker.get_tracked_data_summary()["summary"]["questions"] == 1


def test_log_level(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    logger = logging.getLogger("agentsight")
    ConversationTracker(log_level="error")
    assert logger.level == logging.ERROR
    ConversationTracker().configure(log_level=LogLevel.DEBUG)
    assert logger.level == logging.DEBUG
    logger.setLevel(logging.NOTSET)
    monkeypatch.setenv("AGENTSIGHT_LOG_LEVEL", "ERROR")
    tracker = ConversationTracker()
    tracker.track_human_message("x")  # would warn that there is no conversation
    assert logger.level == logging.ERROR
    assert caplog.records == []
    logger.setLevel(logging.NOTSET)
    monkeypatch.setenv("AGENTSIGHT_LOG_LEVEL", "nonsense")
    ConversationTracker().track_human_message("x")
    assert "AGENTSIGHT_LOG_LEVEL takes" in caplog.text
    assert logger.level == logging.WARNING


def test_a_level_that_the_program_set_is_kept():
    logging.getLogger("agentsight").setLevel(logging.INFO)
    ConversationTracker().track_human_message("x")
    assert logging.getLogger("agentsight").level == logging.INFO


def test_enum_members_as_options():
    assert Config(token_handler=TokenHandlerType.LLAMAINDEX).token_handler == "llamaindex"
    assert ConversationTracker(environment=Environment.PRODUCTION).config.environment == "production"


def test_options_are_documented():
    from pathlib import Path

    text = Path(__file__, "../../../docs/sdk.md").resolve().read_text(encoding="utf-8")
    for name, option in OPTIONS.items():
        assert f"`{option.env or name}`" in text
