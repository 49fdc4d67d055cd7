"""Values that belong to this installation, and what tells its store from any other."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from agentsight_server.domain.identifiers import uuid7
from agentsight_server.store.schema import installation

_IDENTITY = "store-identity"


def value_of(connection: Connection, name: str) -> str | None:
    """The value that is kept under a name."""
    query = select(installation.c.value).where(installation.c.name == name)
    return connection.execute(query).scalar_one_or_none()


def keep_value(connection: Connection, name: str, value: str) -> None:
    """Keep a value under a name, in place of the one that was there."""
    _drop(connection, name)
    connection.execute(installation.insert(), {"name": name, "value": value})


def identity(connection: Connection) -> str:
    """What tells this store from any other; made when there is none."""
    value = known_identity(connection)
    if value is None:
        value = uuid7().hex()
        keep_value(connection, _IDENTITY, value)
    return value


def known_identity(connection: Connection) -> str | None:
    """The same, where nothing may be written; None: nobody has asked for it yet."""
    return value_of(connection, _IDENTITY)


def forget_identity(connection: Connection) -> None:
    """Make the store another one to whoever follows its revisions: after a restore those may have run already."""
    _drop(connection, _IDENTITY)


def _drop(connection: Connection, name: str) -> None:
    connection.execute(delete(installation).where(installation.c.name == name))
