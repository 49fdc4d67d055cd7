"""`agentsight keys`: what programs show to be let in."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeVar

import click

from agentsight_server.cli.options import STORE, Trouble, agent_id, load, note, open_database, setting_options
from agentsight_server.cli.terminal import write_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from agentsight_server.store.agents import KeyRow

Command = TypeVar("Command", bound=Callable[..., Any])

_NONE = "none"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_OPTION_OF = {
    "allowed_origins": "--origin",
    "items_per_minute": "--items-per-minute",
    "items_per_day": "--items-per-day",
    "bytes_per_day": "--bytes-per-day",
    "expires_at": "--expires",
}


@click.group()
def keys() -> None:
    """Make, list, set and revoke API keys. A key belongs to one agent; only its hash is stored."""


def _limits(command: Command) -> Command:
    """The options that are settings of a key."""
    for option, name, shown, text in reversed(
        [
            (
                "--origin",
                "origins",
                "URL",
                "Only pages of this address may use it, e.g. https://shop.example.com; repeatable.",
            ),
            ("--items-per-minute", "items_per_minute", "NUMBER", "Items that it may write a minute."),
            ("--items-per-day", "items_per_day", "NUMBER", "Items that it may write a day (UTC)."),
            ("--bytes-per-day", "bytes_per_day", "SIZE", "Bytes that it may send a day, e.g. 50MB."),
            ("--expires", "expires", "WHEN", "When it ends: 2027-12-31, a time, or 90d from now."),
        ]
    ):
        command = click.option(option, name, metavar=shown, multiple=name == "origins", help=text)(command)
    return command


@keys.command()
@click.option(
    "--agent", required=True, metavar="NAME", help="The agent; made when there is none by that name."
)
@click.option(
    "--role",
    type=click.Choice(["write", "read", "ingest"]),
    default="write",
    show_default=True,
    help="write: everything; read: look only; ingest: write items, read nothing (fit for a widget).",
)
@click.option("--label", default="", metavar="TEXT", help="What the key is for, shown in lists.")
@_limits
@setting_options(*STORE)
def create(agent: str, role: str, label: str, **given: Any) -> None:
    """Make a key and print it, and nothing else, on standard output. It is shown only this once."""
    from agentsight_server.domain import times
    from agentsight_server.domain.errors import Invalid
    from agentsight_server.security import key_ring, key_settings
    from agentsight_server.security.keys import hint, new_key
    from agentsight_server.store.agents import KeySettings

    wanted = _wanted(given)
    try:
        name = key_settings.label(label)
        settings = key_settings.checked(KeySettings(), wanted, times.now())
    except Invalid as error:
        raise _trouble(error) from None
    with open_database(load(given)) as database:
        owner = agent_id(database, agent)
        key = new_key()
        with database.write() as connection:
            key_ring.keep(connection, key, owner, role, name, settings)
        note(database, "key_created", agent_id=owner, role=role, key=hint(key))
    click.echo(key)


@keys.command(name="list")
@click.option("--agent", metavar="NAME", help="Only this agent's keys.")
@click.option("--all", "revoked", is_flag=True, help="Revoked keys too.")
@setting_options(*STORE)
def list_(agent: str | None, revoked: bool, **given: Any) -> None:
    """List the keys: number, agent, role, label, the ends of the key, when it was made and used last, what is set."""
    from agentsight_server.domain import times
    from agentsight_server.store import agents

    with open_database(load(given), must_exist=True) as database, database.read() as connection:
        owner = agents.find(connection, agent) if agent is not None else None
        if agent is not None and owner is None:
            raise Trouble(f"there is no agent {agent!r}")
        rows = agents.keys(connection, owner)
    shown = [row for row in rows if revoked or row.revoked_at is None]
    if not shown:
        click.echo("There are no keys yet: agentsight keys create --agent NAME", err=True)
        return

    def day(moment: int | None) -> str:
        return times.to_text(moment)[:10] if moment else ""

    columns = ("number", "agent", "role", "label", "key", "made", "last used", "settings", "revoked")
    write_table(
        columns[: 9 if revoked else 8],
        [
            (
                str(row.id),
                row.agent_name,
                row.role,
                row.name,
                row.hint,
                day(row.created_at),
                times.to_text(row.last_used_at)[:16].replace("T", " ") if row.last_used_at else "never",
                _settings_of(row),
                day(row.revoked_at),
            )[: 9 if revoked else 8]
            for row in shown
        ],
    )


@keys.command(name="set")
@click.argument("key", metavar="NUMBER|KEY")
@click.option("--label", metavar="TEXT", help="What the key is for, shown in lists.")
@_limits
@setting_options(*STORE)
def set_(key: str, label: str | None, **given: Any) -> None:
    """Change what is set for a key: what is not given stays, "none" takes a limit away.

    A running server follows within a second or two.
    """
    from agentsight_server.domain import times
    from agentsight_server.domain.errors import Invalid
    from agentsight_server.security import key_settings
    from agentsight_server.store import agents

    wanted = _wanted(given)
    if not wanted and label is None:
        raise Trouble("say what to change: --label, " + ", ".join(_OPTION_OF.values()))
    with open_database(load(given), must_exist=True) as database:
        with database.write() as connection:
            row = _found(connection, key)
            try:
                name = None if label is None else key_settings.label(label)
                settings = key_settings.checked(row.settings, wanted, times.now())
            except Invalid as error:
                raise _trouble(error) from None
            agents.change_key(connection, row.id, name=name, settings=settings)
            row = _found(connection, str(row.id))
        note(database, "key_changed", agent_id=row.agent_id, number=row.id)
    click.echo(f"Key {row.id} ({row.role}, {row.agent_name}): {_settings_of(row) or 'no limits'}.", err=True)


@keys.command()
@click.argument("key", metavar="NUMBER|KEY")
@click.option("--off", is_flag=True, help="Let the key write without tokens again.")
@setting_options(*STORE)
def token(key: str, off: bool, **given: Any) -> None:
    """Let an ingest key write only what comes with a conversation token, and print the secret to sign tokens with.

    The secret is shown only this once, and belongs into your backend, never into a page. Called again it makes a new
    one; the one before counts for another day.
    """
    from agentsight_server.domain import times
    from agentsight_server.domain.errors import Invalid
    from agentsight_server.security import key_ring

    with open_database(load(given), must_exist=True) as database:
        with database.write() as connection:
            row = _found(connection, key)
            try:
                if off:
                    key_ring.without_tokens(connection, row)
                else:
                    secret = key_ring.new_token_secret(connection, row, times.now())
            except Invalid as error:
                raise _trouble(error) from None
        note(
            database,
            "key_changed",
            agent_id=row.agent_id,
            number=row.id,
            tokens="off" if off else "new secret",
        )
    if off:
        click.echo(f"Key {row.id} writes without tokens.", err=True)
        return
    click.echo(secret)
    click.echo(f"Key {row.id} writes only with a conversation token from now on.", err=True)


@keys.command()
@click.argument("key", metavar="NUMBER|KEY")
@setting_options(*STORE)
def revoke(key: str, **given: Any) -> None:
    """Take a key out of use for good, by its number from `keys list` or by the key itself.

    A running server refuses it within a second or two.
    """
    from agentsight_server.store import agents

    with open_database(load(given), must_exist=True) as database:
        with database.write() as connection:
            row = _found(connection, key)
            agents.revoke_key(connection, row.id)
        note(database, "key_revoked", agent_id=row.agent_id, number=row.id)
    click.echo(f"Revoked key {row.id}.", err=True)


def _found(connection: Connection, key: str) -> KeyRow:
    """The key in use of that number or text; ends the command with 1 where there is none."""
    from agentsight_server.security import keys as security
    from agentsight_server.store import agents

    if key.isascii() and key.isdigit() and len(key) < 19:
        row = agents.key_by_number(connection, int(key))
    else:
        row = agents.key_by_hash(connection, security.hash_key(key.strip()))
    if row is None or row.revoked_at is not None:
        click.echo("agentsight: there is no such key in use; see `agentsight keys list`", err=True)
        raise SystemExit(1)
    return row


def _wanted(given: dict[str, Any]) -> dict[str, Any]:
    """Take the settings out of a command's options, as key_settings.checked() reads them."""
    origins, expires = given.pop("origins"), given.pop("expires")
    limits = {name: given.pop(name) for name in ("items_per_minute", "items_per_day", "bytes_per_day")}
    wanted: dict[str, Any] = {}
    if origins:
        wanted["allowed_origins"] = None if origins == (_NONE,) else list(origins)
    for name, text in limits.items():
        if text is not None:
            wanted[name] = None if text == _NONE else _number(_OPTION_OF[name], text)
    if expires is not None:
        wanted["expires_at"] = None if expires == _NONE else _moment(expires)
    return wanted


