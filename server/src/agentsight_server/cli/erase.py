"""`agentsight erase` and `agentsight retention`: what goes for good, and how long everything else is kept."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from agentsight_server.cli.options import STORE, Trouble, load, note, open_database, setting_options

if TYPE_CHECKING:
    from agentsight_server.settings import Settings
    from agentsight_server.store.database import Database
    from agentsight_server.store.erasing import Amount, Criterion
    from agentsight_server.store.receipts import Receipt

_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 60.0


@click.command()
@click.option(
    "--agent", required=True, metavar="NAME", help="Whose conversations; alone: all of them, and the agent."
)
@click.option("--conversation", metavar="ID", help="Only this conversation, by its text id.")
@click.option("--customer", metavar="ID", help="Everything of this customer.")
@click.option("--dry-run", is_flag=True, help="Only say how much would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@setting_options(*STORE, "files_url", "analytics_url")
def erase(
    agent: str, conversation: str | None, customer: str | None, dry_run: bool, yes: bool, **given: Any
) -> None:
    """Erase conversations for good: rows, files, figures and what deleting leaves behind on the disk.

    How much it is stands before the question. While a server runs, it does the work; otherwise this command does. A
    receipt says what went, and never what it was. Backups are yours to deal with.
    """
    from agentsight_server.store import erasing, receipts

    if conversation is not None and customer is not None:
        raise Trouble("--conversation and --customer are two things: give one of them")
    settings = load(given)
    with open_database(settings, must_exist=True) as database:
        owner = _agent(database, agent)
        criterion = _meant(database, owner, conversation, customer)
        with database.read() as connection:
            found = erasing.amount(connection, owner, criterion)
        click.echo(_say(found), err=True)
        if dry_run:
            return
        if criterion.whole_agent and not yes:
            _ask(f"Type the agent's name to erase all of it for good ({agent})", agent)
        elif not yes:
            _ask('Type "erase" to erase this for good', "erase")
        with database.write() as connection:
            number = erasing.begin(connection, owner, criterion, "command line")
        note(database, "erased", agent_id=owner, what=criterion.kind)
        _carry_out(settings, database, number)
        with database.read() as connection:
            receipt = receipts.one(connection, None, number)
        assert receipt is not None
    _tell(receipt)


def _agent(database: Database, name: str) -> int:
    from agentsight_server.store import agents

    with database.read() as connection:
        found = agents.find(connection, name.strip())
    if found is None:
        raise Trouble(f"there is no agent {name!r}")
    return found


def _meant(database: Database, owner: int, conversation: str | None, customer: str | None) -> Criterion:
    from agentsight_server.store import conversations
    from agentsight_server.store.erasing import Criterion

    if customer is not None:
        return Criterion(customer_id=customer)
    if conversation is None:
        return Criterion(whole_agent=True)
    with database.read() as connection:
        row = conversations.lookup(connection, {owner}, conversation, include_deleted=True)
    if row is None:
        raise Trouble(f"there is no conversation {conversation!r}")
    return Criterion(conversation=row.id)


def _say(found: Amount) -> str:
    return (
        f"{found.conversations:,} conversations, {found.messages:,} messages and {found.attachments:,} files "
        "would go"
    )


def _ask(question: str, right: str) -> None:
    if not sys.stdin.isatty():
        raise Trouble("there is no terminal to ask on: use --yes")
    if click.prompt(question, default="", show_default=False) != right:
        raise Trouble("nothing was erased")


def _carry_out(settings: Settings, database: Database, number: int) -> None:
    """Let the server do it if one runs, else do it here."""
    from agentsight_server.operations.folder_lock import FolderInUse, FolderLock

    try:
        lock = FolderLock(settings.data_dir)
    except FolderInUse:
        _wait(database, number)
        return
    try:
        _do(settings, database)
    finally:
        lock.release()


def _do(settings: Settings, database: Database) -> None:
    from agentsight_server.analytics.duckdb_engine import DuckEngine
    from agentsight_server.analytics.service import file_of
    from agentsight_server.attachments.blobs import FilesError, FileStore
    from agentsight_server.erasure.eraser import Eraser, OwnHands
    from agentsight_server.store.installation import identity
    from agentsight_server.store.search_index import FILE, SearchIndex

    engine = index = None
    with database.write() as connection:
        store = identity(connection)
    if file_of(settings).exists():
        engine = DuckEngine(file_of(settings))
        engine.open(store)
    if (settings.data_dir / FILE).exists():
        index = SearchIndex(settings.data_dir / FILE, store)
    try:
        files = FileStore(settings.files_url or settings.data_dir / "files")
        while not Eraser(database, files, OwnHands(database, engine, index)).advance():
            time.sleep(_POLL_SECONDS)  # a reader of the database holds what is to be rewritten
    except FilesError as error:
        raise Trouble(f"{error}; it goes on with the next start of the server, or of this command") from None
    finally:
        if engine is not None:
            engine.close()


def _wait(database: Database, number: int) -> None:
    """The running server looks every second; its file may be rewritten later, when it is quiet."""
    from agentsight_server.store import receipts

    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        with database.read() as connection:
            found = receipts.one(connection, None, number)
        if found is not None and found.gone_at is not None:
            return
        time.sleep(_POLL_SECONDS)
    click.echo("The server is still at it; the receipt says when it is done.", err=True)


def _tell(receipt: Receipt) -> None:
    went = (
        ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in receipt.counts.items())
        or "nothing"
    )
    state = "no byte of it is left" if receipt.finished_at else "the last bytes go when the server is quiet"
    if receipt.gone_at is None:
        state = "under way"
    click.echo(f"Receipt {receipt.id}: {went}; {state}")


@click.command()
@click.option("--agent", required=True, metavar="NAME", help="The agent.")
@click.option(
    "--environment",
    type=click.Choice(["production", "development"]),
    default="production",
    show_default=True,
    help="Whose conversations are meant.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 36_500),
    metavar="NUMBER",
    help="Erase what nobody said anything in for so long.",
)
@click.option("--off", is_flag=True, help="Keep everything.")
@click.option("--dry-run", is_flag=True, help="Only say how much would go.")
@setting_options(*STORE)
def retention(agent: str, environment: str, days: int | None, off: bool, dry_run: bool, **given: Any) -> None:
    """Say, or choose, for how many days conversations are kept. The server erases within the hour what is older."""
    from agentsight_server.store import retention as kept

    if days is not None and off:
        raise Trouble("--days and --off are two things: give one of them")
    with open_database(load(given), must_exist=True) as database:
        owner = _agent(database, agent)
        if days is not None:
            with database.read() as connection:
                click.echo(_say(kept.due(connection, owner, environment, days)), err=True)
        if (days is not None or off) and not dry_run:
            with database.write() as connection:
                kept.set_days(connection, owner, {environment: days})
            note(database, "retention_changed", agent_id=owner, environment=environment, days=days or 0)
        with database.read() as connection:
            chosen = kept.of_agent(connection, owner)
    for name in kept.ENVIRONMENTS:
        click.echo(f"{name}: {f'{chosen[name]:,} days' if name in chosen else 'for ever'}")
