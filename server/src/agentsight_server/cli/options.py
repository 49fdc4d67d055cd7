"""What the commands share: options made from the table of settings, and one-line errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from agentsight_server.domain.causes import reason
from agentsight_server.settings import PREFIX, Settings, SettingsError

if TYPE_CHECKING:
    from agentsight_server.store.database import Database

Command = TypeVar("Command", bound=Callable[..., Any])

STORE = ("data_dir", "database_url")
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_LOG_FORMATS = ("text", "json")
_SHAPES: dict[str, Any] = {
    "port": click.IntRange(0, 65_535),
    "log_level": click.Choice(_LOG_LEVELS, case_sensitive=False),
    "log_format": click.Choice(_LOG_FORMATS),
    "data_dir": click.Path(file_okay=False, path_type=Path),
    "geo_database": click.Path(dir_okay=False, path_type=Path),
}


class Trouble(click.ClickException):
    """Something that keeps a command from running, in one line; exit code 2."""

    exit_code = 2

    def show(self, file: Any = None) -> None:
        """Write the line to standard error."""
        click.echo(f"agentsight: {self.format_message()}", err=True)


def setting_options(*names: str, skip_defaults: tuple[str, ...] = ()) -> Callable[[Command], Command]:
    """Give a command the options of these settings; each arrives as a parameter, None when it was not given.

    Example:
        >>> @click.command()
        ... @setting_options("port")
        ... def show(**given): print(load(given).port)
    """
    table = {item.name: item for item in fields(Settings)}

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            item = table[name]
            if item.metadata["secret"] and not name.endswith("_url"):
                continue  # only from the environment or a file: everybody on the machine sees a command line
            variable = PREFIX + name.upper()
            text = item.metadata["doc"].rstrip(".")
            if isinstance(item.default, bool):
                flag = f"--no-{name}" if item.default else f"--{name}"
                meaning = f"Do not {text[0].lower()}{text[1:]}" if item.default else text
                command = click.option(
                    flag.replace("_", "-"),
                    name,
                    flag_value=not item.default,
                    type=bool,
                    default=None,
                    help=f"{meaning}.  [{variable}]",
                )(command)
                continue
            shown = "" if item.default is None or name in skip_defaults else f"; default {item.default}"
            command = click.option(
                f"--{name.replace('_', '-')}",
                name,
                type=_SHAPES.get(name, int if isinstance(item.default, int) else str),
                default=None,
                metavar=_metavar(name, item.default),
                help=f"{text}.  [{variable}{shown}]",
            )(command)
        return command

    return decorate


def _metavar(name: str, default: Any) -> str:
    if name in ("data_dir",):
        return "DIR"
    if name == "geo_database":
        return "FILE"
    if name.endswith("_url"):
        return "URL"
    if name == "log_level":
        return "LEVEL"
    return "NUMBER" if isinstance(default, int) else "NAME"


def load(given: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Build the settings from the environment and a command's options.

    Raises:
        Trouble: a value is none that its setting takes.
    """
    if _has_password(given.get("database_url")):
        raise Trouble(
            "--database-url: everybody on this machine can read a password on a command line; set "
            f"{PREFIX}DATABASE_URL, or {PREFIX}DATABASE_URL_FILE to a file that holds the address"
        )
    try:
        settings = Settings.load(os.environ if environ is None else environ, **given)
    except SettingsError as error:
        raise Trouble(str(error)) from None
    if settings.log_level.upper() not in _LOG_LEVELS:
        raise Trouble(f"{PREFIX}LOG_LEVEL: takes {', '.join(_LOG_LEVELS)}, not {settings.log_level!r}")
    if settings.log_format not in _LOG_FORMATS:
        raise Trouble(f"{PREFIX}LOG_FORMAT: takes {' or '.join(_LOG_FORMATS)}, not {settings.log_format!r}")
    if not 0 <= settings.port <= 65_535:
        raise Trouble(f"{PREFIX}PORT: takes 0 to 65535, not {settings.port}")
    return settings


def _has_password(address: str | None) -> bool:
    try:
        return bool(address and urlsplit(address).password)
    except ValueError:
        return False  # what is wrong with it is said where it is used


@contextmanager
def open_database(settings: Settings, *, must_exist: bool = False) -> Iterator[Database]:
    """Open the store for a command; works beside a running server.

    Args:
        must_exist: do not make a new database where there is none.

    Raises:
        Trouble: it cannot be opened, or there is none.
    """
    from sqlalchemy.exc import ArgumentError, DBAPIError

    from agentsight_server.store.database import Database, StoreError

    try:
        database = Database(settings.sqlalchemy_url)
        if must_exist and database.path is not None and not database.path.exists():
            raise Trouble(
                f"there is no database in {database.path.parent} yet: "
                "make a key with `agentsight keys create --agent NAME`, or name another --data-dir"
            )
        database.migrate() if settings.migrate else database.check_current()
    except (StoreError, SettingsError) as error:
        raise Trouble(str(error)) from None
    except (ArgumentError, ValueError) as error:
        raise Trouble(f"database_url cannot be read: {error}") from None
    except DBAPIError as error:
        raise Trouble(f"cannot open the database: {reason(error)}") from None
    try:
        yield database
    finally:
        database.close()


def note(database: Database, action: str, *, agent_id: int | None = None, **details: str | int) -> None:
    """Put what a command did into the security log; a store that takes no writes does not keep it from its work."""
    from sqlalchemy.exc import DBAPIError

    from agentsight_server.security import audit

    with suppress(DBAPIError), database.write() as connection:
        audit.record(connection, audit.event_of_command(action, agent_id=agent_id, **details))


def agent_id(database: Database, name: str) -> int:
    """Return the number of the agent of that name; make the agent when there is none.

    Raises:
        Trouble: the name is blank or longer than 255 characters.
    """
    from sqlalchemy.exc import IntegrityError

    from agentsight_server.store import agents

    name = name.strip()
    if not 0 < len(name) <= 255:
        raise Trouble("--agent takes a name of 1 to 255 characters")
    with database.read() as connection:
        found = agents.find(connection, name)
    if found is not None:
        return found
    try:
        with database.write() as connection:
            number = agents.create(connection, name)
    except IntegrityError:  # somebody else was faster
        with database.read() as connection:
            return agents.find(connection, name) or 0
    click.echo(f"Made the agent {name!r}.", err=True)
    return number
