"""The settings of the SDK: one table, read in one order.

Lowest to highest: default, environment variable, constructor or `configure`, argument of the call.
Environment variables are read when they are needed, not on import, so that a `.env` file may be loaded late.
"""

from __future__ import annotations

import os

from agentsight.exceptions import ConfigurationException, InvalidApiKeyException, NoApiKeyException
from agentsight.items.choices import ENVIRONMENTS, TOKEN_HANDLERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from typing import Any, Literal

    from typing_extensions import Unpack

    from agentsight.types import Options

__all__ = ["OPTIONS", "Config", "Option", "log", "set_log_level"]

_HEX = frozenset("0123456789abcdefABCDEF")
_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")


class Option:
    """One setting: its variable, default, check and meaning."""

    __slots__ = ("default", "doc", "env", "parse")

    def __init__(self, env: str | None, default: Any, parse: Callable[[Any], Any], doc: str) -> None:
        self.env = env
        self.default = default
        self.parse = parse
        self.doc = doc


def _api_key(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    parts = text.split("_")
    if (
        len(parts) != 3
        or parts[0] != "ags"
        or (len(parts[1]), len(parts[2])) != (32, 6)
        or not _HEX.issuperset(parts[1] + parts[2])
    ):
        raise InvalidApiKeyException
    return text


def _endpoint(value: Any) -> str:
    text = value.strip().rstrip("/") if isinstance(value, str) else ""
    scheme, separator, rest = text.partition("://")
    if (
        scheme not in ("http", "https")
        or not separator
        or not rest
        or not text.isprintable()
        or not {" ", "?", "#"}.isdisjoint(text)
    ):
        raise ValueError("an address such as http://127.0.0.1:8000")
    return text


def _choice(*names: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        text = getattr(value, "value", value)
        if isinstance(text, str) and text.strip().lower() in names:
            return text.strip().lower()
        raise ValueError(" or ".join(names))

    return parse


def _environment(value: Any) -> str:
    text = getattr(value, "value", value)
    known = ENVIRONMENTS.get(text.strip().lower()) if isinstance(text, str) else None
    if known is None:
        raise ValueError("production or development")
    return known


def _name(value: Any) -> str:
    if isinstance(value, str) and value.strip() and len(value) <= 255:
        return value
    raise ValueError("text of 1 to 255 characters")


def _level(value: Any) -> str:
    text = getattr(value, "value", value)
    if isinstance(text, str) and text.strip().upper() in _LEVELS:
        return text.strip().upper()
    raise ValueError(", ".join(_LEVELS[:-1]) + " or " + _LEVELS[-1])


def _folder(value: Any) -> str:
    try:
        return str(os.fspath(value))
    except TypeError:
        raise ValueError("the path of a folder") from None


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("", "0", "false", "no", "off"):
        return False
    raise ValueError("1 or 0")


def _seconds(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 3600:
        return float(value)
    raise ValueError("seconds, more than 0 and at most 3600")


def _count(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError("a whole number, 1 or more")


OPTIONS: dict[str, Option] = {
    "api_key": Option("AGENTSIGHT_API_KEY", None, _api_key, "Key of the agent that the data belongs to."),
    "endpoint": Option(
        "AGENTSIGHT_API_ENDPOINT", "http://127.0.0.1:8000", _endpoint, "Base address of the server."
    ),
    "environment": Option(
        "AGENTSIGHT_ENVIRONMENT",
        "development",
        _environment,
        "`production` or `development`; what conversations count as unless the call says so itself.",
    ),
    "strict": Option(
        "AGENTSIGHT_STRICT",
        None,
        _flag,
        "`1`: a wrong value raises at the call. `0`: it is mended or left out. Default: on in development.",
    ),
    "conversation_id": Option(
        "AGENTSIGHT_CONVERSATION_ID", None, _name, "Conversation used when none is given."
    ),
    "log_level": Option("AGENTSIGHT_LOG_LEVEL", "WARNING", _level, "Level of the `agentsight` logger."),
    "token_handler": Option(
        "AGENTSIGHT_TOKEN_HANDLER_TYPE",
        None,
        _choice(*TOKEN_HANDLERS),
        "`llamaindex` or `langchain`: collect the token counts of that framework by itself.",
    ),
    "spool_dir": Option(
        "AGENTSIGHT_SPOOL_DIR", None, _folder, "Folder of the crash-safe outbox; unset: memory only."
    ),
    "auto_send": Option("AGENTSIGHT_AUTO_SEND", False, _flag, "`1`: a background thread sends on its own."),
    "timeout": Option(None, 5.0, _seconds, "Seconds that one call may spend sending, retries and all."),
    "max_pending_items": Option(
        None, 50_000, _count, "Items that may wait; beyond it the oldest go, and are counted."
    ),
    "max_pending_bytes": Option(
        None,
        64 * 1024 * 1024,
        _count,
        "Bytes of long messages, metadata and attachments that may wait; beyond it the oldest go.",
    ),
    "spool_max_bytes": Option(None, 256 * 1024 * 1024, _count, "Bytes that the spool may take on disk."),
}


class Config:
    """Settings of one client.

    Every option of `OPTIONS` is a keyword; None means "not given". Reading an option that was not given
    looks at its environment variable, then takes the default. `config`, another one, gives its options first.

    Raises:
        InvalidApiKeyException: `api_key` does not have the shape of a key.
        ConfigurationException: another option has a value that it cannot take.
        TypeError: there is no such option.

    Example:
        >>> ours = Config(environment="production", timeout=2)
        >>> Config(config=ours, timeout=3).environment
        'production'
    """

    __slots__ = ("_given",)

    if TYPE_CHECKING:  # what each option reads as; at run time `__getattr__` finds it in OPTIONS

        @property
        def api_key(self) -> str | None: ...
        @property
        def endpoint(self) -> str: ...
        @property
        def environment(self) -> Literal["production", "development"]: ...
        @property
        def strict(self) -> bool: ...
        @property
        def conversation_id(self) -> str | None: ...
        @property
        def log_level(self) -> Literal["CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"]: ...
        @property
        def token_handler(self) -> Literal["llamaindex", "langchain"] | None: ...
        @property
        def spool_dir(self) -> str | None: ...
        @property
        def auto_send(self) -> bool: ...
        @property
        def timeout(self) -> float: ...
        @property
        def max_pending_items(self) -> int: ...
        @property
        def max_pending_bytes(self) -> int: ...
        @property
        def spool_max_bytes(self) -> int: ...

    else:

        def __getattr__(self, name):
            if name in OPTIONS:
                return self.get(name)
            raise AttributeError(f"there is no option {name!r}; the options are {', '.join(OPTIONS)}")

        def __setattr__(self, name, value):
            if name in OPTIONS:
                raise AttributeError(f"options are changed by configure({name}=...)")
            super().__setattr__(name, value)

    def __init__(self, **options: Unpack[Options]) -> None:
        self._given: dict[str, Any] = {}
        self.configure(**options)

    def configure(self, **options: Unpack[Options]) -> None:
        """Change options; those that are None stay as they are. All or none are changed."""
        other = options.pop("config", None)
        if other is not None and not isinstance(other, Config):
            raise ConfigurationException(f"config takes a Config, not {type(other).__name__}")
        checked = {} if other is None else other.options()
        for name, value in options.items():
            if name not in OPTIONS:
                raise TypeError(f"there is no option {name!r}; the options are {', '.join(OPTIONS)}")
            if value is not None:
                checked[name] = _parse(name, name, value)
        self._given = {**self._given, **checked}

    def get(self, name: str) -> Any:
        """An option's value by its name.

        Raises:
            ConfigurationException, InvalidApiKeyException: its environment variable cannot be used, and the
                option is a key or an address, or `strict` is on. Otherwise the log says so, once, and the
                default is used.
        """
        value = self._given.get(name)
        if value is not None:
            return value
        if name == "strict":
            return self.is_strict()
        try:
            return _variable(name)
        except ConfigurationException as problem:
            if name in _VITAL or self.is_strict():
                raise
            default = OPTIONS[name].default
            _complain(f"{problem}; {f'{default} is used' if default else 'it counts as not set'}")
            return default

    def check(self) -> None:
        """Look at all environment variables, before the first use; each is read again when it is needed.

        A wrong key is told when it is needed, a wrong level when something is logged.

        Raises:
            ConfigurationException: one of them cannot be used, and `strict` is on. Otherwise the log says so.
        """
        for name in OPTIONS:
            if name not in ("api_key", "log_level"):
                try:
                    self.get(name)
                except ConfigurationException as problem:
                    if self.is_strict():
                        raise
                    _complain(f"{problem}; nothing can be sent until that is mended")
        if self._given.get("strict") is None:
            try:
                _variable("strict")
            except ConfigurationException as problem:
                if self.is_strict():
                    raise
                _complain(f"{problem}; it counts as not set")

    def is_strict(self, environment: str | None = None) -> bool:
        """Whether wrong values raise: as was given; otherwise not in production, nor where that cannot be told.

        Args:
            environment: of the conversation in question, where it has one of its own.

        Somebody who misspells an environment has deployed something, and wants no exceptions from it; whether
        it is production nobody knows, so that what it tracks does not count as that.
        """
        given = self._given.get("strict")
        if given is not None:
            return bool(given)
        try:
            chosen = _variable("strict")
            if chosen is not None:
                return bool(chosen)
        except ConfigurationException:
            pass
        environment = environment or self._given.get("environment")
        if environment is None:
            try:
                environment = _variable("environment")
            except ConfigurationException:
                return False
        return bool(environment == "development")

    def options(self) -> dict[str, Any]:
        """All options that constructor or `configure` gave."""
        return dict(self._given)

    def given(self, name: str) -> Any:
        """What constructor or `configure` gave for an option, or None."""
        return self._given.get(name)

    def unset(self, name: str) -> None:
        """Take back what constructor or `configure` gave for an option."""
        self._given = {key: value for key, value in self._given.items() if key != name}

    def require_api_key(self) -> str:
        """The key.

        Raises:
            NoApiKeyException: there is none.
            InvalidApiKeyException: there is one that cannot be a key.
        """
        key = self.get("api_key")
        if key is None:
            raise NoApiKeyException
        return str(key)

    def __repr__(self) -> str:
        shown = {name: "…" if name == "api_key" else value for name, value in self._given.items()}
        return f"Config({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def _parse(name: str, shown: str, value: Any) -> Any:
    try:
        return OPTIONS[name].parse(value)
    except InvalidApiKeyException:
        raise
    except ValueError as error:
        raise ConfigurationException(f"{shown} takes {error}, not {value!r:.80}") from None


# Without these nothing is sent. A default in place of a misspelt address might send customers' words to a stranger.
_VITAL = ("api_key", "endpoint")
_complained: set[str] = set()


def _variable(name: str) -> Any:
    """An option from its environment variable; the default where it is not set or blank."""
    option = OPTIONS[name]
    text = os.environ.get(option.env) if option.env else None
    if not text or not text.strip():
        return option.default
    return _parse(name, option.env or name, text)


def _complain(problem: str) -> None:
    """Log an error, once in the life of the process."""
    if problem not in _complained:
        _complained.add(problem)
        log().error("%s", problem)


def set_log_level(level: str) -> None:
    """Set the level of the `agentsight` logger to a name such as `DEBUG`."""
    import logging

    logging.getLogger("agentsight").setLevel(level)


def log() -> logging.Logger:
    """The `agentsight` logger, at the level of AGENTSIGHT_LOG_LEVEL unless somebody set another."""
    import logging

    logger = logging.getLogger("agentsight")
    if logger.level == logging.NOTSET:
        try:
            logger.setLevel(_variable("log_level"))
        except ConfigurationException as error:
            logger.setLevel("WARNING")
            logger.warning("%s; WARNING is used", error)
    return logger