def _number(option: str, text: str) -> int:
    found = re.fullmatch(r"(\d{1,15})\s*([kmg]?)b?", text.strip().lower().replace("_", ""))
    if found is None or (found[2] and option != "--bytes-per-day"):
        takes = "a size such as 50MB" if option == "--bytes-per-day" else "a whole number"
        raise Trouble(f"{option} takes {takes}, or {_NONE}, not {text!r}")
    return int(found[1]) * _UNITS[found[2]]


def _moment(text: str) -> datetime:
    days = re.fullmatch(r"(\d{1,5})d", text.strip().lower())
    if days:
        return datetime.now(timezone.utc) + timedelta(days=int(days[1]))
    try:
        found = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise Trouble(f"--expires takes 2027-12-31, a time, 90d or {_NONE}, not {text!r}") from None
    if len(text.strip()) == 10:  # the day is still good
        found += timedelta(days=1)
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _settings_of(row: KeyRow) -> str:
    from agentsight_server.domain import times

    settings = row.settings
    said = [f"from {each}" for each in settings.allowed_origins or ()]
    for name, words in (
        ("items_per_minute", "items a minute"),
        ("items_per_day", "items a day"),
        ("bytes_per_day", "bytes a day"),
    ):
        limit = getattr(settings, name)
        if limit is not None:
            said.append(f"{limit:,} {words}")
    if settings.expires_at is not None:
        over = settings.expires_at <= times.now()
        said.append(
            f"{'ended' if over else 'ends'} {times.to_text(settings.expires_at)[:16].replace('T', ' ')}"
        )
    if settings.token_secrets:
        said.append("needs conversation tokens")
    return ", ".join(said)


def _trouble(error: Any) -> Trouble:
    said = [
        f"{_OPTION_OF.get(name, '--' + name)} {' and '.join(what)}" for name, what in error.errors.items()
    ]
    return Trouble("; ".join(said))
