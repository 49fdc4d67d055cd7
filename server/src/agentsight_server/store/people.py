"""People who sign in, their sessions, and links that work once."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from agentsight_server.domain import times
from agentsight_server.store.schema import memberships, one_time_links, people, sessions


class Person(msgspec.Struct, frozen=True):
    """A person; `agent_ids` None: sees every agent."""

    id: int
    email: str
    name: str
    role: str
    agent_ids: frozenset[int] | None


class SessionRow(msgspec.Struct, frozen=True):
    """A signed-in session."""

    person: Person
    csrf_token: str
    expires_at: int


def count(connection: Connection) -> int:
    """How many people there are."""
    return int(connection.execute(select(func.count()).select_from(people)).scalar_one())


def create(
    connection: Connection,
    *,
    email: str,
    name: str,
    password_hash: str,
    role: str = "owner",
    agent_ids: frozenset[int] = frozenset(),
) -> int:
    """Add a person; the e-mail address is kept in lower case.

    Raises:
        sqlalchemy.exc.IntegrityError: the address is taken.
    """
    values = {
        "email": email.strip().lower(),
        "name": name.strip(),
        "password_hash": password_hash,
        "role": role,
        "created_at": times.now(),
    }
    number = int(connection.execute(people.insert().returning(people.c.id), values).scalar_one())
    if agent_ids:
        connection.execute(
            memberships.insert(),
            [{"person_id": number, "agent_id": agent} for agent in sorted(agent_ids)],
        )
    return number


def credentials(connection: Connection, email: str) -> tuple[int, str] | None:
    """The person's number and password hash."""
    row = connection.execute(
        select(people.c.id, people.c.password_hash).where(
            people.c.email == email.strip().lower(), people.c.disabled_at.is_(None)
        )
    ).one_or_none()
    return (row[0], row[1]) if row else None


def get(connection: Connection, person_id: int) -> Person | None:
    """The person of that number."""
    row = connection.execute(
        select(people.c.id, people.c.email, people.c.name, people.c.role).where(
            people.c.id == person_id, people.c.disabled_at.is_(None)
        )
    ).one_or_none()
    if row is None:
        return None
    agent_ids = None
    if row.role != "viewer":
        return Person(row.id, row.email, row.name, row.role, agent_ids)
    found = connection.execute(
        select(memberships.c.agent_id).where(memberships.c.person_id == row.id)
    ).scalars()
    return Person(row.id, row.email, row.name, row.role, frozenset(found))


def open_session(
    connection: Connection, *, hashed: bytes, person_id: int, csrf_token: str, expires_at: int
) -> None:
    """Remember a session, and forget those that have ended."""
    now = times.now()
    connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
    connection.execute(
        sessions.insert(),
        {
            "hash": hashed,
            "person_id": person_id,
            "csrf_token": csrf_token,
            "created_at": now,
            "expires_at": expires_at,
        },
    )


def session(connection: Connection, hashed: bytes) -> SessionRow | None:
    """The session with that hash, while it lasts."""
    row = connection.execute(
        select(sessions.c.person_id, sessions.c.csrf_token, sessions.c.expires_at).where(
            sessions.c.hash == hashed, sessions.c.expires_at > times.now()
        )
    ).one_or_none()
    person = get(connection, row.person_id) if row else None
    return SessionRow(person, row.csrf_token, row.expires_at) if row and person else None


def close_session(connection: Connection, hashed: bytes) -> None:
    """End a session."""
    connection.execute(delete(sessions).where(sessions.c.hash == hashed))


def add_link(connection: Connection, *, hashed: bytes, purpose: str, expires_at: int) -> None:
    """Remember a link that works once; earlier ones of the same purpose stop working."""
    connection.execute(delete(one_time_links).where(one_time_links.c.purpose == purpose))
    connection.execute(
        one_time_links.insert(), {"hash": hashed, "purpose": purpose, "expires_at": expires_at}
    )


def link_works(connection: Connection, hashed: bytes, purpose: str) -> bool:
    """Whether the link can still be used."""
    return (
        connection.execute(
            select(one_time_links.c.hash).where(
                one_time_links.c.hash == hashed,
                one_time_links.c.purpose == purpose,
                one_time_links.c.used_at.is_(None),
                one_time_links.c.expires_at > times.now(),
            )
        ).one_or_none()
        is not None
    )


def use_link(connection: Connection, hashed: bytes, purpose: str) -> bool:
    """Use the link up; False when it does not work any more."""
    done = connection.execute(
        update(one_time_links)
        .where(
            one_time_links.c.hash == hashed,
            one_time_links.c.purpose == purpose,
            one_time_links.c.used_at.is_(None),
            one_time_links.c.expires_at > times.now(),
        )
        .values(used_at=times.now())
    )
    return done.rowcount > 0
