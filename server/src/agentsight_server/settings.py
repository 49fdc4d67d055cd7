"""Every setting of the server in one table: name, type, default and what it does."""

from __future__ import annotations

import ipaddress
import os
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

PREFIX = "AGENTSIGHT_"


class SettingsError(ValueError):
    """A setting has a value that it cannot take; the text names the setting."""


def _setting(default: Any, doc: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"doc": doc, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """What the server runs with. Each field is also the environment variable `AGENTSIGHT_<NAME>`.

    Example:
        >>> Settings.load({"AGENTSIGHT_PORT": "9000"}).port
        9000
    """

    host: str = _setting("127.0.0.1", "Address to listen on. 0.0.0.0 lets other machines in.")
    port: int = _setting(8000, "Port to listen on; 0 takes a free one.")
    data_dir: Path = _setting(
        Path("agentsight-data"), "Folder for the database, the analytics file and attachments."
    )
    database_url: str | None = _setting(
        None, "PostgreSQL address (postgresql://…). Unset: agentsight.db in the data folder.", secret=True
    )
    analytics_url: str | None = _setting(None, "Analytics store. Unset: analytics.duckdb in the data folder.")
    files_url: str | None = _setting(
        None, "Where attachments go (s3://…, gs://…, az://…). Unset: files/ in the data folder."
    )
    least_free_percent: int = _setting(
        5, "Percent of the disk that must stay free; below it no attachment is taken (507). 0: take them all."
    )
    public_url: str | None = _setting(
        None,
        "Address that people and bots use, when a proxy stands in front, e.g. https://stats.example.com.",
    )
    geo_database: Path | None = _setting(
        None, "A city database in MMDB format. Unset: the bundled DB-IP City Lite."
    )
    max_body_bytes: int = _setting(
        32 * 1024 * 1024, "Largest request body, in bytes, before and after decompression."
    )
    queue_items: int = _setting(
        50_000, "Items that may wait to be written before new ones are answered with 429."
    )
    session_days: int = _setting(30, "Days until a signed-in person has to sign in again.")
    file_link_seconds: int = _setting(3600, "Seconds for which a signed link to an attachment works.")
    behind_proxy: bool = _setting(
        False, "Take X-Forwarded-For and X-Forwarded-Proto from a reverse proxy; see trusted_proxies."
    )
    trusted_proxies: str = _setting(
        "127.0.0.1,::1",
        "With behind_proxy: addresses or networks of the proxies, with commas. A caller is the last address of "
        "X-Forwarded-For that is none of them; other callers' headers count for nothing.",
    )
    migrate: bool = _setting(True, "Bring the database up to date at start.")
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR.")
    log_format: str = _setting("text", "text: lines for people; json: one JSON object a line.")
    metrics_token: str | None = _setting(
        None, "Token for /metrics (Authorization: Bearer …). Unset: /metrics is off.", secret=True
    )
    body_memory_bytes: int = _setting(
        128 * 1024 * 1024,
        "Bytes of request bodies in memory at once before new ones are answered with 429.",
    )
    max_requests: int = _setting(
        400, "Requests to the API served at once before new ones are answered with 429."
    )

    query_seconds: int = _setting(
        10,
        "Seconds that a page, a search, a piece of an export or a question for figures may take before it is cut off.",
    )

    def __post_init__(self) -> None:
        if not 0 <= self.least_free_percent <= 100:
            raise SettingsError(f"least_free_percent: takes 0 to 100, not {self.least_free_percent}")
        for entry in self.trusted_proxies.split(","):
            try:
                ipaddress.ip_network(entry.strip(), strict=False)
            except ValueError:
                raise SettingsError(
                    f"trusted_proxies: takes addresses or networks with commas, not {entry.strip()!r}"
                ) from None
        if self.public_url is not None and not re.match(r"https?://[^/\s]", self.public_url):
            raise SettingsError(
                f"public_url: takes an address such as https://stats.example.com, not {self.public_url!r}"
            )

    @property
    def sqlalchemy_url(self) -> str:
        """The store's address in SQLAlchemy's form."""
        if self.database_url is None:
            return f"sqlite:///{(self.data_dir / 'agentsight.db').absolute()}"
        scheme, separator, rest = self.database_url.partition("://")
        if scheme in {"postgres", "postgresql", "postgresql+psycopg"} and separator:
            return f"postgresql+psycopg://{rest}"
        if scheme == "sqlite" and separator:
            return self.database_url
        raise SettingsError("database_url: takes postgresql://user:password@host/name")

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **given: Any) -> Settings:
        """Build settings from defaults, then the environment, then the arguments that are not None.

        Raises:
            SettingsError: a value does not fit its setting's type.
        """
        environ = os.environ if environ is None else environ
        hints = typing.get_type_hints(cls)
        values: dict[str, Any] = {}
        for item in fields(cls):
            text = environ.get(PREFIX + item.name.upper())
            if not text and item.metadata["secret"]:
                text = _from_file(PREFIX + item.name.upper() + "_FILE", environ)
            if text:
                values[item.name] = _parse(item.name, text, hints[item.name])
        values.update({name: value for name, value in given.items() if value is not None})
        return cls(**values)

    @classmethod
    def table(cls) -> list[tuple[str, str, str]]:
        """Rows of (environment variable, default, doc), for the documentation."""
        return [(PREFIX + item.name.upper(), str(item.default), item.metadata["doc"]) for item in fields(cls)]


def _from_file(variable: str, environ: Mapping[str, str]) -> str | None:
    """A secret from the file that a variable names: who lists the processes of the machine does not see it."""
    path = environ.get(variable)
    if not path:
        return None
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(8192).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: cannot read {path}: {error}") from None


def _parse(name: str, text: str, hint: Any) -> Any:
    kinds = set(typing.get_args(hint)) or {hint}
    if bool in kinds:
        lowered = text.strip().lower()
        if lowered in {"1", "true", "yes", "on"}:
            return True
        if lowered in {"0", "false", "no", "off"}:
            return False
        raise SettingsError(f"{PREFIX}{name.upper()}: takes 1 or 0, not {text!r}")
    if int in kinds:
        try:
            return int(text)
        except ValueError:
            raise SettingsError(f"{PREFIX}{name.upper()}: takes a whole number, not {text!r}") from None
    return Path(text) if Path in kinds else text
