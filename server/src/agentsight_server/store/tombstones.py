"""What is known of conversations that were erased: a keyed hash each, so that an old batch does not bring them back.

A name that was erased may be used again; what is older than the erasure is not taken for it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection

from agentsight_server.store import installation
from agentsight_server.store.inserts import Statements

if TYPE_CHECKING:
    from agentsight_server.store.append import NewConversation, NewItem

_SECRET = "erasure-secret"  # noqa: S105 - the name under which it is kept
_AT_ONCE = 500


def secret_of(connection: Connection) -> bytes:
    """The installation's key for hashes of what was erased; made when there is none. It is in backups, too, so that
    receipts still fit after a restore."""
    value = installation.value_of(connection, _SECRET)
    if value is None:
        value = secrets.token_hex(32)
        installation.keep_value(connection, _SECRET, value)
    return bytes.fromhex(value)


def adopt(connection: Connection, key: bytes) -> None:
    """Use this key from now on, if there is none yet: that of an installation whose erasures are replayed here."""
    if installation.value_of(connection, _SECRET) is None:
        installation.keep_value(connection, _SECRET, key.hex())


def hash_of(secret: bytes, agent_id: int, kind: str, name: str) -> bytes:
    """What is kept instead of an id; `kind` is conversation or customer.

    Example:
        >>> len(hash_of(b"secret", 1, "conversation", "conv_1"))
        32
    """
    return hmac.digest(secret, f"{agent_id}\0{kind}\0{name}".encode(), hashlib.sha256)


def parts(
    statements: Statements, driver: Any, agent_id: int, batch: Sequence[NewConversation]
) -> dict[int, NewConversation | None]:
    """Of those that were erased once, by their id(): the part that is newer than the erasure; None where none is."""
    driver.execute(statements.erased_any, (_SECRET, agent_id))
    row = driver.fetchone()
    if row is None:  # nothing of this agent ever was
        return {}
    names = {given.conversation_id for given in batch if given.row is None and given.conversation_id}
    horizons = _horizons(statements, driver, agent_id, bytes.fromhex(row[0]), names)
    return {
        id(given): _newer(given, horizons[given.conversation_id])
        for given in batch
        if given.row is None and given.conversation_id in horizons
    }


def _horizons(
    statements: Statements, driver: Any, agent_id: int, key: bytes, names: Collection[str]
) -> dict[str | None, int]:
    hashes = {hash_of(key, agent_id, "conversation", name): name for name in names}
    wanted = list(hashes)
    found: dict[str | None, int] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        driver.execute(statements.find_erased + statements.marks(len(some)), (agent_id, *some))
        found.update((hashes[bytes(hashed)], moment) for hashed, moment in driver.fetchall())
    return found


def _newer(given: NewConversation, horizon: int) -> NewConversation | None:
    items = [item for item in given.items if _is_newer(item, horizon)]
    began = given.started_at
    if began is not None and began <= horizon:
        if not items:
            return None
        began = None
    if given.items and not items:
        return None
    return msgspec.structs.replace(given, items=items, started_at=began)


def _is_newer(item: NewItem, horizon: int) -> bool:
    return item.stamped or item.timestamp > horizon
